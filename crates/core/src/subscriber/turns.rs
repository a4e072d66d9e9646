//! Whose turn it is: which message begins next, and whether it is handled or parked.
//!
//! Owns what holds a message back. What was read stands in `queues.rs`, what is parked in `lot.rs`.

use super::lane::{Leave, Track};
use super::machine::is_open;
use super::queues::Item;
use super::{Action, Cause, Lane, Machine};
use crate::StreamName;
use crate::store::{ParkedQueue, Place, Progress};

/// How many messages are parked at most, of all streams: more than this is no matter of messages.
const PARKED_IN_ALL: usize = 10_000;

impl Machine {
    pub(super) fn next_replay(&mut self) -> Option<Action> {
        if !self.lot.is_known() || !self.has_room() || self.tested().is_some() {
            return None;
        }
        let (is_committed, unit) = (self.options.transactional, self.unit);
        let (stream, position, lane) = self.lot.begin(|stream, lane, due| {
            let track = self.lanes.get(&lane).filter(|track| is_open(track));
            // Until it is recorded that the message is passed, whoever comes next handles it, so its
            // effects are not committed in another way.
            let is_passed = |track: &Track| track.has_recorded(unit.place_of_parked(due));
            // Another process may have parked it, after its lease, while this one handles the next.
            let is_free = !self.queues.is_running(stream);
            is_free && track.is_some_and(|track| !is_committed || is_passed(track))
        })?;
        if let Some(track) = self.lanes.get_mut(&lane) {
            track.running += 1;
        }
        Some(Action::Replay(stream, position))
    }

    fn has_room(&self) -> bool {
        let running = self.queues.running() + self.lot.busy();
        let room = usize::try_from(self.options.concurrency).unwrap_or(usize::MAX);
        // Where a lane was lost in the middle of a test, that it is over is recorded first.
        let is_known = |track: &Track| track.is_live() || track.is_gone();
        let mut tests = self.own_tests.keys().filter_map(|lane| self.lanes.get(lane));
        running < room && tests.all(is_known)
    }

    pub(super) fn next_message(&mut self) -> Option<Action> {
        if !self.lot.is_known() {
            return None;
        }
        while self.has_room() {
            let item = self.queues.next()?;
            let (place, lane) = (item.place, item.lane);
            let is_behind = self.lot.holds_back(&item.stream);
            if self.is_kept_back(item) {
                self.lanes.get_mut(&lane)?.full.extend(self.queues.hold());
                self.untested(lane, place);
                continue;
            }
            let verdict = self.queues.verdict();
            let leave = self.leave(place, lane, verdict)?;
            let track = self.lanes.get_mut(&lane)?;
            let cause = match leave {
                Leave::Held => {
                    self.queues.hold().into_iter().for_each(|key| track.hold(key));
                    continue;
                }
                Leave::Granted => verdict.or(is_behind.then_some(Cause::Behind)),
                Leave::Crashes(crashes) => Some(Cause::Crashed(crashes)),
            };
            if cause.is_some() && self.would_overflow() {
                self.lot.is_overfull = true;
                self.fail();
                return None;
            }
            self.lanes.get_mut(&lane)?.running += 1;
            self.queues.begin(cause);
            if let Some(item) = self.queues.running_at(place).filter(|_| cause.is_some()) {
                self.lot.parks(&item.stream);
            }
            return Some(match cause {
                Some(cause) => Action::Park(place, cause),
                None => Action::Handle(place, self.committed_with(place, lane)),
            });
        }
        None
    }

    /// Whether it may not even be parked now.
    pub(super) fn is_kept_back(&self, item: &Item) -> bool {
        self.lot.holds_back(&item.stream) && self.is_full(item) || self.lot.is_ending(&item.stream)
    }

    /// Whether as many messages of its stream are parked as may be, and it is none of them. One that
    /// stands before them is what they wait for: it was parked too, and given up before its record.
    fn is_full(&self, item: &Item) -> bool {
        let limit = usize::try_from(self.options.parked_limit).unwrap_or(usize::MAX);
        let mut places = self.parked_places(item);
        let is_after = places.next().is_some_and(|first| first < item.place);
        is_after && self.lot.parked_of(&item.stream).count() >= limit && !self.is_parked(item)
    }

    fn is_parked(&self, item: &Item) -> bool {
        self.parked_places(item).any(|place| place == item.place)
    }

    /// The places of what is parked of the stream of a message, in their order.
    fn parked_places(&self, item: &Item) -> impl Iterator<Item = Place> {
        let parked = self.lot.parked_of(&item.stream);
        parked.map(|parked| self.unit.place_of_parked(parked))
    }

    /// Whether there is no room in the lot for the message that is next.
    fn would_overflow(&self) -> bool {
        self.is_lot_full() && self.queues.next().is_some_and(|item| !self.is_parked(item))
    }

    /// Whether as many messages are parked in all as may be.
    pub(super) fn is_lot_full(&self) -> bool {
        self.lot.parked() >= PARKED_IN_ALL
    }

    /// What is parked of a stream, as far as it knows.
    pub fn parked_of(&self, stream: &StreamName) -> Option<&ParkedQueue> {
        self.lot.queue(stream)
    }

    /// Whether it stops because more would be parked in all than may be; that is told once.
    pub fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.lot.is_overfull)
    }

    /// The lane that has a suspect to be handled while nothing else is, if it may begin with it.
    fn tested(&self) -> Option<Lane> {
        let may_be = |track: &Track| is_open(track) || track.is_testing();
        self.tested.filter(|tested| self.lanes.get(tested).is_some_and(may_be))
    }

    /// Whether a message may begin now.
    fn leave(&mut self, place: Place, lane: Lane, verdict: Option<Cause>) -> Option<Leave> {
        let is_under_way = self.running() > 0;
        let tested = self.tested();
        let track = self.lanes.get_mut(&lane)?;
        if !is_open(track) || track.is_committing(&self.options) {
            return Some(Leave::Held);
        }
        if verdict.is_some() {
            return Some(Leave::Granted);
        }
        let is_to_be_tested = track.is_to_be_tested(place, &self.options);
        if tested.is_some_and(|tested| tested != lane) {
            return Some(Leave::Held);
        }
        if is_to_be_tested {
            self.tested = Some(lane);
        }
        Some(track.leave(place, &self.options, !is_under_way))
    }

    /// The stream of a message of this lane that waits, because as many of its stream are parked as
    /// may be.
    pub fn full_stream(&self, lane: Lane) -> Option<&StreamName> {
        let mut waiting = self.lanes.get(&lane)?.full.iter().filter_map(|it| self.queues.first(it));
        waiting.find(|item| self.is_full(item)).map(|item| &item.stream)
    }

    /// The progress that is committed with the effects of a message.
    fn committed_with(&self, place: Place, lane: Lane) -> Option<Progress> {
        let track = self.lanes.get(&lane).filter(|_| self.options.transactional)?;
        Some(Progress { done: Some(place), began: track.began_after(place), ..Progress::default() })
    }
}
