//! How an entity comes to be in memory: from the cache, from its last snapshot, or from its stream.
//!
//! Owns [`Loader`] and [`Loaded`]. What is kept and for how long is `cache.rs` and `snapshots.rs`.

use std::ops::Deref;
use std::sync::Arc;

use evenfold_core::projector::{Projection, Projector};
use evenfold_core::store::ReadStore;
use futures::future::BoxFuture;

use super::snapshots::Keeper;
use crate::{Error, Position, Store, StreamName, telemetry};

/// Everything that says how a state is made of a stream.
pub(crate) struct Loader<S> {
    pub(crate) store: Store,
    pub(crate) projector: Arc<Projector<S>>,
    pub(super) snapshots: Option<Arc<Keeper<S>>>,
    pub(super) cache: Option<Arc<dyn Shelf<S>>>,
}

/// A state in the hands of one caller, or shared with the cache.
pub(crate) enum Loaded<S> {
    Own(Projection<S>),
    /// Whether it was taken without asking the store.
    #[cfg_attr(not(feature = "cache"), expect(dead_code, reason = "only a cache shares states"))]
    Shared(Arc<dyn Shared<S>>, bool),
}

/// Whether a state that was read a while ago will do, where the cache says so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Newest,
    AsCached,
}

/// A cache, for those who do not know that a state can be copied and shared.
pub(crate) trait Shelf<S>: Send + Sync {
    fn load<'a>(
        &'a self,
        loader: &'a Loader<S>,
        stream: &'a StreamName,
        freshness: Freshness,
    ) -> BoxFuture<'a, Result<Loaded<S>, Error>>;

    /// Notes that the entity was written to, so that the store is asked before the next answer.
    fn written(&self, stream: &StreamName);

    /// Another one by the same options, for states that are made in another way.
    fn emptied(&self) -> Arc<dyn Shelf<S>>;
}

/// A state that several look at.
pub(crate) trait Shared<S>: Send + Sync {
    fn entity(&self) -> &Projection<S>;
    fn copy(&self) -> Projection<S>;
    fn share(self: Arc<Self>) -> Arc<Projection<S>>;
}

impl<S: Clone + Send + Sync> Shared<S> for Projection<S> {
    fn entity(&self) -> &Self {
        self
    }

    fn copy(&self) -> Self {
        self.clone()
    }

    fn share(self: Arc<Self>) -> Arc<Self> {
        self
    }
}

impl<S: Send + 'static> Loader<S> {
    /// The present state of an entity.
    pub(crate) async fn load(
        &self,
        stream: &StreamName,
        freshness: Freshness,
    ) -> Result<Loaded<S>, Error> {
        match &self.cache {
            Some(cache) => cache.load(self, stream, freshness).await,
            None => Ok(Loaded::Own(self.read(stream).await?)),
        }
    }

    /// Makes the newest state of one that was loaded before.
    pub(crate) async fn renew(
        &self,
        stream: &StreamName,
        loaded: &mut Loaded<S>,
    ) -> Result<(), Error> {
        match loaded {
            Loaded::Own(entity) => {
                self.refresh(self.store.messages(), stream, entity).await?;
                Ok(())
            }
            Loaded::Shared(..) => {
                *loaded = self.load(stream, Freshness::Newest).await?;
                Ok(())
            }
        }
    }

    /// Notes that an entity was written to, or may have been.
    pub(crate) fn written(&self, stream: &StreamName) {
        if let Some(cache) = &self.cache {
            cache.written(stream);
        }
    }

    /// Reads what an entity's stream has beyond a state; whether it was made anew, since the stream
    /// was another one, is the answer.
    async fn refresh<R: ReadStore + ?Sized>(
        &self,
        reader: &R,
        stream: &StreamName,
        entity: &mut Projection<S>,
    ) -> Result<bool, Error> {
        let version = entity.version;
        let is_anew = self.projector.refresh(reader, stream, entity).await?;
        if is_anew {
            telemetry::stream_rewritten(stream, version);
        }
        Ok(is_anew)
    }

    /// Reads an entity, and keeps it if it is time to.
    async fn read(&self, stream: &StreamName) -> Result<Projection<S>, Error> {
        let (entity, kept) = self.read_through(self.store.messages(), stream).await?;
        if self.is_due(&entity, kept) {
            self.keep(stream, &entity).await;
        }
        Ok(entity)
    }

    /// Reads an entity from its last snapshot on, or from the beginning; the version that it is
    /// kept at comes with it.
    pub(super) async fn read_through<R: ReadStore + ?Sized>(
        &self,
        reader: &R,
        stream: &StreamName,
    ) -> Result<(Projection<S>, Option<Position>), Error> {
        // A snapshot may be of a later time than the one at which the projector is to stop.
        let last = match &self.snapshots {
            Some(snapshots) if !self.projector.is_bounded() => {
                snapshots.last(reader, stream).await?
            }
            _ => None,
        };
        let kept = last.as_ref().and_then(|last| last.version);
        let mut entity = last.unwrap_or_else(|| self.projector.begin());
        let is_anew = self.refresh(reader, stream, &mut entity).await?;
        Ok((entity, kept.filter(|_| !is_anew)))
    }

    /// Whether it is time to keep a state that was last kept at this version.
    pub(super) fn is_due(&self, entity: &Projection<S>, kept: Option<Position>) -> bool {
        !self.projector.is_bounded()
            && !self.store.messages().only_reads()
            && self.snapshots.as_ref().is_some_and(|it| it.is_due(entity.version, kept))
    }

    /// Keeps a state; whether that was done is the answer.
    ///
    /// No `async fn`: the state is not looked at beyond the first step, so it need not be `Sync`.
    pub(super) fn keep(
        &self,
        stream: &StreamName,
        entity: &Projection<S>,
    ) -> impl Future<Output = bool> + Send + use<'_, S> {
        let snapshots = self.snapshots.as_ref();
        let due = snapshots.and_then(|it| it.of(self.store.ids(), stream, entity));
        async move {
            match due {
                Some(due) => due.write(&self.store).await,
                None => false,
            }
        }
    }
}

impl<S> Loaded<S> {
    /// Whether it was taken without asking the store.
    pub(crate) fn is_assumed(&self) -> bool {
        matches!(self, Self::Shared(_, true))
    }

    pub(crate) fn into_projection(self) -> Projection<S> {
        match self {
            Self::Own(entity) => entity,
            Self::Shared(entity, _) => entity.copy(),
        }
    }

    pub(crate) fn into_shared(self) -> Arc<Projection<S>> {
        match self {
            Self::Own(entity) => Arc::new(entity),
            Self::Shared(entity, _) => entity.share(),
        }
    }
}

impl<S> Deref for Loaded<S> {
    type Target = Projection<S>;

    fn deref(&self) -> &Projection<S> {
        match self {
            Self::Own(entity) => entity,
            Self::Shared(entity, _) => entity.entity(),
        }
    }
}

impl<S> Clone for Loader<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            projector: Arc::clone(&self.projector),
            snapshots: self.snapshots.clone(),
            cache: self.cache.clone(),
        }
    }
}
