//! The names of events, spans and numbers, as the code says them.
//!
//! What each means stands in the table of `mod.rs`; a test compares the two.

/// Declares names, and lists them.
macro_rules! names {
    ($($name:ident = $text:literal;)*) => {
        $(pub(super) const $name: &str = $text;)*

        #[cfg(test)]
        pub(super) const ALL: &[&str] = &[$($name),*];
    };
}

names! {
    STARTED = "subscriber started";
    STOPPING = "stopping";
    STOPPED = "subscriber stopped";
    REJECTED = "message rejected";
    SKIPPED = "message skipped";
    PARKED = "message parked";
    TAKEN_OVER = "version took over";
    FAILED = "attempt failed";
    HELD_UP = "reading held up";
    REPLY_LOST = "reply lost";
    SNAPSHOT_NOT_USED = "snapshot not used";
    SNAPSHOT_NOT_KEPT = "snapshot not kept";
    STREAM_REWRITTEN = "stream rewritten";
    HANDLE = "evenfold.handle";
    HANDLED_TOTAL = "evenfold_subscriber_handled_total";
    PASSED_OVER_TOTAL = "evenfold_subscriber_passed_over_total";
    REJECTED_TOTAL = "evenfold_subscriber_rejected_total";
    FAILED_TOTAL = "evenfold_subscriber_failed_total";
    SKIPPED_TOTAL = "evenfold_subscriber_skipped_total";
    PARKED_TOTAL = "evenfold_subscriber_parked_total";
    REPLAYED_TOTAL = "evenfold_subscriber_replayed_total";
    HANDLING_SECONDS = "evenfold_subscriber_handling_seconds";
    IN_FLIGHT = "evenfold_subscriber_in_flight";
    OLDEST_IN_FLIGHT_SECONDS = "evenfold_subscriber_oldest_in_flight_seconds";
    READ_AHEAD = "evenfold_subscriber_read_ahead";
    RETRYING = "evenfold_subscriber_retrying";
    PARKED_NOW = "evenfold_subscriber_parked";
    LANES = "evenfold_subscriber_lanes";
    LAG_MESSAGES = "evenfold_subscriber_lag_messages";
    LAG_SECONDS = "evenfold_subscriber_lag_seconds";
}
