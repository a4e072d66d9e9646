//! Load, decide, write; on a conflict read what is new and decide again.
//!
//! Owns [`Transact`] and the settling of a write whose reply was lost.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use evenfold_core::Ids;
use evenfold_core::error::{DuplicateId, Invalid, Rejection};
use evenfold_core::handler::{BatchIds, Received};
use evenfold_core::message::{Encode, Metadata, NewMessage, Recorded};
use evenfold_core::reducer::Reducer;
use evenfold_core::subscriber::ErrorPolicy;
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::entities::{Freshness, Loader};
use crate::marks::{Marks, send};
use crate::{Entities, Error, Position, Store, StreamName};

/// How often a decision is made before a conflict is given up on.
const ATTEMPTS: u32 = 10;

/// The pauses before the third attempt and each one after it, which draw writers of one entity apart:
/// those that read, decide and write at the same pace would collide each time.
const PAUSES: ErrorPolicy =
    ErrorPolicy::stop().delays(Duration::from_millis(4), Duration::from_millis(250)).jitter(100);

/// A decision that is about to be made and written: `.await` it.
#[must_use = "nothing is decided until it is awaited"]
pub struct Transact<'a, S: Reducer, D> {
    entities: &'a Entities<S>,
    stream: Result<StreamName, Error>,
    decide: D,
    attempts: u32,
    marks: Marks,
}

/// What a decision came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transacted {
    /// Its messages were written, the last of them at this position.
    Written(Position),
    /// It was nothing: no message was written.
    Nothing,
    /// The message that it follows, or the request that it is identified by, had been decided on
    /// before: nothing was written again. Or by this call, where a reply was lost on the way.
    Before,
}

impl<'a, S, D> Transact<'a, S, D>
where
    S: Reducer,
    D: FnMut(&S) -> Result<Vec<S::Set>, Rejection> + Send,
{
    pub(crate) fn new(
        entities: &'a Entities<S>,
        stream: Result<StreamName, Error>,
        decide: D,
    ) -> Self {
        Self { entities, stream, decide, attempts: ATTEMPTS, marks: Marks::default() }
    }

    /// Writes the events as followers of a received message: with its correlation, causation, reply
    /// stream and properties, and under ids made of its id, so that they are written once however
    /// often it is handled.
    ///
    /// A handler that decides on one stream by following more than once names each
    /// [`step`](Self::step); without names the second decision is refused.
    pub fn following<M>(mut self, received: &Received<M>) -> Self {
        self.marks.following = Some(received.origin());
        self
    }

    /// Names this decision among those that follow one message to the same stream.
    pub fn step(mut self, name: impl Into<String>) -> Self {
        self.marks.step = name.into();
        self
    }

    /// Writes the events with this metadata; what they follow is added to it, where it does not name
    /// a correlation or a reply stream of its own.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.marks.metadata = Some(metadata);
        self
    }

    /// Writes the first event under this id, and the others under ids made of it: so a request that
    /// is made again under the same id, by a client that lost the reply, changes nothing, whatever
    /// would be decided now.
    pub fn identified_by(mut self, id: Uuid) -> Self {
        self.marks.identity = Some(BatchIds::of(id));
        self
    }

    /// Decides at most so often before a conflict is given up on; 10 times by default.
    ///
    /// A decision on a state that was taken without asking the store (`EntityCache::max_age`) is
    /// not counted. After the second conflict and each one after it there is a pause of a random
    /// length: of at most 4 ms, then twice that each time, and never more than 250 ms.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    async fn run(self) -> Result<Transacted, Error> {
        let Self { entities, stream, mut decide, attempts, marks } = self;
        let stream = stream?;
        let loader = &entities.loader;
        if loader.projector.is_bounded() {
            let rule = "it stops at a position or a time, and a decision needs the present state";
            return Err(Invalid::new("projector of", &stream, rule).into());
        }
        if attempts == 0 {
            return Err(Invalid::new("attempts", attempts, "it is 1 or more").into());
        }
        let ids = marks.ids(&stream)?;
        let writer = Writer { store: &loader.store, stream: &stream, marks: &marks, ids };
        let mut entity = loader.load(&stream, Freshness::AsCached).await?;
        let mut attempt = 1;
        loop {
            let mut decision = decide(&entity.state);
            if entity.is_assumed() && !writes(&decision) {
                // Nothing that is written would show that the state was an old one.
                loader.renew(&stream, &mut entity).await?;
                decision = decide(&entity.state);
            }
            let is_assumed = entity.is_assumed();
            let outcome = match decision {
                Ok(events) if events.is_empty() => {
                    writer.without_a_write(Ok(Transacted::Nothing)).await
                }
                Ok(events) => {
                    let messages = writer.encode(&events)?;
                    let _noted = Noted { loader, stream: &stream };
                    writer.write(messages, entity.version).await
                }
                Err(rejection) => writer.without_a_write(Err(rejection.into())).await,
            };
            let conflict = outcome.as_ref().err().and_then(Error::conflict).cloned();
            match (conflict, outcome) {
                (Some(conflict), _) if attempt == attempts && !is_assumed => {
                    return Err(Error::exhausted(attempts, conflict));
                }
                (Some(_), _) => {}
                (None, Err(error)) if error.is_unavailable() => return Err(error),
                (None, outcome) => {
                    marks.settle(&stream);
                    return outcome;
                }
            }
            attempt += u32::from(!is_assumed);
            pause_before(attempt, loader.store.ids()).await;
            loader.renew(&stream, &mut entity).await?;
        }
    }
}

/// Waits before the third attempt and each one after it.
async fn pause_before(attempt: u32, ids: &dyn Ids) {
    if let Some(pauses) = attempt.checked_sub(3) {
        // Others are given other ids, so they hardly wait as long.
        let (_, random) = ids.next().as_u64_pair();
        tokio::time::sleep(PAUSES.delay(pauses, random.cast_signed())).await;
    }
}

/// Notes that an entity was written to, or may have been: also when the write is given up.
struct Noted<'a, S: Reducer> {
    loader: &'a Loader<S>,
    stream: &'a StreamName,
}

impl<S: Reducer> Drop for Noted<'_, S> {
    fn drop(&mut self) {
        self.loader.written(self.stream);
    }
}

fn writes<E>(decision: &Result<Vec<E>, Rejection>) -> bool {
    decision.as_ref().is_ok_and(|events| !events.is_empty())
}

/// Writes what was decided, and knows what was decided before.
struct Writer<'a> {
    store: &'a Store,
    stream: &'a StreamName,
    marks: &'a Marks,
    ids: Option<BatchIds>,
}

impl Writer<'_> {
    fn encode<E: Encode>(&self, events: &[E]) -> Result<Vec<NewMessage>, Error> {
        let mut messages = Vec::with_capacity(events.len());
        for event in events {
            messages.push(event.encode(self.store.ids().next())?);
        }
        self.marks.put_on(&mut messages, self.ids);
        Ok(messages)
    }

    /// A lost reply is settled before a conflict could make us decide a second time on what we wrote
    /// ourselves.
    async fn write(
        &self,
        messages: Vec<NewMessage>,
        version: Option<Position>,
    ) -> Result<Transacted, Error> {
        match send(self.store, self.stream, &messages, version.into(), self.ids).await {
            Ok(written) if written.is_repetition() => Ok(Transacted::Before),
            Ok(written) => Ok(Transacted::Written(written.last())),
            Err(error) if self.is_decided_before(&error) => Ok(Transacted::Before),
            Err(error) => Err(error),
        }
    }

    /// Whether the first id of what would be written belongs to what this stream got before for the
    /// same message or request: it was decided then, on another state, and that decision stands.
    fn is_decided_before(&self, error: &Error) -> bool {
        match (self.ids, error.duplicate_id()) {
            (Some(ids), Some(taken)) => taken.id() == ids.first() && taken.stream() == self.stream,
            _ => false,
        }
    }

    /// The outcome of a decision that writes nothing, unless it was made before and did write: a
    /// withdrawal that emptied an account is not refused when it is handled again.
    async fn without_a_write(
        &self,
        outcome: Result<Transacted, Error>,
    ) -> Result<Transacted, Error> {
        let Some(ids) = self.ids else { return outcome };
        match self.store.messages().message(ids.first()).await? {
            Some(found) if found.stream_name == *self.stream => Ok(Transacted::Before),
            Some(Recorded { id, stream_name, position, .. }) => {
                Err(DuplicateId::new(id, stream_name, position).into())
            }
            None => outcome,
        }
    }
}

impl<'a, S, D> IntoFuture for Transact<'a, S, D>
where
    S: Reducer,
    D: FnMut(&S) -> Result<Vec<S::Set>, Rejection> + Send + 'a,
{
    type Output = Result<Transacted, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

impl<S: Reducer, D> fmt::Debug for Transact<'_, S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transact")
            .field("stream", &self.stream)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
