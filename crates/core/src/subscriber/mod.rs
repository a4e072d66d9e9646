//! A subscriber as a pure state machine: answers in, actions out.
//!
//! Owns every decision of a subscriber: what to read next, what to handle and when to try again, what
//! to set aside, when to record its progress, when to stop. It does nothing itself, so a test can
//! drive it through any history; the engine of the evenfold crate carries out the actions, and
//! `evenfold_testkit::simulation` plays a world around it. The protocol stands in that engine's
//! `subscriber/protocol.md`.
//!
//! `machine.rs` says what to do next, `answers.rs` what an answer means; each of the other files owns
//! one part of what they know.

mod answers;
mod due;
mod lane;
mod lot;
mod machine;
mod options;
mod queues;
mod shares;
mod suspects;
mod tenure;
#[cfg(test)]
mod tests;
mod turns;

pub use machine::Machine;
pub use options::{ErrorPolicy, Options, Then};
pub use queues::Item;

use std::time::Duration;

use crate::store::{Began, ParkedQueue, Place, Progress};
use crate::{Position, StreamName};

/// A part of what a subscriber reads, with a progress record of its own: the bucket that a stream
/// falls to where members share the work, and 0 where there is but one.
pub type Lane = u16;

/// How the work of a subscriber is shared at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Not at all: there is one lane, and it is ours.
    Alone,
    /// By leases on lanes, each for so long.
    Leased(Duration),
}

impl Sharing {
    /// Whether members share the work.
    pub fn is_leased(self) -> bool {
        matches!(self, Self::Leased(_))
    }
}

/// What the machine asks for. Each action has one answer, and several may be under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the progress record of a lane. Answer: [`Input::Progress`].
    ReadProgress(Lane),
    /// Read the notes on parked messages that are new since the last time. Answer: [`Input::Notes`].
    ReadNotes,
    /// Read a page of these lanes, from this place on. Answer: [`Input::Page`].
    Fetch(Place, Vec<Lane>),
    /// Handle the message at this place. Where a progress is given, commit it together with the
    /// effects. Answer: [`Input::Handled`].
    Handle(Place, Option<Progress>),
    /// Report that the message at this place is skipped. Answer: [`Input::Skipped`].
    Skip(Place),
    /// Set the message at this place aside, durably. Answer: [`Input::Parked`].
    Park(Place, Cause),
    /// Try the parked message at this position of a stream again, and note that it is done with, if
    /// it still is the first that is parked. Answer: [`Input::Replayed`].
    Replay(StreamName, Position),
    /// Note that the parked message failed again after so many tries. Answer: [`Input::Noted`].
    NoteFailure(StreamName, Position, u32),
    /// Record the progress of a lane, if nobody else has. Answer: [`Input::Recorded`].
    Record(Lane, Record),
    /// Renew the leases. Answer: [`Input::Held`].
    Renew,
    /// Give up the lease of a lane. Answer: [`Input::Released`].
    Release(Lane),
    /// Leave the group, and give up every lease. Answer: [`Input::Left`].
    Leave,
    /// Stop. There is no answer; the machine is done.
    Stop(Stop),
}

/// Why a message is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It failed so often.
    Failed(u32),
    /// The process ended so often while it was handled.
    Crashed(u32),
    /// One before it in its stream is parked.
    Behind,
}

/// A record of progress that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The place of the last message done with.
    pub done: Option<Place>,
    /// What is begun beyond that.
    pub began: Option<Began>,
    /// Something has failed for a while; the reason is to be recorded.
    pub is_held: bool,
    /// Nothing comes after it: the lane is given up, or the subscriber stops. If that is because
    /// something failed, the reason is to be recorded.
    pub is_last: bool,
}

/// Why a subscriber stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was asked to.
    Requested,
    /// Something failed and its error policy, or the kind of fault, said so.
    Failed,
}

/// What the engine answers to an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The progress that was recorded of a lane, if any.
    Progress(Lane, Result<Option<Progress>, Fault>),
    /// What is parked now of each stream with news, and the lane of the stream.
    Notes(Result<Vec<(StreamName, Lane, ParkedQueue)>, Fault>),
    /// A page.
    Page(Result<Page, Fault>),
    /// What came of a message.
    Handled(Place, Outcome),
    /// A message was reported as skipped.
    Skipped(Place),
    /// What came of parking a message: what is parked of its stream now. Where it waits behind
    /// nothing any more, it was not parked.
    Parked(Place, Result<ParkedQueue, Fault>),
    /// What came of a message that was parked, and what is parked of its stream now.
    Replayed(StreamName, Outcome, ParkedQueue),
    /// A failure was noted; what is parked of the stream now.
    Noted(StreamName, Result<ParkedQueue, Fault>),
    /// Whether the progress of a lane was recorded.
    Recorded(Lane, Result<(), Fault>),
    /// The lanes that are held, and those of them that are to be given up.
    Held(Result<(Vec<Lane>, Vec<Lane>), Fault>),
    /// Whether a lane was given up.
    Released(Lane, Result<(), Fault>),
    /// The group was left, or the store did not answer.
    Left,
}

/// A page of what a subscriber reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The messages, in rising order of their places.
    pub items: Vec<Item>,
    /// Every place up to here was looked at; there is nothing else for these lanes. It is known from
    /// before the messages were read.
    pub scanned: Option<Place>,
    /// Whether there may be more at once.
    pub is_full: bool,
    /// Whether a writer that has not ended keeps what comes next from being read; there is more to
    /// come then, and nobody knows when.
    pub is_held_up: bool,
}

/// Why something could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store did not answer; the same may succeed later.
    Unavailable,
    /// Another process has recorded progress since: this one is not in charge.
    Superseded,
    /// It would fail again.
    Failed,
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done with.
    Done,
    /// It is done with, and the progress was committed with it.
    Committed,
    /// It failed; the policy for this kind of failure says what then.
    Failed(ErrorPolicy),
    /// It could not be done.
    Fault(Fault),
}
