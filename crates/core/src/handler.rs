//! What a handler is, what it receives, and what its store hands it.
//!
//! Owns the contract that `#[handler]` fulfils. Who calls handlers, and what happens when one
//! fails, is `subscriber.rs`; the transaction in a context is `store/transaction.rs`.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::error::{DecodeError, Error, HandlerError, Invalid};
use crate::message::{Messages, Metadata, Recorded};
use crate::{EntityId, StreamName};

pub use crate::store::{Context, HandlerTransaction};

/// Handles every message of a set; `#[handler]` on an impl block writes it.
///
/// Laws:
/// - *Covered.* Every message of the set has a handler or is skipped by name; one that was
///   forgotten does not compile.
/// - *At least once.* A message may be handed over again after a crash or a failure, so handling it
///   twice must do no more than handling it once. What is written by following the message keeps
///   that by itself, see [`Received::ids_for`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "no `#[handler(…)]` for this type",
    note = "put `#[handler(TheSet)]` on an impl block of `{Self}`"
)]
pub trait Handler: Send + Sync + 'static {
    /// The set of messages that are handled.
    type Set: Messages;

    /// The name of the handler in logs, and in the ids of what it writes: pinned, like a type name.
    const NAME: &'static str;

    /// Whether messages of this type of the set are skipped by name, so that a subscriber need not read
    /// them.
    fn skips(message_type: &str) -> bool {
        let _ = message_type;
        false
    }

    /// Handles one message.
    ///
    /// # Errors
    ///
    /// Whatever the handler fails with; the subscriber's error policy decides what happens then.
    fn handle(
        &self,
        received: Received<Self::Set>,
        context: &mut Context,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// How one type of message is handled; `#[handler]` writes it for each of its methods.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler for `{M}`",
    label = "a handler for `{M}` is missing",
    note = "add `async fn …(&self, message: Received<{M}>)` to the `#[handler(…)]` block, \
            or say `skip({M})`"
)]
pub trait Handle<M>: Send + Sync + 'static {
    /// Handles one message of the type.
    ///
    /// # Errors
    ///
    /// Whatever the handler fails with.
    fn handle_message(
        &self,
        received: Received<M>,
        context: &mut Context,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// A message as a handler gets it: the value itself, its metadata, and where it came from.
///
/// It derefs to the message, so its fields are at hand.
#[derive(Debug)]
pub struct Received<M> {
    message: M,
    is_replay: bool,
    has_metadata: bool,
    origin: Arc<Origin>,
}

#[derive(Debug)]
struct Origin {
    recorded: Arc<Recorded>,
    metadata: Metadata,
    receiver: Arc<str>,
    /// The writes that followed the message and are settled: the stream and the name of the step.
    followed: Mutex<HashSet<(StreamName, String)>>,
}

impl<M> Received<M> {
    /// A message with where it came from; `receiver` names who handles it, and it is the same name
    /// whenever the message is handed over again.
    ///
    /// # Errors
    ///
    /// When the metadata does not read.
    pub fn new(
        message: M,
        recorded: impl Into<Arc<Recorded>>,
        receiver: impl Into<Arc<str>>,
    ) -> Result<Self, DecodeError> {
        let (recorded, receiver) = (recorded.into(), receiver.into());
        let metadata = recorded.metadata()?;
        let origin = Origin { recorded, metadata, receiver, followed: Mutex::default() };
        Ok(Self { message, is_replay: false, has_metadata: true, origin: Arc::new(origin) })
    }

    /// The same message, which was handled before and comes again to rebuild what was made of it.
    #[must_use]
    pub fn replayed(self) -> Self {
        Self { is_replay: true, ..self }
    }

    /// Whether the message was handled before and comes again to rebuild what was made of it: after a
    /// reset, or because a new version of the subscriber catches up with the one before. Effects that
    /// are seen outside, such as a mail, are to be left out then.
    ///
    /// A parked message that is handled again is none: it was not done with before, so its effects are
    /// still to come.
    pub fn is_replay(&self) -> bool {
        self.is_replay
    }

    /// The same message, of which the metadata was not read: nothing can follow it.
    #[must_use]
    pub fn without_metadata(self) -> Self {
        Self { has_metadata: false, ..self }
    }

    /// Demands that the metadata was read, for whoever follows the message or replies to it.
    ///
    /// # Errors
    ///
    /// When the subscriber asked for none.
    pub fn require_metadata(&self) -> Result<(), Invalid> {
        if self.has_metadata {
            return Ok(());
        }
        let rule = "its subscriber reads no metadata, so nothing can follow it; leave out \
                    `.without_metadata()`";
        Err(Invalid::new("message to follow", &self.recorded().message_type, rule))
    }

    /// The same origin with what `f` makes of the message.
    pub fn map<N>(self, f: impl FnOnce(M) -> N) -> Received<N> {
        let Self { message, is_replay, has_metadata, origin } = self;
        Received { message: f(message), is_replay, has_metadata, origin }
    }

    /// The message alone.
    pub fn into_message(self) -> M {
        self.message
    }

    /// The message with the same origin, apart.
    pub(crate) fn split(self) -> (M, Received<()>) {
        let Self { message, is_replay, has_metadata, origin } = self;
        (message, Received { message: (), is_replay, has_metadata, origin })
    }

    /// The message as it was recorded, with its place.
    pub fn recorded(&self) -> &Recorded {
        &self.origin.recorded
    }

    /// The metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.origin.metadata
    }

    /// The id of the entity whose stream the message stands in.
    ///
    /// # Errors
    ///
    /// When the stream is a category alone, as that of a command without an id.
    pub fn entity_id(&self) -> Result<EntityId, Error> {
        let stream = &self.recorded().stream_name;
        stream.entity_id().ok_or_else(|| {
            let rule = "a message of this stream has no entity id";
            Invalid::new("stream name", stream, rule).into()
        })
    }

    /// The same origin without the message.
    pub fn origin(&self) -> Received<()> {
        let (is_replay, has_metadata) = (self.is_replay, self.has_metadata);
        Received { message: (), is_replay, has_metadata, origin: Arc::clone(&self.origin) }
    }

    /// The ids of the messages that one write to a stream gets by following this message.
    ///
    /// Law: they are made of the id of this message, of who received it, of the stream and of the
    /// name of the step, and of nothing else. So a handler that gets the message again writes under
    /// the same ids again, whatever it did before, and the store answers that it has them. A handler
    /// that writes to one stream more than once names each of those steps; one empty name is free.
    ///
    /// # Errors
    ///
    /// When a write to this stream under this step has [settled](Self::followed) already: the second
    /// would be taken for the first. When the [metadata](Self::require_metadata) was not read.
    pub fn ids_for(&self, stream: &StreamName, step: &str) -> Result<BatchIds, Invalid> {
        self.require_metadata()?;
        if self.followers().contains(&(stream.clone(), step.to_owned())) {
            let rule = if step.is_empty() {
                "the message was followed to this stream before; name each write: `.step(\"…\")`"
            } else {
                "the message was followed to this stream by a step of this name before"
            };
            return Err(Invalid::new("stream to follow to", stream, rule));
        }
        Ok(self.ids_again(stream, step))
    }

    /// The same ids, whether a write under this step has settled or not: for a writer who learns from
    /// the store that the second is the first, as one does whose first was rolled back.
    pub fn ids_again(&self, stream: &StreamName, step: &str) -> BatchIds {
        let Origin { recorded, receiver, .. } = &*self.origin;
        let scope = Uuid::new_v5(&recorded.id, receiver.as_bytes());
        let name = format!("{stream}#{step}");
        BatchIds::of(Uuid::new_v5(&scope, name.as_bytes()))
    }

    /// Notes that a write to a stream that followed this message has a known outcome.
    pub fn followed(&self, stream: &StreamName, step: &str) {
        self.followers().insert((stream.clone(), step.to_owned()));
    }

    fn followers(&self) -> MutexGuard<'_, HashSet<(StreamName, String)>> {
        self.origin.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Deref for Received<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.message
    }
}

/// The ids of one batch, all made of the first: the same first, the same ids.
#[derive(Clone, Copy, Debug)]
pub struct BatchIds {
    first: Uuid,
}

impl BatchIds {
    /// The ids of a batch whose first message has this one.
    pub fn of(first: Uuid) -> Self {
        Self { first }
    }

    /// The id of the first message.
    pub fn first(self) -> Uuid {
        self.first
    }

    /// The id of the message at this place of the batch, counted from 0.
    pub fn at(self, index: usize) -> Uuid {
        match index {
            0 => self.first,
            _ => Uuid::new_v5(&self.first, index.to_string().as_bytes()),
        }
    }
}
