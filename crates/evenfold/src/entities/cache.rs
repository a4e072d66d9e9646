//! States that stay in memory between one load and the next.
//!
//! Owns [`EntityCache`] and how many callers share one read. What a state is made of is `load.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenfold_core::projector::Projection;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::load::{Freshness, Loaded, Loader, Shelf};
use crate::{Error, Position, StreamName};

/// How states of entities stay in memory, for [`Entities::cached`](crate::Entities::cached).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use evenfold::EntityCache;
///
/// let always_asking = EntityCache::of(10_000);
/// let at_most_a_second_old = EntityCache::of(10_000).max_age(Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is cached until it is given to `Entities::cached`"]
pub struct EntityCache {
    entities: u64,
    max_age: Duration,
}

impl EntityCache {
    /// At most so many entities, more or less: those that are seldom asked for go first.
    pub fn of(entities: u64) -> Self {
        Self { entities, max_age: Duration::ZERO }
    }

    /// Answers without asking the store where that was asked less than this ago; by default it is
    /// asked at every load, for what has come since.
    ///
    /// A [`load`](crate::Entities::load) may then be so old, though never older than what this
    /// process wrote by [`transact`](crate::Entities::transact) with the same entities or a clone
    /// of them. A decision is still right: what is written is written at the version it was decided
    /// on, and a rejection, or a decision to write nothing, is made again on the newest state.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }
}

/// The cache.
pub(super) struct Slots<S> {
    options: EntityCache,
    slots: moka::sync::Cache<StreamName, Arc<Slot<S>>>,
}

/// One entity.
struct Slot<S> {
    /// How many reads have begun.
    begun: AtomicU64,
    /// How many of them had begun when it was last written to: the state of a later one has that.
    written: AtomicU64,
    last: Mutex<Last<S>>,
}

/// What the reads under the lock have come to.
struct Last<S> {
    /// The number of the last one that failed.
    failed: u64,
    known: Option<Known<S>>,
}

struct Known<S> {
    /// The number of the read that it is of.
    read: u64,
    /// When its reading began.
    at: Instant,
    entity: Arc<Projection<S>>,
    /// The version of its last snapshot.
    kept: Option<Position>,
}

impl<S: Clone + Send + Sync + 'static> Slots<S> {
    pub(super) fn new(options: EntityCache) -> Self {
        let slots = moka::sync::Cache::new(options.entities);
        Self { options, slots }
    }

    fn slot(&self, stream: &StreamName) -> Arc<Slot<S>> {
        self.slots.get_with_by_ref(stream, Arc::default)
    }

    async fn look_up(
        &self,
        loader: &Loader<S>,
        stream: &StreamName,
        freshness: Freshness,
    ) -> Result<Loaded<S>, Error> {
        let slot = self.slot(stream);
        // A read that begins from now on is as new as one of our own.
        let asked = slot.begun.load(Ordering::SeqCst);
        let mut last = slot.last.lock().await;
        if let Some(known) = &last.known {
            let is_new = known.read > asked;
            let will_do = freshness == Freshness::AsCached
                && known.read > slot.written.load(Ordering::SeqCst)
                && known.at.elapsed() < self.options.max_age;
            if is_new || will_do {
                return Ok(Loaded::Shared(Arc::<Projection<S>>::clone(&known.entity), !is_new));
            }
        }
        let number = slot.begun.fetch_add(1, Ordering::SeqCst) + 1;
        if last.failed > asked {
            // Whoever waited for a read that failed reads by itself: one behind the other they would
            // wait for a store that does not answer as often as they are many.
            let known = last.known.clone();
            drop(last);
            let known = read(loader, stream, number, known).await?;
            return Ok(Loaded::Shared(known.entity, false));
        }
        let read = read(loader, stream, number, last.known.clone()).await;
        let known = read.inspect_err(|_| last.failed = number)?;
        let entity = Arc::<Projection<S>>::clone(&known.entity);
        last.known = Some(known);
        Ok(Loaded::Shared(entity, false))
    }
}

/// Reads an entity, or what is new beyond a state that others may be looking at.
async fn read<S: Clone + Send + Sync + 'static>(
    loader: &Loader<S>,
    stream: &StreamName,
    number: u64,
    known: Option<Known<S>>,
) -> Result<Known<S>, Error> {
    let at = Instant::now();
    let Some(known) = known else {
        let (entity, kept) = loader.read(stream).await?;
        return Ok(Known { read: number, at, entity: Arc::new(entity), kept });
    };
    let messages = loader.store.messages();
    match loader.projector.beyond(messages, stream, &known.entity).await? {
        None => Ok(Known { read: number, at, ..known }),
        Some(entity) => {
            let kept = loader.keep(stream, &entity, known.kept).await;
            Ok(Known { read: number, at, entity: Arc::new(entity), kept })
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Shelf<S> for Slots<S> {
    fn load<'a>(
        &'a self,
        loader: &'a Loader<S>,
        stream: &'a StreamName,
        freshness: Freshness,
    ) -> BoxFuture<'a, Result<Loaded<S>, Error>> {
        self.look_up(loader, stream, freshness).boxed()
    }

    fn written(&self, stream: &StreamName) {
        if let Some(slot) = self.slots.get(stream) {
            slot.written.fetch_max(slot.begun.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }

    fn emptied(&self) -> Arc<dyn Shelf<S>> {
        Arc::new(Self::new(self.options.clone()))
    }
}

impl<S> Default for Slot<S> {
    fn default() -> Self {
        let last = Mutex::new(Last { failed: 0, known: None });
        Self { begun: AtomicU64::new(0), written: AtomicU64::new(0), last }
    }
}

impl<S> Clone for Known<S> {
    fn clone(&self) -> Self {
        Self { entity: Arc::clone(&self.entity), ..*self }
    }
}
