//! What evenfold tells while it runs, for operators: every name that it uses, in one table.
//!
//! Events and spans go to [`tracing`], numbers to the facade [`metrics`]. Nothing is installed by
//! evenfold and nothing is exported: an application installs a subscriber of the one and a recorder of
//! the other as for everything else that it uses. Where there is no recorder, nothing is measured.
//!
//! | name | kind | fields | what it says |
//! |---|---|---|---|
//! | `subscriber started` | info event | `subscriber`, `reads`, `backend` | it begins to run |
//! | `stopping` | info event | | a signal has come |
//! | `subscriber stopped` | info or error event | `subscriber`, `error` | it has stopped; an error when something failed |
//! | `message rejected` | info event | `subscriber`, `message_type`, `stream`, `position`, `global_position`, `reason` | a handler said no, which is an answer |
//! | `message skipped` | error event | `subscriber`, `message_type`, `stream`, `position`, `global_position`, `error` | it failed, and the error policy passes over it |
//! | `message parked` | info or error event | `subscriber`, `message_type`, `stream`, `position`, `global_position`, `error` | it is set aside: it failed, or it waits behind one that did |
//! | `version took over` | info event | `subscriber`, `version` | a new version of a subscriber has caught up with the one before |
//! | `attempt failed` | warn event | `subscriber`, `attempt`, `message_type`, `stream`, `position`, `global_position`, `error` | a message failed once, or without one the store |
//! | `reading held up` | warn event | `subscriber`, `by`, `since` | one that is merged waits for this transaction to end; told once of each |
//! | `reply lost` | warn event | `stream`, `error` | a write is sent again, for the store did not answer |
//! | `snapshot not used` | warn or debug event | `stream`, `error` | a kept state is not believed; the entity is made of all its messages, or debug: of an older one, or what another client kept is passed over |
//! | `snapshot not kept` | warn event | `stream`, `error` | a state could not be kept; the entity was loaded all the same |
//! | `stream rewritten` | warn event | `stream`, `version` | the last message of a state at this version is gone or another one; the entity is made of all messages |
//! | `evenfold.handle` | info span | `subscriber`, `message_type`, `stream`, `position`, `global_position`, `attempt`, `traceparent` | around each attempt of a message |
//! | `evenfold_subscriber_handled_total` | counter | `subscriber`, `reads`, `progress` | messages that a handler handled |
//! | `evenfold_subscriber_passed_over_total` | counter | `subscriber`, `reads`, `progress` | messages that no handler wants |
//! | `evenfold_subscriber_rejected_total` | counter | `subscriber`, `reads`, `progress` | messages whose handling ended in a rejection |
//! | `evenfold_subscriber_failed_total` | counter | `subscriber`, `reads`, `progress` | failed attempts, of a message or to reach the store |
//! | `evenfold_subscriber_skipped_total` | counter | `subscriber`, `reads`, `progress` | messages passed over for the error policy |
//! | `evenfold_subscriber_parked_total` | counter | `subscriber`, `reads`, `progress` | messages set aside |
//! | `evenfold_subscriber_replayed_total` | counter | `subscriber`, `reads`, `progress` | messages that were set aside and are done with now |
//! | `evenfold_subscriber_handling_seconds` | histogram | `subscriber`, `reads`, `progress` | how long an attempt took, from its beginning to its commit |
//! | `evenfold_subscriber_in_flight` | gauge | `subscriber`, `reads`, `progress` | messages with their handlers now |
//! | `evenfold_subscriber_oldest_in_flight_seconds` | gauge | `subscriber`, `reads`, `progress` | how long the oldest of them has been there |
//! | `evenfold_subscriber_read_ahead` | gauge | `subscriber`, `reads`, `progress` | messages read and not done with |
//! | `evenfold_subscriber_retrying` | gauge | `subscriber`, `reads`, `progress` | messages that failed and come again |
//! | `evenfold_subscriber_parked` | gauge | `subscriber`, `reads`, `progress` | messages that stand parked |
//! | `evenfold_subscriber_lanes` | gauge | `subscriber`, `reads`, `progress` | buckets whose lease it holds; 1 of a subscriber that shares nothing |
//! | `evenfold_subscriber_lag_messages` | gauge | `subscriber`, `reads`, `progress` | messages before it |
//! | `evenfold_subscriber_lag_seconds` | gauge | `subscriber`, `reads`, `progress` | the age of the oldest of them |
//!
//! # Numbers
//!
//! `reads` is the category or stream that is read, `progress` the position stream. That one tells
//! versions and members of a group apart, which may run side by side in one process.
//!
//! Counters count as things happen. Gauges are as of the last second while a subscriber runs, and as
//! of the end of a call of one that is driven by hand. The recorder is to be installed before the
//! subscriber is built.
//!
//! Lag is measured while a subscriber runs, every 10 s, beside the handling of messages. To measure it
//! is to count what is before it, so the next measure waits at least ten times as long as the last one
//! took. A stored category is counted exactly, for a member of a group its part; of a subscriber
//! of all categories the lag is not measured, only told by the status.
//!
//! What to be alarmed by: `lag_seconds` that rises, `oldest_in_flight_seconds` beyond what a handler
//! may take, `retrying` that stays above zero, and any increase of `skipped_total` or `parked_total`.
//!
//! # Status
//!
//! Numbers are of one process. [`Store::status`](crate::Store::status) asks the store instead: every
//! subscriber that has recorded progress there, with its lag, its state and the reason, what it has
//! parked, and the members that share its work; a line of text each.
//!
//! # Traces
//!
//! The [trace context](https://www.w3.org/TR/trace-context/) of W3C travels in the metadata of a
//! message, as the properties `traceparent` and `tracestate`. What follows a message takes over its
//! properties, here and in Eventide's clients, so a trace reaches everything that comes of its first
//! message; the span around each attempt shows it.
//!
//! With the feature `opentelemetry` the chain is complete, for applications that install the layer of
//! `tracing-opentelemetry`: the span of an attempt is a child of the span in which the message was
//! written, and what is written within a span carries that span. Nothing is put on a message whose
//! given metadata has a `traceparent`, or outside of every span.
//!
//! The span is of level info; a filter such as `evenfold::telemetry=warn` saves what it costs, and with
//! it the link to the spans within handlers.

mod meters;
mod names;
mod trace;

use evenfold_core::message::Recorded;
use evenfold_core::store::{HeldUp, SubscriberId};
use tracing::{Span, debug, error, field, info, info_span, warn};

use crate::subscriber::{Failure, Poller, Stopped};
use crate::{Error, Position, StreamName};

pub(crate) use meters::{Labels, Meters, State};
use names::{
    FAILED, HANDLE, HELD_UP, PARKED, REJECTED, REPLY_LOST, SKIPPED, SNAPSHOT_NOT_KEPT,
    SNAPSHOT_NOT_USED, STARTED, STOPPED, STOPPING, STREAM_REWRITTEN, TAKEN_OVER,
};
#[cfg(feature = "opentelemetry")]
pub(crate) use trace::put_on;

/// The span around an attempt of a message.
pub(crate) fn handling(subscriber: &SubscriberId, message: &Recorded, attempt: u32) -> Span {
    let span = info_span!(
        HANDLE,
        %subscriber,
        message_type = &*message.message_type,
        stream = %message.stream_name,
        position = message.position.get(),
        global_position = message.global_position.get(),
        attempt,
        traceparent = field::Empty,
    );
    // Metadata is read for whoever wants to see it.
    if !span.is_disabled() {
        trace::go_on(&span, message);
    }
    span
}

pub(crate) fn started(subscriber: &Poller, backend: &str) {
    info!(subscriber = subscriber.id(), reads = subscriber.reads(), backend, "{STARTED}");
}

pub(crate) fn stopping() {
    info!("{STOPPING}");
}

pub(crate) fn stopped(stopped: &Stopped) {
    let subscriber = &stopped.subscriber;
    if let Some(error) = stopped.error() {
        error!(%subscriber, ?error, "{STOPPED}");
    } else {
        info!(%subscriber, "{STOPPED}");
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
        "{REJECTED}"
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
        "{SKIPPED}"
    );
}

pub(crate) fn parked(subscriber: &SubscriberId, message: &Recorded, error: Option<&Error>) {
    let (message_type, stream) = (&*message.message_type, &message.stream_name);
    let (position, global_position) = (message.position.get(), message.global_position.get());
    if error.is_some() {
        error!(%subscriber, message_type, %stream, position, global_position, ?error, "{PARKED}");
    } else {
        info!(%subscriber, message_type, %stream, position, global_position, "{PARKED}");
    }
}

pub(crate) fn taken_over(subscriber: &SubscriberId, version: u32) {
    info!(%subscriber, version, "{TAKEN_OVER}");
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
        "{FAILED}"
    );
}

pub(crate) fn held_up(subscriber: &SubscriberId, held: &HeldUp) {
    let since = held.since.map(field::display);
    warn!(%subscriber, by = held.by, since, "{HELD_UP}");
}

pub(crate) fn reply_lost(stream: &StreamName, error: &Error) {
    warn!(%stream, ?error, "{REPLY_LOST}");
}

/// It is nobody's concern where another one is used, or what another client keeps is passed over.
pub(crate) fn snapshot_not_used(stream: &StreamName, error: &Error, is_of_concern: bool) {
    if is_of_concern {
        warn!(%stream, ?error, "{SNAPSHOT_NOT_USED}");
    } else {
        debug!(%stream, ?error, "{SNAPSHOT_NOT_USED}");
    }
}

pub(crate) fn stream_rewritten(stream: &StreamName, version: Option<Position>) {
    let version = version.map(Position::get);
    warn!(%stream, version, "{STREAM_REWRITTEN}");
}

pub(crate) fn snapshot_not_kept(stream: &StreamName, error: &Error) {
    warn!(%stream, ?error, "{SNAPSHOT_NOT_KEPT}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::names::ALL;

    #[test]
    fn the_table_has_every_name_that_is_used_and_no_other() {
        let rows = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
        let listed: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
        let unique: BTreeSet<_> = listed.iter().copied().collect();
        assert_eq!(listed.len(), unique.len(), "each once: {listed:?}");
        assert_eq!(unique, ALL.iter().copied().collect());
    }
}
