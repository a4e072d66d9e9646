//! One lane: a part of what is read, with a progress record of its own.
//!
//! Owns what the lane is done with and what is recorded of that. When a record is due is in `due.rs`,
//! what the lane may begin where crashes are counted in `suspects.rs`.
//! A subscriber by itself has one lane; one that shares its work has a lane for each bucket it holds.

use std::collections::VecDeque;
use std::time::Duration;

use super::Record;
use super::queues::Key;
use crate::store::{Began, Place, Progress};

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(super) struct Track {
    pub(super) phase: Phase,
    /// The last place that it is done with.
    pub(super) done: Option<Place>,
    /// What was read beyond that, and whether it is finished.
    pub(super) ahead: VecDeque<(Place, bool)>,
    /// Everything up to here was read.
    read_to: Option<Place>,
    /// What stands in the store.
    pub(super) recorded: Option<Place>,
    pub(super) began: Option<Began>,
    pub(super) is_held: bool,
    pub(super) recorded_at: Duration,
    /// How many messages it is done with beyond what is recorded.
    pub(super) unrecorded: u32,
    /// What is on its way to the store, and how many messages that counts.
    pub(super) recording: Option<(Record, u32)>,
    /// Not before this time: the store did not answer.
    pub(super) not_before: Duration,
    /// Some message may only begin when that is recorded.
    pub(super) is_mark_wanted: bool,
    /// That record begins the test of a suspect: nothing else is under way.
    pub(super) is_test_wanted: bool,
    /// It says that the test is over.
    pub(super) is_test_over: bool,
    /// The queues that wait for it.
    held: Vec<Key>,
    /// The queues that wait for room among the parked messages of their stream.
    pub(super) full: Vec<Key>,
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
            is_test_wanted: false,
            is_test_over: false,
            held: Vec::new(),
            full: Vec::new(),
            suspects: None,
            crashed: None,
            running: 0,
            is_draining: false,
            is_ended: false,
            is_unsure: false,
        }
    }

    /// Goes on where the record says, which may be this process's own; where there is none, as if all before the start were done with,
    /// so that whatever is recorded next says where it began.
    pub(super) fn resume(
        &mut self,
        progress: Option<&Progress>,
        start: Option<Place>,
        (is_shared, is_own): (bool, bool),
        now: Duration,
    ) {
        let before = start.filter(|start| *start > 0).map(|start| start - 1);
        self.done = progress.map_or(before, |progress| progress.done);
        (self.read_to, self.recorded) = (self.done, self.done);
        self.began = progress.and_then(|progress| progress.began);
        self.is_held = progress.is_some_and(|progress| progress.standing.is_some());
        self.recorded_at = now;
        match self.began {
            Some(Began::Ahead(to)) => self.suspects = Some(to),
            Some(Began::Alone(place, crashes)) => {
                self.suspects = Some(place);
                // Its own test, of a lane that it lost meanwhile, brought nothing down.
                self.crashed = Some((place, crashes.saturating_add(u32::from(!is_own))));
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
        self.full.clear();
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

    /// Whether it is done with everything before this message, and not with the message.
    pub(super) fn is_first(&self, place: Place) -> bool {
        self.ahead.front().is_some_and(|(first, _)| *first == place)
    }

    /// Whether it is not done with everything before this message.
    pub(super) fn is_behind(&self, place: Place) -> bool {
        self.ahead.front().is_some_and(|(first, _)| *first < place)
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
        // What was held is over: the record that was committed says nothing of it.
        self.is_held = false;
        self.unrecorded = 0;
    }

    /// What stays begun when the message at this place is done with.
    pub(super) fn began_after(&self, place: Place) -> Option<Began> {
        let suspects = self.suspects.filter(|to| *to > place).map(Began::Ahead);
        let began = self.began.filter(|began| matches!(began, Began::Ahead(to) if *to > place));
        began.or(suspects)
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

    /// The pause after a record that was not taken may be over.
    pub(super) fn tick(&mut self, now: Duration) {
        if self.not_before <= now {
            self.not_before = Duration::ZERO;
        }
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

    /// The record stands. If it was to be the last and the lane is kept after all, it was not.
    pub(super) fn recorded(&mut self, now: Duration, is_stopping: bool) {
        let Some((record, counted)) = self.recording.take() else { return };
        self.recorded = record.done;
        self.began = record.began;
        self.is_test_over &= self.is_tested();
        self.is_held = record.is_held || record.is_last && self.is_held;
        self.unrecorded = self.unrecorded.saturating_sub(counted);
        self.recorded_at = now;
        self.not_before = Duration::ZERO;
        if self.phase == Phase::Taking {
            self.phase = Phase::Live;
        }
        self.is_ended = record.is_last && (self.is_draining || is_stopping);
    }

    /// The record does not stand, and is asked for again from this time on.
    pub(super) fn not_recorded(&mut self, again: Duration) {
        if let Some((record, _)) = self.recording.take() {
            self.is_mark_wanted |= record.began.is_some();
        }
        self.not_before = again;
    }
}
