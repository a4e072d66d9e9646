//! The entities of a category: loaded from their streams, and decided with.
//!
//! Owns [`Entities`]. How one is loaded is `load.rs`, with `cache.rs` and `snapshots.rs`; how a
//! decision is written and made again is `transact.rs`.

#[cfg(feature = "cache")]
mod cache;
mod load;
mod snapshots;

use std::fmt;
use std::sync::Arc;

use evenfold_core::error::Rejection;
use evenfold_core::message::Messages;
use evenfold_core::projector::{Projection, Projector};
use evenfold_core::reducer::Reducer;
use evenfold_core::snapshot::Snapshot;
use evenfold_core::store::ReadStore;

use crate::transact::Transact;
use crate::{Category, EntityId, Error, Store, StreamName};
#[cfg(feature = "cache")]
pub use cache::EntityCache;
pub(crate) use load::{Freshness, Loader};
use snapshots::Keeper;
pub use snapshots::Snapshots;

/// The entities of a category, each the state of one stream.
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
///
/// #[derive(Message)]
/// struct Deposited { amount: u64 }
///
/// #[derive(Messages)]
/// #[messages(category = "account")]
/// enum AccountEvent { Deposited(Deposited) }
///
/// #[derive(Default)]
/// struct Account { balance: u64 }
///
/// #[reducer(AccountEvent)]
/// impl Account {
///     fn deposited(&mut self, event: &Deposited) { self.balance += event.amount }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let accounts = evenfold::connect("memory:").await?.entities::<Account>();
/// accounts.transact("123", |_| Ok(vec![Deposited { amount: 5 }.into()])).await?;
///
/// assert_eq!(accounts.load("123").await?.state.balance, 5);
/// assert!(accounts.get("nobody").await?.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Entities<S> {
    pub(crate) loader: Loader<S>,
    category: Category,
}

impl<S: Reducer + Default> Entities<S> {
    pub(crate) fn new(store: Store) -> Self {
        let projector = Arc::new(Projector::of_reducer());
        let loader = Loader { store, projector, snapshots: None, cache: None };
        Self { loader, category: S::Set::category() }
    }
}

impl<S: Reducer> Entities<S> {
    /// Finds the entities in another category than that of their set.
    #[must_use]
    pub fn in_category(mut self, category: Category) -> Self {
        self.category = category;
        self
    }

    /// Makes the states by another projector than the `#[reducer]` block alone, for instance one
    /// with a converter or another page size. A cache then begins empty. Snapshots are not used by
    /// one that stops at a position or a time. Another that makes other states of the same messages
    /// must have [a name of its own](Snapshots::named) for them, since nothing tells them apart.
    #[must_use]
    pub fn projected_by(mut self, projector: Projector<S>) -> Self {
        self.loader.projector = Arc::new(projector);
        self.loader.cache = self.loader.cache.map(|cache| cache.emptied());
        self
    }

    /// Keeps the states of long streams as messages, and begins with the last one that was kept: a
    /// load then reads that, and what has come since. See [`Snapshots`] and the derive
    /// [`Snapshot`](derive@crate::Snapshot).
    ///
    /// Laws:
    /// - *Never a wrong state.* A snapshot whose state had another shape, or which does not read, is
    ///   not used, but one among the last ten before it that can be. Where there is none, the entity is
    ///   made of all its messages, and a warning says so. So it is where the stream no longer has the
    ///   message that the snapshot stands after.
    /// - *Never in the way.* Where one is not written within a second, a warning says so, and the load
    ///   succeeds; until the store comes to that one it is asked for no other. A store that only reads is
    ///   not asked to.
    #[must_use]
    pub fn snapshots(mut self, snapshots: Snapshots) -> Self
    where
        S: Snapshot,
    {
        self.loader.snapshots = Some(Arc::new(Keeper::new(snapshots)));
        self
    }

    /// Keeps states in memory, shared by all clones of these entities: of a state that is there, only
    /// what is new is read. See [`EntityCache`].
    ///
    /// Laws:
    /// - *As new as without.* A state has every message that was in its stream when it was asked
    ///   for, unless [`max_age`](EntityCache::max_age) lets it be older.
    /// - *One read for many.* Those who ask for an entity while it is read share the next read. Nobody
    ///   waits for a caller who holds a load and does not go on with it. Across runtimes of tokio, and
    ///   outside of one, each reads for itself.
    /// - *Nothing half.* A read that fails or is given up leaves the state that was there.
    /// - *Nothing that never was.* Each time the store is asked, it is asked for the last message of the
    ///   state too. Where that is gone or another stands there, as after a backup was restored or a
    ///   server took over that lacked the last commits, the entity is made of all its messages, and a
    ///   warning says so.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn cached(mut self, cache: EntityCache) -> Self
    where
        S: Clone + Sync,
    {
        self.loader.cache = Some(Arc::new(cache::Slots::new(cache)));
        self
    }

    /// Loads an entity: its state and version. One without messages has the default state and no
    /// version. From a cache (feature `cache`) it is a copy; [`load_shared`](Self::load_shared) spares it.
    ///
    /// # Errors
    ///
    /// When a message does not read, a reducer fails, or the store does.
    pub async fn load(
        &self,
        id: impl TryInto<EntityId, Error: Into<Error>>,
    ) -> Result<Projection<S>, Error> {
        let stream = self.stream(id)?;
        Ok(self.loader.load(&stream, Freshness::AsCached).await?.into_projection())
    }

    /// Loads an entity to look at: a state from a cache (feature `cache`) is not copied.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub async fn load_shared(
        &self,
        id: impl TryInto<EntityId, Error: Into<Error>>,
    ) -> Result<Arc<Projection<S>>, Error> {
        let stream = self.stream(id)?;
        Ok(self.loader.load(&stream, Freshness::AsCached).await?.into_shared())
    }

    /// Loads an entity through another reader: through a store within a transaction of the
    /// application, which sees what it wrote itself. It begins with a snapshot where there is one, and
    /// neither keeps one nor looks into the cache.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub async fn load_through<R: ReadStore + ?Sized>(
        &self,
        reader: &R,
        id: impl TryInto<EntityId, Error: Into<Error>>,
    ) -> Result<Projection<S>, Error> {
        let stream = self.stream(id)?;
        Ok(self.loader.read_through(reader, &stream).await?.0)
    }

    /// Loads an entity if there is one.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub async fn get(
        &self,
        id: impl TryInto<EntityId, Error: Into<Error>>,
    ) -> Result<Option<S>, Error> {
        let Projection { state, version, .. } = self.load(id).await?;
        Ok(version.map(|_| state))
    }

    /// Loads an entity, decides by its state what happens, and writes that: `.await` it.
    ///
    /// Laws:
    /// - *Decided on what is there.* The events are written only if the stream has not changed since
    ///   it was read. If it has, only what is new is read, and the decision is made again, at most
    ///   [`attempts`](Transact::attempts) times.
    /// - *A lost reply is not a conflict.* When the store did not answer, the same messages are
    ///   written again under the same ids, so that a write that did happen is found.
    /// - *Followed once.* With [`following`](Transact::following), a message that is handled again
    ///   finds its events written and changes nothing, whatever would be decided now. So does a
    ///   request that is made again [under the same id](Transact::identified_by).
    pub fn transact<D>(
        &self,
        id: impl TryInto<EntityId, Error: Into<Error>>,
        decide: D,
    ) -> Transact<'_, S, D>
    where
        D: FnMut(&S) -> Result<Vec<S::Set>, Rejection> + Send,
    {
        Transact::new(self, self.stream(id), decide)
    }

    fn stream(&self, id: impl TryInto<EntityId, Error: Into<Error>>) -> Result<StreamName, Error> {
        Ok(self.category.stream(&id.try_into().map_err(Into::into)?))
    }
}

impl<S> Clone for Entities<S> {
    fn clone(&self) -> Self {
        Self { loader: self.loader.clone(), category: self.category.clone() }
    }
}

impl<S> fmt::Debug for Entities<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entities").field("category", &self.category).finish_non_exhaustive()
    }
}
