//! When the progress of a lane is to be recorded, and what the record says.
//!
//! Owns what makes a record due: a count, a time, rest, a mark that is wanted, the end. What is done
//! with is known in `lane.rs`.

use std::time::Duration;

use super::lane::{Phase, Track};
use super::{Options, Record};
use crate::store::Began;

/// What the rest of the machine says to whether a record is due.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(super) struct When<'a> {
    pub(super) options: &'a Options,
    pub(super) now: Duration,
    /// It was read to the end of what there is.
    pub(super) is_idle: bool,
    /// The subscriber stops.
    pub(super) is_stopping: bool,
    /// The lane is given up, or the subscriber stops.
    pub(super) is_ending: bool,
    /// It stops because something failed.
    pub(super) is_failing: bool,
    /// Something in the lane fails again and again.
    pub(super) is_held: bool,
}

impl Track {
    /// What the lane has begun, as it is to be recorded.
    fn beginning(&self, options: &Options, is_ending: bool) -> Option<Began> {
        options.crashes?;
        if self.phase == Phase::Taking || is_ending {
            return self.left_over();
        }
        // What was passed by leaves the suspects behind it as they are.
        let Some((first, _)) = self.ahead.front() else { return self.left_over() };
        if self.is_suspect(*first) {
            // A record that is due for another reason, while something else is under way, begins no
            // test.
            let is_testing = |test| self.is_test_wanted || self.began == Some(test);
            let test = self.test().filter(|test| !self.is_test_over && is_testing(*test));
            return test.or_else(|| self.left_over());
        }
        self.ahead.back().map(|(last, _)| Began::Ahead(*last))
    }

    /// The record that is due, if one is.
    pub(super) fn record(&mut self, when: When<'_>) -> Option<Record> {
        let is_busy = when.options.transactional && self.running > 0;
        if is_busy
            || self.is_unsure
            || self.recording.is_some()
            || self.not_before > when.now
            || !self.is_due(&when)
        {
            return None;
        }
        let is_ending = when.is_ending && self.running == 0;
        let record = Record {
            done: self.done,
            began: self.beginning(when.options, is_ending),
            is_held: when.is_held && !when.is_ending,
            is_last: is_ending,
        };
        (self.is_mark_wanted, self.is_test_wanted) = (false, false);
        self.recording = Some((record, self.unrecorded));
        Some(record)
    }

    fn is_due(&self, when: &When<'_>) -> bool {
        match self.phase {
            Phase::Unread(_) | Phase::Reading | Phase::Gone(_) => return false,
            Phase::Taking => return !when.is_ending,
            Phase::Live => {}
        }
        let is_worth_it = self.is_moved(when.options) || when.is_held && !self.is_held;
        let is_late = when.now.saturating_sub(self.recorded_at) >= when.options.progress_time;
        let is_full = self.full_at(when.options).is_some_and(|at| at <= when.now);
        let is_at_rest = self.ahead.is_empty() && when.is_idle;
        if when.is_ending {
            return self.running == 0 && !self.is_closed(when.is_failing);
        }
        self.is_mark_wanted
            || is_full
            || is_late && is_worth_it
            || is_at_rest && !self.is_settled(when.is_held)
    }

    /// Whether it is done with more than is recorded, as far as that counts.
    fn is_moved(&self, options: &Options) -> bool {
        let passed = self.done.unwrap_or_default() - self.recorded.unwrap_or_default();
        let is_far = usize::try_from(passed).is_ok_and(|far| far >= options.batch_size.as_len());
        let counts = self.unrecorded > 0 || is_far || options.records_passed;
        self.done != self.recorded && counts
    }

    /// When the number of messages it is done with makes a record due, if it does.
    fn full_at(&self, options: &Options) -> Option<Duration> {
        let is_full = self.unrecorded >= options.progress_interval && self.done != self.recorded;
        is_full.then(|| self.recorded_at.saturating_add(options.progress_pause))
    }

    /// Whether what it did is recorded, and whether something is held. What was only passed by may
    /// wait for its time.
    pub(super) fn is_settled(&self, is_held: bool) -> bool {
        let is_open = self.unrecorded > 0 && self.done != self.recorded;
        let is_told = is_held || !self.is_held;
        // Suspects that are there no more are left as they are.
        let is_left = self.ahead.is_empty() && self.began == self.left_over();
        !is_open && (self.began.is_none() || is_left) && is_told && !self.is_recording()
    }

    /// The time at which something of the lane comes to be due by itself.
    pub(super) fn deadline(&self, when: &When<'_>) -> Option<Duration> {
        let is_busy = when.options.transactional && self.running > 0;
        match self.phase {
            _ if self.recording.is_some() || self.is_unsure || is_busy => return None,
            Phase::Reading | Phase::Gone(_) => return None,
            Phase::Unread(at) => return (!when.is_stopping).then_some(at),
            Phase::Taking => return (!when.is_ending).then_some(self.not_before),
            Phase::Live if when.is_ending => return self.is_due(when).then_some(self.not_before),
            Phase::Live => {}
        }
        let is_open = self.is_moved(when.options) || when.is_held && !self.is_held;
        let late = is_open.then(|| self.recorded_at.saturating_add(when.options.progress_time));
        let again = (!self.not_before.is_zero()).then_some(self.not_before);
        let full = self.full_at(when.options);
        late.into_iter().chain(full).chain(again).min().map(|at| at.max(self.not_before))
    }

    /// Whether there is nothing left to record of a lane that comes to an end. What was only passed
    /// by is recorded too, for that is the last chance.
    pub(super) fn is_closed(&self, is_failing: bool) -> bool {
        let is_told = self.is_held || is_failing;
        // A record that was not heard of may stand, and say that a message was begun.
        let is_begun = self.is_mark_wanted || self.began != self.left_over();
        let is_open = self.done != self.recorded || is_begun || is_told;
        !self.is_live()
            || self.is_ended
            || self.is_unsure
            || self.running == 0 && !self.is_recording() && !is_open
    }
}
