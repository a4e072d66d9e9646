//! Crashes that are counted: what a lane may begin with, after a process has ended in the middle of it.
//!
//! Owns who is a suspect and when one is tested. What is recorded of it is in `lane.rs`.

use super::Options;
use super::lane::{Leave, Track};
use crate::store::{Began, Place};

impl Track {
    /// Whether a message may begin now; a suspect only where nothing else is under way.
    pub(super) fn leave(&mut self, place: Place, options: &Options, is_alone: bool) -> Leave {
        let Some(limit) = options.crashes else { return Leave::Granted };
        if self.is_suspect(place) {
            return self.leave_alone(place, limit, is_alone);
        }
        let is_marked = |began| matches!(began, Some(Began::Ahead(to)) if place <= to);
        if is_marked(self.began) {
            return Leave::Granted;
        }
        self.is_mark_wanted |= !is_marked(self.on_its_way());
        Leave::Held
    }

    /// Whether a record is on its way that must land before anything is committed after it.
    pub(super) fn is_committing(&self, options: &Options) -> bool {
        // The progress that is committed with the effects is recorded by nobody else meanwhile, and
        // the last record of a lane says that nothing is begun.
        self.recording.is_some_and(|(record, _)| options.transactional || record.is_last)
    }

    /// Whether a message is a suspect, and its turn has come.
    pub(super) fn is_to_be_tested(&self, place: Place, options: &Options) -> bool {
        let is_over = |limit| self.crashes_of(place) >= limit;
        self.is_first(place) && self.is_suspect(place) && !options.crashes.is_none_or(is_over)
    }

    /// Whether it is recorded that a suspect is being tested.
    pub(super) fn is_tested(&self) -> bool {
        self.is_test(self.began)
    }

    /// Whether it is recorded that a suspect is being tested, or will be.
    pub(super) fn is_testing(&self) -> bool {
        self.is_tested() || self.is_test(self.on_its_way())
    }

    /// Whether that is a test of ours, and not what somebody else left.
    fn is_test(&self, began: Option<Began>) -> bool {
        matches!(began, Some(Began::Alone(..))) && began != self.left_over()
    }

    /// Asks for a record that the test of a suspect is over, if one has to say so.
    pub(super) fn end_test(&mut self) -> bool {
        self.is_test_wanted = false;
        self.is_test_over = self.is_tested();
        self.is_mark_wanted |= self.is_test_over;
        self.is_test_over
    }

    pub(super) fn is_suspect(&self, place: Place) -> bool {
        // What comes after the suspects waits until they are done with.
        self.suspects
            .is_some_and(|to| place <= to || self.ahead.front().is_some_and(|it| it.0 <= to))
    }

    /// A suspect comes by itself, with a count of its own recorded before it begins.
    fn leave_alone(&mut self, place: Place, limit: u32, is_alone: bool) -> Leave {
        if self.running > 0 || !self.is_first(place) {
            return Leave::Held;
        }
        let crashes = self.crashes_of(place);
        if crashes >= limit {
            return Leave::Crashes(crashes);
        }
        if !is_alone {
            return Leave::Held;
        }
        let test = self.test();
        if self.began == test {
            return Leave::Granted;
        }
        if self.on_its_way() != test {
            (self.is_mark_wanted, self.is_test_wanted) = (true, true);
            self.is_test_over = false;
        }
        Leave::Held
    }

    /// What the record that is on its way says of what is begun.
    fn on_its_way(&self) -> Option<Began> {
        self.recording.and_then(|(record, _)| record.began)
    }

    /// What is recorded before the first message is tested, if that is a suspect.
    pub(super) fn test(&self) -> Option<Began> {
        let (first, _) = self.ahead.front().filter(|(first, _)| self.is_suspect(*first))?;
        Some(Began::Alone(*first, self.crashes_of(*first)))
    }

    pub(super) fn crashes_of(&self, place: Place) -> u32 {
        self.crashed.filter(|(crashed, _)| *crashed == place).map_or(0, |(_, crashes)| crashes)
    }

    /// What somebody else began and nobody has looked into yet, so that it is still known when this
    /// process ends, in order or not.
    pub(super) fn left_over(&self) -> Option<Began> {
        let suspects = self.suspects.map(Began::Ahead)?;
        let alone = self.crashed.filter(|(_, crashes)| *crashes > 0);
        Some(alone.map_or(suspects, |(place, crashes)| Began::Alone(place, crashes - 1)))
    }
}
