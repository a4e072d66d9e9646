//! One message to the handlers that want it.
//!
//! Owns decoding by each handler's set, the order of handlers, what counts as a fault, and how what
//! they did is committed. When to try again is decided by the machine in evenfold-core.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use evenfold_core::error::HandlerError;
use evenfold_core::handler::{Context, Handler, Received};
use evenfold_core::message::{Messages, NewMessage, Recorded};
use evenfold_core::store::{SubscriberId, WriteStore};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::records::superseded;
use super::work::Work;
use crate::{Error, ExpectedVersion, Position, StreamName};

/// A handler whose set is known to it alone.
pub(super) trait Dispatch: Send + Sync {
    fn name(&self) -> &'static str;
    fn category(&self) -> &'static str;

    /// The types that it handles, and does not skip by name.
    fn types(&self) -> Vec<&'static str>;

    fn dispatch<'a>(
        &'a self,
        recorded: &'a Arc<Recorded>,
        manner: Manner,
        context: &'a mut Context,
    ) -> BoxFuture<'a, Result<Answer, Fault>>;
}

/// How a message comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    is_replay: bool,
    has_metadata: bool,
}

/// What a handler made of a message.
pub(super) enum Answer {
    Handled,
    /// It said no, which is an answer.
    Rejected(Error),
    /// Its type is not in the handler's set.
    Unwanted,
}

/// Why a message could not be handled.
pub(super) enum Fault {
    /// It would fail again: the message does not read.
    Hopeless(Error),
    /// It may succeed when it is tried again.
    Failed(Error),
    /// A store did not answer, which is no fault of the message.
    Unavailable(Error),
    /// Another process records the progress of this subscriber.
    Superseded(Error),
}

impl Fault {
    /// What a fault of the subscriber's own store means to the message in hand.
    pub(super) fn of_store(error: Error) -> Self {
        if error.is_unavailable() {
            Self::Unavailable(error)
        } else if error.is_superseded() {
            Self::Superseded(error)
        } else {
            Self::Failed(error)
        }
    }
}

/// What became of a message that did not fail.
pub(super) struct Handled {
    pub(super) is_wanted: bool,
    pub(super) rejected: Vec<Error>,
    /// Where the record stands that was committed with the effects.
    pub(super) committed: Option<Position>,
}

/// What is to be written in the transaction of the effects, at its end.
pub(super) struct Seal<'a> {
    pub(super) stream: &'a StreamName,
    pub(super) message: NewMessage,
    pub(super) expected: ExpectedVersion,
    /// The subscriber whose progress it is, if it is that.
    pub(super) of: Option<&'a SubscriberId>,
    /// It may stand already, for the reply to an earlier commit of it was lost. That is found out
    /// before the handlers do again what cannot be done twice.
    pub(super) is_unsure: bool,
}

impl Seal<'_> {
    /// What it means that the seal was not written.
    fn fault(&self, error: Error) -> Fault {
        match self.of {
            Some(id) => Fault::of_store(superseded(error, id)),
            // Somebody noted something else in between, so it is looked at anew.
            None if error.is_conflict() => Fault::Unavailable(error),
            None => Fault::of_store(error),
        }
    }
}

impl Work {
    /// Hands a message to its handlers; where there is a seal, within a transaction of the store that
    /// is committed with it.
    pub(super) async fn handle(
        &self,
        recorded: &Arc<Recorded>,
        seal: Option<Seal<'_>>,
        is_replay: bool,
    ) -> Result<Handled, Fault> {
        let Some(seal) = seal else {
            return self.dispatch(recorded, is_replay, &mut Context::empty()).await;
        };
        if seal.is_unsure {
            let store = self.store.messages();
            let stands = store.message(seal.message.id()).await.map_err(Fault::of_store)?;
            if let Some(seal) = stands {
                let (is_wanted, committed) = (true, Some(seal.position));
                return Ok(Handled { is_wanted, rejected: Vec::new(), committed });
            }
        }
        let mut context = self.store.messages().context().await.map_err(Fault::of_store)?;
        // By the mark a store knows a call that would wait for the end of the transaction that it is made
        // in; and a statement on a server that the store has left would be waited for in vain.
        let (mark, lost) = (context.inside().unwrap_or_default(), context.lost());
        let handled = tokio::select! {
            biased;
            handled = mark.run(self.dispatch(recorded, is_replay, &mut context)) => handled,
            error = lost => Err(Fault::of_store(error)),
        };
        match handled {
            Ok(handled) if handled.is_wanted => self.commit(context, handled, seal).await,
            other => {
                context.rollback().await;
                other
            }
        }
    }

    async fn commit(
        &self,
        context: Context,
        handled: Handled,
        seal: Seal<'_>,
    ) -> Result<Handled, Fault> {
        let wrote = context.wrote();
        let message = std::slice::from_ref(&seal.message);
        let written = match context.write(seal.stream, message, seal.expected).await {
            Ok(written) => written,
            Err(error) => {
                context.rollback().await;
                return Err(seal.fault(error));
            }
        };
        if written.is_repetition() {
            // The reply to an earlier commit was lost, and the effects are there.
            context.rollback().await;
        } else {
            context.commit().await.map_err(|error| seal.fault(error))?;
        }
        for category in &wrote {
            self.store.announce(category);
        }
        Ok(Handled { committed: Some(written.last()), ..handled })
    }

    /// Hands a message to each handler in turn, within one context.
    pub(super) async fn dispatch(
        &self,
        recorded: &Arc<Recorded>,
        is_replay: bool,
        context: &mut Context,
    ) -> Result<Handled, Fault> {
        // What was parked is read whole, and comes as it came before.
        let is_too_much = !self.has_metadata && recorded.metadata_json.is_some();
        let bare = is_too_much.then(|| Arc::new(Recorded::clone(recorded).without_metadata()));
        let recorded = bare.as_ref().unwrap_or(recorded);
        let converted = self.converters.convert(recorded).map_err(Fault::Hopeless)?.map(Arc::new);
        let recorded = converted.as_ref().unwrap_or(recorded);
        let mut handled = Handled { is_wanted: false, rejected: Vec::new(), committed: None };
        let category = recorded.stream_name.category_str();
        let manner = Manner { is_replay, has_metadata: self.has_metadata };
        for handler in &*self.handlers {
            // A type of the same name in another category is another message.
            if self.is_of_many() && handler.category() != category {
                continue;
            }
            match handler.dispatch(recorded, manner, context).await? {
                Answer::Unwanted => continue,
                Answer::Handled => {}
                Answer::Rejected(error) => handled.rejected.push(error),
            }
            handled.is_wanted = true;
        }
        if self.strict && !handled.is_wanted {
            let doing =
                format!("subscriber `{}` is strict and meets {}", self.id, recorded.place());
            return Err(Fault::Hopeless(Error::failed(doing, "its type is in no handler's set")));
        }
        Ok(handled)
    }
}

/// A handler of a subscriber.
pub(super) struct Bound<H> {
    handler: H,
    /// Who receives: the name of a handler is part of the ids of what it writes, so that two handlers
    /// of one subscriber that follow the same message do not take each other's.
    receiver: Arc<str>,
}

impl<H: Handler> Bound<H> {
    pub(super) fn to(subscriber: &str, handler: H) -> Box<dyn Dispatch> {
        let receiver = format!("{subscriber}/{}", H::NAME).into();
        Box::new(Self { handler, receiver })
    }
}

impl<H: Handler> Dispatch for Bound<H> {
    fn name(&self) -> &'static str {
        H::NAME
    }

    fn category(&self) -> &'static str {
        H::Set::CATEGORY
    }

    fn types(&self) -> Vec<&'static str> {
        H::Set::TYPES.iter().copied().filter(|name| !H::skips(name)).collect()
    }

    fn dispatch<'a>(
        &'a self,
        recorded: &'a Arc<Recorded>,
        Manner { is_replay, has_metadata }: Manner,
        context: &'a mut Context,
    ) -> BoxFuture<'a, Result<Answer, Fault>> {
        async move {
            let hopeless = |error| Fault::Hopeless(Error::from(error));
            let Some(message) = H::Set::decode(recorded).map_err(hopeless)? else {
                return Ok(Answer::Unwanted);
            };
            let (origin, receiver) = (Arc::clone(recorded), Arc::clone(&self.receiver));
            let message = Received::new(message, origin, receiver).map_err(hopeless)?;
            let message = if is_replay { message.replayed() } else { message };
            let message = if has_metadata { message } else { message.without_metadata() };
            match AssertUnwindSafe(self.handler.handle(message, context)).catch_unwind().await {
                Ok(Ok(())) => Ok(Answer::Handled),
                Ok(Err(error)) => judge(error, recorded, H::NAME),
                Err(panic) => judge(panic_text(&*panic).into(), recorded, H::NAME),
            }
        }
        .boxed()
    }
}

fn judge(error: HandlerError, recorded: &Recorded, handler: &str) -> Result<Answer, Fault> {
    if let Some(rejected) = error.as_error().filter(|error| error.is_rejection()) {
        return Ok(Answer::Rejected(rejected.clone()));
    }
    let doing = format!("handling {} by `{handler}`", recorded.place());
    if error.as_error().is_some_and(Error::is_unavailable) {
        return Err(Fault::Unavailable(Error::unavailable(doing, error.into_inner())));
    }
    Err(Fault::Failed(Error::failed(doing, error.into_inner())))
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a text"))
}
