//! One lane: a part of what is read, with a progress record of its own.
//!
//! Owns what the lane is done with, what it may begin, and when its progress is due to be recorded.
//! A subscriber by itself has one lane; one that shares its work has a lane for each bucket it holds.

use std::collections::VecDeque;
use std::time::Duration;

use super::queues::Key;
use super::{Options, Record};
use crate::store::{Began, Place, Progress};

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(super) struct Track {
    pub(super) phase: Phase,
    /// The last place that it is done with.
    done: Option<Place>,
    /// What was read beyond that, and whether it is finished.
    pub(super) ahead: VecDeque<(Place, bool)>,
    /// Everything up to here was read.
    read_to: Option<Place>,
    /// What stands in the store.
    recorded: Option<Place>,
    pub(super) began: Option<Began>,
    is_held: bool,
    recorded_at: Duration,
    /// How many messages it is done with beyond what is recorded.
    unrecorded: u32,
    /// What is on its way to the store, and how many messages that counts.
    pub(super) recording: Option<(Record, u32)>,
    /// Not before this time: the store did not answer.
    not_before: Duration,
    /// Some message may only begin when that is recorded.
    pub(super) is_mark_wanted: bool,
    /// The queues that wait for it.
    held: Vec<Key>,
    /// A process ended in the middle of one of the messages up to here.
    pub(super) suspects: Option<Place>,
    /// The one that was in hand when it ended, and how often that has happened.
    pub(super) crashed: Option<(Place, u32)>,
    pub(super) running: u32,
    pub(super) is_draining: bool,
    /// Its last record stands, or there was nothing to record.
    pub(super) is_ended: bool,
    /// A message may have been committed with its progress, and nobody knows; what is recorded
    /// before that is known could undo it.
    pub(super) is_unsure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its progress is to be read, not before this time.
    Unread(Duration),
    Reading,
    /// A record by us is to take it from who had it before.
    Taking,
    Live,
    /// It is ours no more, and answers of it are still to come; whether its progress is among them.
    Gone(bool),
}

/// Whether a message may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Granted,
    /// Not before something else has happened in the lane.
    Held,
    /// Not at all: it has brought the process down so often.
    Crashes(u32),
}

impl Track {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Unread(Duration::ZERO),
            done: None,
            ahead: VecDeque::new(),
            read_to: None,
            recorded: None,
            began: None,
            is_held: false,
            recorded_at: Duration::ZERO,
            unrecorded: 0,
            recording: None,
            not_before: Duration::ZERO,
            is_mark_wanted: false,
            held: Vec::new(),
            suspects: None,
            crashed: None,
            running: 0,
            is_draining: false,
            is_ended: false,
            is_unsure: false,
        }
    }

    /// Goes on where the record says.
    pub(super) fn resume(&mut self, progress: Option<&Progress>, is_shared: bool, now: Duration) {
        self.done = progress.and_then(|progress| progress.done);
        (self.read_to, self.recorded) = (self.done, self.done);
        self.began = progress.and_then(|progress| progress.began);
        self.is_held = progress.is_some_and(|progress| progress.standing.is_some());
        self.recorded_at = now;
        match self.began {
            Some(Began::Ahead(to)) => self.suspects = Some(to),
            Some(Began::Alone(place, crashes)) => {
                self.suspects = Some(place);
                self.crashed = Some((place, crashes.saturating_add(1)));
            }
            None => {}
        }
        self.phase = if is_shared { Phase::Taking } else { Phase::Live };
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// The place from which it reads on.
    pub(super) fn from(&self, start: Place) -> Place {
        self.read_to.or(self.done).map_or(start, |to| to.saturating_add(1))
    }

    /// The lane is ours no more.
    pub(super) fn leave_behind(&mut self) {
        self.phase = Phase::Gone(self.phase == Phase::Reading);
        self.ahead.clear();
        self.held.clear();
        self.is_draining = false;
    }

    /// Whether an answer of it is still to come.
    pub(super) fn is_under_way(&self) -> bool {
        let is_reading = matches!(self.phase, Phase::Reading | Phase::Gone(true));
        is_reading || self.recording.is_some() || self.running > 0
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone(_))
    }

    /// Takes in a message, unless it was read before.
    pub(super) fn read(&mut self, place: Place) -> bool {
        let is_new = self.read_to.is_none_or(|to| place > to);
        if is_new {
            self.ahead.push_back((place, false));
            self.read_to = Some(place);
        }
        is_new
    }

    /// Notes that there is nothing else up to this place.
    pub(super) fn scanned(&mut self, to: Place) {
        self.read_to = self.read_to.max(Some(to));
        self.settle();
    }

    /// Whether a message is read and not finished.
    pub(super) fn holds(&self, place: Place) -> bool {
        let at = self.ahead.binary_search_by_key(&place, |(place, _)| *place);
        at.is_ok_and(|at| self.ahead.get(at).is_some_and(|(_, is_finished)| !is_finished))
    }

    /// How many messages it holds.
    pub(super) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// What it is done with: every message up to there, and what nobody wants behind the last.
    pub(super) fn done(&self) -> Option<Place> {
        self.done
    }

    /// Whether it is recorded that this place is done with.
    pub(super) fn has_recorded(&self, place: Place) -> bool {
        self.recorded.is_some_and(|recorded| recorded >= place)
    }

    pub(super) fn finish(&mut self, place: Place) {
        self.unrecorded = self.unrecorded.saturating_add(1);
        if let Ok(at) = self.ahead.binary_search_by_key(&place, |(place, _)| *place)
            && let Some((_, is_finished)) = self.ahead.get_mut(at)
        {
            *is_finished = true;
        }
        self.settle();
    }

    /// A message whose effects were committed with this progress.
    pub(super) fn committed(&mut self, place: Place) {
        self.began = self.began_after(place);
        self.finish(place);
        self.recorded = Some(place);
        self.unrecorded = 0;
    }

    /// What stays begun when the message at this place is done with.
    pub(super) fn began_after(&self, place: Place) -> Option<Began> {
        self.began.filter(|began| matches!(began, Began::Ahead(to) if *to > place))
    }

    fn settle(&mut self) {
        while let Some((place, true)) = self.ahead.front() {
            self.done = Some(*place);
            self.ahead.pop_front();
        }
        if self.ahead.is_empty() {
            self.done = self.read_to.max(self.done);
        }
        if self.suspects.is_some_and(|to| self.done.is_some_and(|done| done >= to)) {
            (self.suspects, self.crashed) = (None, None);
        }
    }

    pub(super) fn hold(&mut self, key: Key) {
        self.held.push(key);
    }

    /// The queues that may ask again.
    pub(super) fn take_held(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.held)
    }

    /// What the lane has begun, as it is to be recorded.
    fn beginning(&self, options: &Options, is_ending: bool) -> Option<Began> {
        options.crashes?;
        if self.phase == Phase::Taking || is_ending {
            return self.left_over();
        }
        let (first, _) = self.ahead.front()?;
        if self.is_suspect(*first) {
            return Some(Began::Alone(*first, self.crashes_of(*first)));
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
        self.is_mark_wanted = false;
        self.recording = Some((record, self.unrecorded));
        Some(record)
    }

    fn is_due(&self, when: &When<'_>) -> bool {
        match self.phase {
            Phase::Unread(_) | Phase::Reading | Phase::Gone(_) => return false,
            Phase::Taking => return !when.is_ending,
            Phase::Live => {}
        }
        let is_moved = self.done != self.recorded;
        let is_late = when.now.saturating_sub(self.recorded_at) >= when.options.progress_time;
        let is_full = self.full_at(when.options).is_some_and(|at| at <= when.now);
        let is_at_rest = self.ahead.is_empty() && when.is_idle;
        if when.is_ending {
            return self.running == 0 && !self.is_closed(when.is_failing);
        }
        self.is_mark_wanted
            || is_full
            || is_late && (is_moved || when.is_held && !self.is_held)
            || is_at_rest && !self.is_settled(when.is_held)
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
        !is_open && self.began.is_none() && is_told && !self.is_recording()
    }

    /// The pause after a record that was not taken may be over.
    pub(super) fn tick(&mut self, now: Duration) {
        if self.not_before <= now {
            self.not_before = Duration::ZERO;
        }
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
        let is_open = self.done != self.recorded || when.is_held && !self.is_held;
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
        let is_begun =
            self.is_mark_wanted || self.began.is_some() && self.began != self.left_over();
        let is_open = self.done != self.recorded || is_begun || is_told;
        !self.is_live()
            || self.is_ended
            || self.is_unsure
            || self.running == 0 && !self.is_recording() && !is_open
    }

    /// Ends every pause now.
    pub(super) fn hurry(&mut self) {
        self.not_before = Duration::ZERO;
        if let Phase::Unread(at) = &mut self.phase {
            *at = Duration::ZERO;
        }
    }

    pub(super) fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// The record stands; whether it was the last.
    pub(super) fn recorded(&mut self, now: Duration) -> bool {
        let Some((record, counted)) = self.recording.take() else { return false };
        self.recorded = record.done;
        self.began = record.began;
        self.is_held = record.is_held || record.is_last && self.is_held;
        self.unrecorded = self.unrecorded.saturating_sub(counted);
        self.recorded_at = now;
        self.not_before = Duration::ZERO;
        if self.phase == Phase::Taking {
            self.phase = Phase::Live;
        }
        self.is_ended = record.is_last;
        record.is_last
    }

    /// The record does not stand, and is asked for again from this time on.
    pub(super) fn not_recorded(&mut self, again: Duration) {
        if let Some((record, _)) = self.recording.take() {
            self.is_mark_wanted |= record.began.is_some();
        }
        self.not_before = again;
    }
}

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
