//! What a subscriber tells: what it did, what failed, why it stopped.

use std::fmt;

use evenfold_core::message::Recorded;

use crate::Error;

/// What a subscriber did in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Polled {
    /// Messages that a handler handled, the rejected ones and those it skips by name among them.
    pub handled: u64,
    /// Messages whose handling ended in a rejection.
    pub rejected: u64,
    /// Messages whose type no handler wants.
    pub passed_over: u64,
    /// Attempts at a message that failed, those at parked ones included; what comes of the message is
    /// counted where it is done with. So one that fails under `poll_once` is not mistaken for nothing
    /// to do.
    pub failed: u64,
    /// Messages that failed and were skipped by the error policy.
    pub skipped: u64,
    /// Messages that were set aside, those that wait behind another one among them.
    pub parked: u64,
    /// Messages that had been set aside and are done with now; they count as handled too.
    pub replayed: u64,
    /// Whether it read to the end of what there was.
    pub caught_up: bool,
}

impl Polled {
    /// How many messages it is done with.
    pub fn done(&self) -> u64 {
        self.handled + self.passed_over + self.skipped + self.parked
    }
}

impl std::ops::AddAssign for Polled {
    fn add_assign(&mut self, more: Self) {
        self.handled += more.handled;
        self.rejected += more.rejected;
        self.passed_over += more.passed_over;
        self.failed += more.failed;
        self.skipped += more.skipped;
        self.parked += more.parked;
        self.replayed += more.replayed;
        self.caught_up = more.caught_up;
    }
}

/// Something that failed while a subscriber ran, or a rejection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// The id of the subscriber.
    pub subscriber: &'a str,
    /// The message in hand; none when the store itself failed.
    pub message: Option<&'a Recorded>,
    /// What failed.
    pub error: &'a Error,
    /// Which try of the message it was, counted from 1.
    pub attempt: u32,
}

/// That a subscriber stopped, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// The id of the subscriber.
    pub subscriber: String,
    /// Why it stopped.
    pub reason: StopReason,
    /// What it did from beginning to end.
    pub polled: Polled,
}

/// Why a subscriber stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// It was asked to, and recorded its progress.
    Requested,
    /// It had read everything there was, and recorded its progress.
    CaughtUp,
    /// Something failed, and its error policy or the kind of fault said so.
    Failed(Error),
    /// This version of it has taken over.
    Replaced(u32),
    /// It was told to stop at once, in the middle of what it did; that will be done again.
    Abandoned,
}

impl Stopped {
    pub(crate) fn abandoned(subscriber: String) -> Self {
        Self { subscriber, reason: StopReason::Abandoned, polled: Polled::default() }
    }

    /// What failed, if that is why it stopped.
    pub fn error(&self) -> Option<&Error> {
        match &self.reason {
            StopReason::Failed(error) => Some(error),
            StopReason::Requested
            | StopReason::CaughtUp
            | StopReason::Replaced(_)
            | StopReason::Abandoned => None,
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subscriber `{}` ", self.subscriber)?;
        match &self.reason {
            StopReason::Requested => f.write_str("stopped as it was asked to"),
            StopReason::CaughtUp => f.write_str("has read everything there was"),
            StopReason::Failed(error) => write!(f, "stopped: {error:#}"),
            StopReason::Replaced(by) => write!(f, "was replaced by version {by}"),
            StopReason::Abandoned => f.write_str("was abandoned in the middle of a message"),
        }
    }
}
