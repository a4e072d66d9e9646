//! What an answer means to the subscriber.
//!
//! Owns what follows a success and each kind of fault. What is done next is in `machine.rs`. An
//! answer of a lane that is ours no more changes nothing.

use std::time::Duration;

use super::lane::{Phase, Track};
use super::lot::Lot;
use super::machine::Reader;
use super::queues::Key;
use super::{Action, Cause, ErrorPolicy, Fault, Input, Lane, Machine, Outcome, Page, Stop, Then};
use crate::StreamName;
use crate::store::{ParkedQueue, Place, Progress};

impl Machine {
    /// Takes the answer to an action, at a time counted from the same moment as in
    /// [`next`](Self::next).
    pub fn answer(&mut self, input: Input, now: Duration) {
        match input {
            Input::Progress(lane, progress) => self.progress_read(lane, progress, now),
            Input::Notes(notes) => self.notes_read(notes, now),
            Input::Page(page) => self.page_read(page, now),
            Input::Handled(place, outcome) => self.handled(place, &outcome, now),
            Input::Skipped(place) => self.finished(place, Track::finish),
            Input::Parked(place, parked) => self.parked_at(place, parked, now),
            Input::Replayed(stream, outcome, queue) => self.replayed(stream, outcome, queue, now),
            Input::Noted(stream, noted) => self.noted(stream, noted, now),
            Input::Recorded(lane, recorded) => self.recorded(lane, recorded, now),
            Input::Held(held) => self.held(held, now),
            Input::Released(lane, released) => self.released(lane, released, now),
            Input::Left => self.left(),
        }
        if self.bury()
            && let Some(tenure) = &mut self.tenure
        {
            tenure.renew_soon(now);
        }
    }

    fn again(&self, now: Duration) -> Duration {
        now.saturating_add(self.options.error_delay)
    }

    pub(super) fn fail(&mut self) {
        self.stopping = Some(Stop::Failed);
    }

    fn progress_read(
        &mut self,
        lane: Lane,
        progress: Result<Option<Progress>, Fault>,
        now: Duration,
    ) {
        let (again, is_shared) = (self.again(now), self.tenure.is_some());
        let start = self.options.start;
        let Some(track) = self.lanes.get_mut(&lane) else { return };
        if track.is_gone() {
            track.phase = Phase::Gone(false);
            return;
        }
        match progress {
            Ok(progress) => {
                let began = progress.as_ref().and_then(|progress| progress.began);
                let is_own = self.own_tests.get(&lane).is_some_and(|own| began == Some(*own));
                if !is_own {
                    self.own_tests.remove(&lane);
                }
                track.resume(progress.as_ref(), start, (is_shared, is_own), now);
                // What was parked by who had the lane before is to be known.
                self.lot.look_again();
            }
            Err(Fault::Unavailable) => track.phase = Phase::Unread(again),
            Err(Fault::Failed | Fault::Superseded) => {
                track.phase = Phase::Unread(again);
                self.fail();
            }
        }
    }

    fn notes_read(
        &mut self,
        notes: Result<Vec<(StreamName, Lane, ParkedQueue)>, Fault>,
        now: Duration,
    ) {
        match notes {
            Ok(notes) => {
                for (stream, lane, queue) in notes {
                    self.lot.take(stream, lane, queue);
                }
                self.lot.followed(Lot::follow_after(now), true);
                self.make_room();
            }
            Err(Fault::Unavailable) => self.lot.followed(self.again(now), false),
            Err(Fault::Failed | Fault::Superseded) => {
                self.lot.followed(self.again(now), false);
                self.fail();
            }
        }
    }

    /// Lets go on what waited for room among the parked messages of its stream, where there is some.
    fn make_room(&mut self) {
        let waits = |key: &Key| self.queues.first(key).is_some_and(|item| self.is_kept_back(item));
        let full = self.lanes.values().flat_map(|track| &track.full);
        let free: Vec<_> = full.filter(|key| !waits(key)).cloned().collect();
        for track in self.lanes.values_mut() {
            track.full.retain(|key| !free.contains(key));
        }
        self.queues.release(free);
    }

    fn page_read(&mut self, page: Result<Page, Fault>, now: Duration) {
        let Reader::Fetching(lanes) = std::mem::replace(&mut self.reader, Reader::Ready) else {
            return;
        };
        let page = match page {
            Ok(page) => page,
            Err(fault) => {
                self.reader = Reader::Away(self.again(now));
                if fault != Fault::Unavailable {
                    self.fail();
                }
                return;
            }
        };
        let is_last = !page.is_full;
        self.is_held_up = page.is_held_up;
        let mut is_empty = true;
        for item in page.items {
            let Some(track) = self.lanes.get_mut(&item.lane) else { continue };
            if lanes.contains(&item.lane) && track.read(item.place) {
                is_empty = false;
                let key = self.key_of(&item);
                self.queues.push(key, item);
            }
        }
        for lane in &lanes {
            if let (Some(track), Some(to)) = (self.lanes.get_mut(lane), page.scanned) {
                track.scanned(to);
            }
        }
        let is_whole = self
            .lanes
            .iter()
            .all(|(lane, track)| lanes.contains(lane) || !track.is_live() || track.is_draining);
        if is_empty && is_last && is_whole && !self.is_woken {
            self.reader = Reader::Idle(now.saturating_add(self.options.poll_interval));
        }
    }

    fn handled(&mut self, place: Place, outcome: &Outcome, now: Duration) {
        let Some(lane) = self.queues.running_at(place).map(|item| item.lane) else { return };
        let Some(track) = self.lanes.get_mut(&lane) else { return };
        if track.is_gone() {
            return self.finished(place, Track::finish);
        }
        let is_lost = *outcome == Outcome::Fault(Fault::Unavailable);
        track.is_unsure = self.options.transactional && is_lost;
        match outcome {
            Outcome::Done => self.finished(place, Track::finish),
            Outcome::Committed => self.finished(place, Track::committed),
            Outcome::Failed(policy) => self.failed(place, lane, *policy, now),
            // The message is not to blame, so this is not one of its attempts.
            Outcome::Fault(Fault::Unavailable) => {
                let again = self.again(now);
                self.rest(place, lane, again, false);
            }
            Outcome::Fault(Fault::Superseded) => {
                self.rest(place, lane, Duration::MAX, false);
                self.superseded(lane);
            }
            Outcome::Fault(Fault::Failed) => {
                self.rest(place, lane, Duration::MAX, false);
                self.fail();
            }
        }
    }

    /// The message is done with, in one of two ways.
    fn finished(&mut self, place: Place, how: fn(&mut Track, Place)) {
        let Some(item) = self.queues.finish(place) else { return };
        let Some(track) = self.lanes.get_mut(&item.lane) else { return };
        if !track.is_gone() {
            how(track, place);
        }
        self.untested(item.lane, place);
        self.ended(item.lane);
    }

    /// The message comes again at this time.
    fn rest(&mut self, place: Place, lane: Lane, at: Duration, failed: bool) {
        self.queues.again(place, at, failed);
        self.ended(lane);
    }

    /// Something of a lane is under way no more.
    fn ended(&mut self, lane: Lane) {
        let Some(track) = self.lanes.get_mut(&lane) else { return };
        track.running = track.running.saturating_sub(1);
        if track.is_gone() {
            self.queues.drop_lane(lane);
        }
        self.release_held(lane);
    }

    /// What waits for a lane may ask again; and all that wait, where one may wait for another lane.
    pub(super) fn release_held(&mut self, lane: Lane) {
        let is_any = self.options.crashes.is_some();
        for (_, track) in self.lanes.iter_mut().filter(|(other, _)| is_any || **other == lane) {
            self.queues.release(track.take_held());
        }
    }

    fn failed(&mut self, place: Place, lane: Lane, policy: ErrorPolicy, now: Duration) {
        let attempts = self.queues.attempts(place);
        if attempts < policy.retries {
            let at = now.saturating_add(policy.delay(attempts, place));
            return self.rest(place, lane, at, true);
        }
        match policy.then {
            Then::Skip => self.urgent.push_back(Action::Skip(place)),
            Then::Park if !self.is_lot_full() => {
                let cause = Cause::Failed(attempts.saturating_add(1));
                self.queues.judge(place, cause);
                if let Some(item) = self.queues.running_at(place) {
                    self.lot.parks(&item.stream);
                }
                self.urgent.push_back(Action::Park(place, cause));
            }
            Then::Park | Then::Stop => {
                self.lot.is_overfull |= policy.then == Then::Park;
                self.rest(place, lane, Duration::MAX, true);
                self.fail();
            }
        }
    }

    fn parked_at(&mut self, place: Place, parked: Result<ParkedQueue, Fault>, now: Duration) {
        let Some(item) = self.queues.running_at(place) else { return };
        let (stream, lane) = (item.stream.clone(), item.lane);
        if self.lanes.get(&lane).is_none_or(Track::is_gone) {
            self.lot.parked_one(&stream);
            return self.finished(place, Track::finish);
        }
        match parked {
            Ok(queue) => {
                let is_parked = !queue.is_empty();
                self.lot.take(stream.clone(), lane, queue);
                self.lot.parked_one(&stream);
                if is_parked {
                    self.finished(place, Track::finish);
                } else {
                    self.queues.give_back(place);
                    self.ended(lane);
                }
            }
            Err(Fault::Unavailable) => {
                self.lot.parked_one(&stream);
                self.rest(place, lane, self.again(now), false);
            }
            Err(Fault::Superseded | Fault::Failed) => {
                self.lot.parked_one(&stream);
                self.rest(place, lane, Duration::MAX, false);
                self.fail();
            }
        }
    }

    fn replayed(
        &mut self,
        stream: StreamName,
        outcome: Outcome,
        queue: ParkedQueue,
        now: Duration,
    ) {
        let lane = self.lot.lane_of(&stream).unwrap_or_default();
        self.lot.take(stream.clone(), lane, queue);
        let tried = self.lot.tried_of(&stream);
        let tried = tried.map(|it| (it.position, it.attempts, it.global_position));
        let again = self.again(now);
        match (outcome, tried) {
            // Whatever failed, it comes to an end: what is read before the message is handled too.
            (Outcome::Failed(policy), Some((position, before, place))) => {
                let attempts = self.lot.attempts(&stream);
                if attempts < policy.retries {
                    let at = now.saturating_add(policy.delay(attempts, place.get()));
                    self.lot.again(stream, at, true);
                } else {
                    let attempts = before.saturating_add(attempts).saturating_add(1);
                    self.urgent.push_back(Action::NoteFailure(stream, position, attempts));
                    return;
                }
            }
            (Outcome::Fault(Fault::Unavailable), _) => self.lot.again(stream, again, false),
            (Outcome::Fault(Fault::Superseded), _) => {
                self.lot.tried(&stream);
                self.superseded(lane);
            }
            (Outcome::Fault(Fault::Failed), _) => {
                self.lot.tried(&stream);
                self.fail();
            }
            _ => self.lot.tried(&stream),
        }
        self.replay_ended(lane);
    }

    fn replay_ended(&mut self, lane: Lane) {
        self.ended(lane);
        self.make_room();
    }

    fn noted(&mut self, stream: StreamName, noted: Result<ParkedQueue, Fault>, now: Duration) {
        let lane = self.lot.lane_of(&stream).unwrap_or_default();
        match noted {
            Ok(queue) => {
                self.lot.take(stream.clone(), lane, queue);
                self.lot.tried(&stream);
            }
            Err(Fault::Unavailable) => self.lot.again(stream, self.again(now), false),
            Err(Fault::Superseded | Fault::Failed) => {
                self.lot.tried(&stream);
                self.fail();
            }
        }
        self.replay_ended(lane);
    }

    fn recorded(&mut self, lane: Lane, recorded: Result<(), Fault>, now: Duration) {
        let again = self.again(now);
        let Some(track) = self.lanes.get_mut(&lane) else { return };
        if track.is_gone() {
            track.not_recorded(again);
            return;
        }
        match recorded {
            Ok(()) => {
                let is_new = !track.is_live();
                track.recorded(now, self.stopping.is_some());
                // The test of the next may have been asked for meanwhile.
                if !track.is_tested() && !track.is_test_wanted {
                    self.end_test(lane);
                }
                self.release_held(lane);
                if is_new {
                    self.own_tests.remove(&lane);
                    // What it holds was not read yet.
                    self.wake();
                }
            }
            Err(Fault::Superseded) => {
                track.not_recorded(again);
                self.superseded(lane);
            }
            Err(fault) => {
                track.not_recorded(again);
                let held = track.take_held();
                self.queues.release(held);
                // A subscriber that stops does not wait for the store: what it did not record is
                // handled again.
                if fault == Fault::Failed || self.stopping.is_some() {
                    self.is_giving_up = true;
                    self.fail();
                }
            }
        }
    }

    /// Another process has recorded progress of the lane since we did.
    fn superseded(&mut self, lane: Lane) {
        self.drop_lane(lane);
        if self.tenure.is_none() {
            self.fail();
        }
    }
}
