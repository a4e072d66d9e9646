//! What the engines tell `tracing`, every event in one table.
//!
//! | event | level | fields |
//! |---|---|---|
//! | `subscriber started` | info | `subscriber`, `reads`, `backend` |
//! | `stopping` | info | none: a signal has come |
//! | `subscriber stopped` | info, or error when something failed | `subscriber`, `error` |
//! | `message rejected` | info | `subscriber`, `message_type`, `stream`, `position`, `global_position`, `reason` |
//! | `message skipped` | error | `subscriber`, `message_type`, `stream`, `position`, `global_position`, `error` |
//! | `version took over` | info | `subscriber`, `version` |
//! | `message parked` | error, or info behind another one | as `message skipped` |
//! | `attempt failed` | warn | `subscriber`, `attempt`, `error`, and the message's fields when there is one |
//! | `reply lost` | warn | `stream`, `error` |

use evenfold_core::message::Recorded;
use evenfold_core::store::SubscriberId;
use tracing::{error, info, warn};

use crate::subscriber::{Failure, Poller, Stopped};
use crate::{Error, StreamName};

pub(crate) fn started(subscriber: &Poller, backend: &str) {
    info!(subscriber = subscriber.id(), reads = subscriber.reads(), backend, "subscriber started");
}

pub(crate) fn stopping() {
    info!("stopping");
}

pub(crate) fn stopped(stopped: &Stopped) {
    let subscriber = &stopped.subscriber;
    if let Some(error) = stopped.error() {
        error!(%subscriber, ?error, "subscriber stopped");
    } else {
        info!(%subscriber, "subscriber stopped");
    }
}

pub(crate) fn rejected(subscriber: &SubscriberId, message: &Recorded, reason: &Error) {
    info!(
        %subscriber,
        message_type = &*message.message_type,
        stream = %message.stream_name,
        position = %message.position,
        global_position = %message.global_position,
        %reason,
        "message rejected"
    );
}

pub(crate) fn skipped(subscriber: &SubscriberId, message: &Recorded, error: &Error) {
    error!(
        %subscriber,
        message_type = &*message.message_type,
        stream = %message.stream_name,
        position = %message.position,
        global_position = %message.global_position,
        ?error,
        "message skipped"
    );
}

pub(crate) fn parked(subscriber: &SubscriberId, message: &Recorded, error: Option<&Error>) {
    let (message_type, stream) = (&*message.message_type, &message.stream_name);
    let (position, global_position) = (message.position.get(), message.global_position.get());
    if error.is_some() {
        error!(%subscriber, message_type, %stream, position, global_position, ?error, "message parked");
    } else {
        info!(%subscriber, message_type, %stream, position, global_position, "message parked");
    }
}

pub(crate) fn taken_over(subscriber: &SubscriberId, version: u32) {
    info!(%subscriber, version, "version took over");
}

pub(crate) fn failed(failure: &Failure<'_>) {
    let Failure { subscriber, message, error, attempt } = failure;
    warn!(
        subscriber,
        attempt,
        message_type = message.map(|message| &*message.message_type),
        stream = message.map(|message| message.stream_name.as_str()),
        position = message.map(|message| message.position.get()),
        global_position = message.map(|message| message.global_position.get()),
        ?error,
        "attempt failed"
    );
}

pub(crate) fn reply_lost(stream: &StreamName, error: &Error) {
    warn!(%stream, ?error, "reply lost");
}
