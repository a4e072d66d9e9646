//! A subscriber as a pure state machine: inputs in, actions out.
//!
//! Owns every decision of a subscriber: what to read next, when to try again, when to record its
//! progress, when to stop. It does nothing itself, so a test can drive it through any history; the
//! engine of the evenfold crate carries out the actions. The state diagram stands in that crate's
//! `subscriber/protocol.md`.

mod options;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use options::{ErrorPolicy, Options, Then};

use crate::store::{Place, Unit};

/// What the machine asks for. It has one wish at a time, and waits for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the progress record. Answer: [`Input::Progress`], `Unavailable` or `Failed`.
    ReadProgress,
    /// Read a page from this place on. Answer: [`Input::Page`], `Unavailable` or `Failed`.
    Fetch(Place),
    /// Handle the message at this index of the page. Answer: [`Input::Done`], `Unavailable`,
    /// `Failed` or `Hopeless`.
    Handle(usize),
    /// Report that the message at this index of the page is skipped. Answer: [`Input::Done`].
    Skip(usize),
    /// Record this place as the progress. Answer: [`Input::Done`], `Unavailable` or `Failed`.
    Record(Place),
    /// Wait so long, or until a stop is asked for. Answer: [`Input::Waited`].
    Wait(Duration, Why),
    /// Stop. There is no answer; the machine is done.
    Stop(Stop),
}

/// Why a subscriber waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There was nothing to read: it has caught up, and its progress is recorded.
    Idle,
    /// A message failed and will be tried again.
    Retry,
    /// The store was not available.
    Unavailable,
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
    /// The progress that was recorded, if any.
    Progress(Option<Place>),
    /// The places of the messages of a page, rising.
    Page(Vec<Place>),
    /// It is done.
    Done,
    /// The time is over, or a stop was asked for.
    Waited,
    /// The store did not answer; the same action may succeed later.
    Unavailable,
    /// It failed, and may succeed when it is tried again.
    Failed,
    /// It failed, and would fail again.
    Hopeless,
}

/// The subscriber: what it is doing, and how far it is.
///
/// Laws:
/// - *Nothing is missed.* It asks to handle every message of every page, in order, and reads on
///   from the place after the last one it is done with.
/// - *Progress never passes unfinished work.* It records no place beyond the last message that was
///   handled, passed over or skipped.
/// - *Progress is not forgotten.* It records what it is done with when enough messages or time have
///   gone by, when it is idle, and before it stops.
/// - *One thing at a time.* It asks for nothing before the last action was answered.
#[derive(Clone, Debug)]
pub struct Machine {
    options: Options,
    unit: Unit,
    doing: Doing,
    /// The last place that it is done with.
    done: Option<Place>,
    /// How many messages it is done with beyond what is recorded.
    unrecorded: u32,
    recorded_at: Duration,
    page: Vec<Place>,
    attempts: u32,
    stop_asked: bool,
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    ReadingProgress,
    Fetching,
    Handling(usize),
    Skipping(usize),
    Recording(Next),
    Waiting(Next),
    Stopped,
}

/// What is to be done when no stop and no record comes between.
#[derive(Clone, Copy, Debug)]
enum Next {
    ReadProgress,
    Fetch,
    Handle(usize),
    Skip(usize),
    Idle,
    Stop(Stop),
}

/// What an answer leads to.
enum Verdict {
    Go(Next),
    Wait(Duration, Why, Next),
    /// Stop at once: what should have been recorded cannot be.
    GiveUp,
}

impl Machine {
    /// A subscriber that has not begun, and its first action.
    pub fn new(options: Options, unit: Unit) -> (Self, Action) {
        let machine = Self {
            options,
            unit,
            doing: Doing::ReadingProgress,
            done: None,
            unrecorded: 0,
            recorded_at: Duration::ZERO,
            page: Vec::new(),
            attempts: 0,
            stop_asked: false,
        };
        (machine, Action::ReadProgress)
    }

    /// Asks the subscriber to stop after the message in hand.
    pub fn stop(&mut self) {
        self.stop_asked = true;
    }

    /// The last place that the subscriber is done with.
    pub fn done(&self) -> Option<Place> {
        self.done
    }

    /// How often the message in hand has failed.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether it is about to stop because something failed, and records its progress before that.
    pub fn is_failing(&self) -> bool {
        matches!(self.doing, Doing::Recording(Next::Stop(Stop::Failed)))
    }

    /// Takes the answer to the last action, at a time counted from any fixed moment, and says what
    /// to do next. An answer that does not belong to the action stops the subscriber.
    pub fn next(&mut self, answer: Input, now: Duration) -> Action {
        match self.judge(answer, now) {
            Verdict::Go(next) => self.go(next, now),
            Verdict::Wait(..) if self.stop_asked => self.go(Next::Stop(Stop::Requested), now),
            Verdict::Wait(delay, why, next) => {
                self.doing = Doing::Waiting(next);
                Action::Wait(delay, why)
            }
            Verdict::GiveUp => self.act(Next::Stop(Stop::Failed)),
        }
    }

    fn judge(&mut self, answer: Input, now: Duration) -> Verdict {
        match (self.doing, answer) {
            (Doing::ReadingProgress, Input::Progress(place)) => {
                self.done = place;
                self.recorded_at = now;
                Verdict::Go(Next::Fetch)
            }
            (Doing::Fetching, Input::Page(page)) => {
                self.page = page;
                Verdict::Go(if self.page.is_empty() { Next::Idle } else { Next::Handle(0) })
            }
            (Doing::Handling(at) | Doing::Skipping(at), Input::Done) => self.finished(at),
            (Doing::Handling(at), Input::Failed) => self.failed(at),
            (Doing::Handling(at), Input::Hopeless) => self.lost(at),
            (Doing::Recording(next), Input::Done) => {
                self.unrecorded = 0;
                self.recorded_at = now;
                Verdict::Go(next)
            }
            (Doing::Waiting(next), Input::Waited) => Verdict::Go(next),
            (Doing::ReadingProgress, Input::Unavailable) => self.unavailable(Next::ReadProgress),
            (Doing::Fetching, Input::Unavailable) => self.unavailable(Next::Fetch),
            // The message is not to blame, so this is not one of its attempts.
            (Doing::Handling(at), Input::Unavailable) => self.unavailable(Next::Handle(at)),
            (Doing::ReadingProgress | Doing::Fetching, Input::Failed) => {
                Verdict::Go(Next::Stop(Stop::Failed))
            }
            // The record is due still, so it is asked for again before `next`. A subscriber that
            // stops does not wait for the store: what it did not record it handles again.
            (Doing::Recording(next), Input::Unavailable) if !matches!(next, Next::Stop(_)) => {
                self.unavailable(next)
            }
            _ => Verdict::GiveUp,
        }
    }

    fn unavailable(&self, then: Next) -> Verdict {
        Verdict::Wait(self.options.error_delay, Why::Unavailable, then)
    }

    fn finished(&mut self, at: usize) -> Verdict {
        self.attempts = 0;
        self.unrecorded = self.unrecorded.saturating_add(1);
        self.done = self.page.get(at).copied().or(self.done);
        let next = at + 1;
        Verdict::Go(if next < self.page.len() { Next::Handle(next) } else { Next::Fetch })
    }

    fn failed(&mut self, at: usize) -> Verdict {
        let errors = &self.options.errors;
        if self.attempts >= errors.retries {
            return self.lost(at);
        }
        let delay = errors.delay(self.attempts);
        self.attempts += 1;
        Verdict::Wait(delay, Why::Retry, Next::Handle(at))
    }

    fn lost(&self, at: usize) -> Verdict {
        Verdict::Go(match self.options.errors.then {
            Then::Stop => Next::Stop(Stop::Failed),
            Then::Skip => Next::Skip(at),
        })
    }

    /// Goes on to `next`, unless a stop or a record comes between.
    fn go(&mut self, next: Next, now: Duration) -> Action {
        let next = match next {
            Next::Stop(_) => next,
            _ if self.stop_asked => Next::Stop(Stop::Requested),
            _ => next,
        };
        let Some(done) = self.done else { return self.act(next) };
        if self.unrecorded > 0 && self.is_record_due(next, now) {
            self.doing = Doing::Recording(next);
            return Action::Record(done);
        }
        self.act(next)
    }

    fn is_record_due(&self, next: Next, now: Duration) -> bool {
        matches!(next, Next::Idle | Next::Stop(_))
            || self.unrecorded >= self.options.progress_interval
            || now.saturating_sub(self.recorded_at) >= self.options.progress_time
    }

    fn act(&mut self, next: Next) -> Action {
        let (doing, action) = match next {
            Next::ReadProgress => (Doing::ReadingProgress, Action::ReadProgress),
            Next::Fetch => (Doing::Fetching, Action::Fetch(self.from())),
            Next::Handle(at) => (Doing::Handling(at), Action::Handle(at)),
            Next::Skip(at) => (Doing::Skipping(at), Action::Skip(at)),
            Next::Idle => {
                let wait = Action::Wait(self.options.poll_interval, Why::Idle);
                (Doing::Waiting(Next::Fetch), wait)
            }
            Next::Stop(why) => (Doing::Stopped, Action::Stop(why)),
        };
        self.doing = doing;
        action
    }

    /// The place after the last one done; at the very beginning, where it was told to start.
    fn from(&self) -> Place {
        match self.done {
            Some(done) => done.saturating_add(1),
            None => self.options.start.unwrap_or(self.unit.start()),
        }
    }
}
