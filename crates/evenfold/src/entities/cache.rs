//! States that stay in memory between one load and the next.
//!
//! Owns [`EntityCache`] and how many callers share one read. What a state is made of is `load.rs`.
//!
//! A read is on a task, and no caller is needed for it to go on: one who holds a load and no longer polls
//! it, as a branch of `select!`, keeps nobody waiting. The read ends with the caller who began it.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenfold_core::projector::Projection;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::load::{Freshness, Loaded, Loader, Shelf};
use crate::{Error, Position, StreamName, telemetry};

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
    /// of them. A call that was dropped while it wrote may have written later than the next load, which
    /// asks the store; what it wrote may then be missing for so long.
    ///
    /// A decision is still right: what is written is written at the version it was decided
    /// on, and a rejection, or a decision to write nothing, is made again on the newest state. That the
    /// stream was [rewritten](crate::Entities::cached) is seen when the store is asked.
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

/// One entity. Its lock is held for a look, never while the store is asked.
struct Slot<S>(Mutex<State<S>>);

struct State<S> {
    /// How many reads for all have begun.
    begun: u64,
    /// How many of them had begun when it was last written to: the state of a later one has that.
    written: u64,
    /// The number of the last one that failed.
    failed: u64,
    under_way: Option<UnderWay>,
    known: Option<Known<S>>,
    /// The version of its last snapshot, also of one that is being written.
    kept: Option<Position>,
}

/// A read on a task of a runtime, until it is over in one way or another.
struct UnderWay {
    runtime: Id,
    over: CancellationToken,
}

/// What the last read came to.
struct Known<S> {
    /// Its number.
    read: u64,
    /// When it began.
    at: Instant,
    entity: Arc<Projection<S>>,
}

/// What a caller does next.
enum Step<S> {
    Take(Arc<Projection<S>>),
    Await(CancellationToken),
    Read(Handle, Begun<S>),
    ReadAlone(Option<Arc<Projection<S>>>),
}

/// A read that begins, from what is known.
struct Begun<S> {
    number: u64,
    known: Option<Arc<Projection<S>>>,
    over: DropGuard,
}

/// What a read found of snapshots.
enum Kept {
    AsBefore,
    At(Option<Position>),
}

impl<S: Clone + Send + Sync + 'static> Slots<S> {
    pub(super) fn new(options: EntityCache) -> Self {
        let slots = moka::sync::Cache::new(options.entities);
        Self { options, slots }
    }

    async fn look_up(
        &self,
        loader: &Loader<S>,
        stream: &StreamName,
        freshness: Freshness,
    ) -> Result<Loaded<S>, Error> {
        let slot = self.slots.get_with_by_ref(stream, Arc::default);
        let asked = {
            let state = slot.lock();
            if freshness == Freshness::AsCached
                && let Some(entity) = state.younger_than(self.options.max_age)
            {
                return Ok(Loaded::Shared(entity, true));
            }
            // A read that begins from now on is as new as one of our own.
            state.begun
        };
        loop {
            let step = slot.lock().step(asked);
            let entity = match step {
                Step::Await(over) => {
                    over.cancelled().await;
                    continue;
                }
                Step::Take(entity) => entity,
                Step::Read(runtime, begun) => {
                    let read = read_for_all(loader.clone(), stream.clone(), slot.clone(), begun);
                    let entity = on_task(&runtime, stream, read).await?;
                    slot.keep(loader, stream, &entity).await;
                    entity
                }
                Step::ReadAlone(known) => read(loader, stream, known).await?.0,
            };
            return Ok(Loaded::Shared(entity, false));
        }
    }
}

/// Runs a read on a task, which ends with whoever awaits this.
async fn on_task<T: Send + 'static>(
    runtime: &Handle,
    stream: &StreamName,
    read: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match AbortOnDropHandle::new(runtime.spawn(read.in_current_span())).await {
        Ok(read) => read,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(error) => Err(Error::failed(format!("reading `{stream}`"), error)),
    }
}

/// Reads an entity and shows what came of it, before those who wait are told that it is over.
async fn read_for_all<S: Clone + Send + Sync + 'static>(
    loader: Loader<S>,
    stream: StreamName,
    slot: Arc<Slot<S>>,
    begun: Begun<S>,
) -> Result<Arc<Projection<S>>, Error> {
    let Begun { number, known, over: _told_at_the_end } = begun;
    let at = Instant::now();
    let read = read(&loader, &stream, known).await;
    let mut state = slot.lock();
    let (entity, kept) = read.inspect_err(|_| state.failed = number)?;
    if let Kept::At(version) = kept {
        state.kept = version;
    }
    state.known = Some(Known { read: number, at, entity: Arc::clone(&entity) });
    Ok(entity)
}

/// Reads an entity, or what is new beyond a state that others may be looking at.
async fn read<S: Clone + Send + Sync + 'static>(
    loader: &Loader<S>,
    stream: &StreamName,
    known: Option<Arc<Projection<S>>>,
) -> Result<(Arc<Projection<S>>, Kept), Error> {
    let messages = loader.store.messages();
    let Some(mut entity) = known else {
        let (entity, kept) = loader.read_through(messages, stream).await?;
        return Ok((Arc::new(entity), Kept::At(kept)));
    };
    let version = entity.version;
    if loader.projector.refresh_shared(messages, stream, &mut entity).await? {
        telemetry::stream_rewritten(stream, version);
        return Ok((entity, Kept::At(None)));
    }
    Ok((entity, Kept::AsBefore))
}

impl<S> State<S> {
    fn younger_than(&self, age: Duration) -> Option<Arc<Projection<S>>> {
        let known = self.known.as_ref()?;
        let will_do = known.read > self.written && known.at.elapsed() < age;
        will_do.then(|| Arc::clone(&known.entity))
    }

    /// What one does next who asked when so many reads had begun.
    fn step(&mut self, asked: u64) -> Step<S> {
        let known = self.known.as_ref();
        if let Some(known) = known.filter(|known| known.read > asked) {
            return Step::Take(Arc::clone(&known.entity));
        }
        let known = known.map(|known| Arc::clone(&known.entity));
        // Whoever waited for a read that failed reads by itself: one behind the other they would
        // wait for a store that does not answer as often as they are many.
        let (Ok(runtime), false) = (Handle::try_current(), self.failed > asked) else {
            return Step::ReadAlone(known);
        };
        match self.under_way.as_ref().filter(|it| !it.over.is_cancelled()) {
            Some(it) if it.runtime == runtime.id() => Step::Await(it.over.clone()),
            // Another runtime may stand still while this one is at work.
            Some(_) => Step::ReadAlone(known),
            None => {
                self.begun += 1;
                let (number, over) = (self.begun, CancellationToken::new());
                let begun = Begun { number, known, over: over.clone().drop_guard() };
                self.under_way = Some(UnderWay { runtime: runtime.id(), over });
                Step::Read(runtime, begun)
            }
        }
    }
}

impl<S> Slot<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Send + 'static> Slot<S> {
    /// Keeps a state as a snapshot if it is time to, and nobody else is about it.
    async fn keep(&self, loader: &Loader<S>, stream: &StreamName, entity: &Arc<Projection<S>>)
    where
        S: Sync,
    {
        let Some(claim) = self.claim(loader, entity) else { return };
        let is_written = loader.keep(stream, entity).await;
        claim.end(is_written);
    }

    fn claim(&self, loader: &Loader<S>, entity: &Projection<S>) -> Option<Claim<'_, S>> {
        let mut state = self.lock();
        let before = state.kept;
        let claimed = entity.version.filter(|_| loader.is_due(entity, before))?;
        state.kept = Some(claimed);
        Some(Claim { slot: self, claimed, before })
    }
}

/// A snapshot that one caller writes; if it is not written, or given up, another may try.
struct Claim<'a, S> {
    slot: &'a Slot<S>,
    claimed: Position,
    before: Option<Position>,
}

impl<S> Claim<'_, S> {
    fn end(mut self, is_written: bool) {
        if is_written {
            self.before = Some(self.claimed);
        }
    }
}

impl<S> Drop for Claim<'_, S> {
    fn drop(&mut self) {
        let mut state = self.slot.lock();
        if state.kept == Some(self.claimed) {
            state.kept = self.before;
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
            let mut state = slot.lock();
            state.written = state.begun;
        }
    }

    fn emptied(&self) -> Arc<dyn Shelf<S>> {
        Arc::new(Self::new(self.options.clone()))
    }
}

impl<S> Default for Slot<S> {
    fn default() -> Self {
        let (begun, written, failed) = (0, 0, 0);
        let (under_way, known, kept) = (None, None, None);
        Self(Mutex::new(State { begun, written, failed, under_way, known, kept }))
    }
}
