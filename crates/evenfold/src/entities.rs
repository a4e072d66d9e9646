//! The entities of a category: loaded from their streams, and decided with.
//!
//! Owns [`Entities`]. How a decision is written and made again is `transact.rs`.

use std::fmt;
use std::sync::Arc;

use evenfold_core::error::Rejection;
use evenfold_core::message::Messages;
use evenfold_core::projector::{Projection, Projector};
use evenfold_core::reducer::Reducer;
use evenfold_core::store::ReadStore;

use crate::transact::Transact;
use crate::{Category, EntityId, Error, Store, StreamName};

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
    pub(crate) store: Store,
    pub(crate) projector: Arc<Projector<S>>,
    category: Category,
}

impl<S: Reducer + Default> Entities<S> {
    pub(crate) fn new(store: Store) -> Self {
        let projector = Arc::new(Projector::of_reducer());
        Self { store, projector, category: S::Set::category() }
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
    /// with a converter or another page size.
    #[must_use]
    pub fn projected_by(mut self, projector: Projector<S>) -> Self {
        self.projector = Arc::new(projector);
        self
    }

    /// Loads an entity: its state and version. One without messages has the default state and no
    /// version.
    ///
    /// # Errors
    ///
    /// When a message does not read, a reducer fails, or the store does.
    pub async fn load(
        &self,
        id: impl TryInto<EntityId, Error: Into<Error>>,
    ) -> Result<Projection<S>, Error> {
        let stream = self.stream(id)?;
        self.projector.run_on_stream(self.store.messages(), &stream).await
    }

    /// Loads an entity through another reader: through a store within a transaction of the
    /// application, which sees what it wrote itself.
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
        self.projector.run_on_stream(reader, &stream).await
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
        let Projection { state, version } = self.load(id).await?;
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
        Self {
            store: self.store.clone(),
            projector: Arc::clone(&self.projector),
            category: self.category.clone(),
        }
    }
}

impl<S> fmt::Debug for Entities<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entities").field("category", &self.category).finish_non_exhaustive()
    }
}
