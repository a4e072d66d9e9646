//! One message to the handlers that want it.
//!
//! Owns decoding by each handler's set, the order of handlers, and what counts as a fault. When to
//! try again is decided by the machine in evenfold-core.

use std::panic::AssertUnwindSafe;

use evenfold_core::error::HandlerError;
use evenfold_core::handler::{Context, Handler, Received};
use evenfold_core::message::{Messages, Recorded};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::Error;

/// A handler whose set is known to it alone.
pub(super) trait Dispatch: Send + Sync {
    fn name(&self) -> &'static str;
    fn category(&self) -> &'static str;

    fn dispatch<'a>(
        &'a self,
        recorded: &'a Recorded,
        subscriber: &'a str,
        context: &'a mut Context,
    ) -> BoxFuture<'a, Result<Answer, Fault>>;
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
}

impl Fault {
    /// What a fault of the subscriber's own store means to the message in hand.
    pub(super) fn of_store(error: Error) -> Self {
        if error.is_unavailable() { Self::Unavailable(error) } else { Self::Failed(error) }
    }
}

pub(super) struct Bound<H>(pub(super) H);

impl<H: Handler> Dispatch for Bound<H> {
    fn name(&self) -> &'static str {
        H::NAME
    }

    fn category(&self) -> &'static str {
        H::Set::CATEGORY
    }

    fn dispatch<'a>(
        &'a self,
        recorded: &'a Recorded,
        subscriber: &'a str,
        context: &'a mut Context,
    ) -> BoxFuture<'a, Result<Answer, Fault>> {
        async move {
            let hopeless = |error| Fault::Hopeless(Error::from(error));
            let Some(message) = H::Set::decode(recorded).map_err(hopeless)? else {
                return Ok(Answer::Unwanted);
            };
            // The name of a handler is part of the ids of what it writes, so that two handlers of
            // one subscriber that follow the same message do not take each other's.
            let receiver = format!("{subscriber}/{}", H::NAME);
            let message = Received::new(message, recorded.clone(), &receiver).map_err(hopeless)?;
            match AssertUnwindSafe(self.0.handle(message, context)).catch_unwind().await {
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
