//! What is parked, as the machine knows it from the notes in the store.
//!
//! Owns which streams are held back and whose turn it is to be tried again. It may lag behind the
//! store: who parks or replays looks there first, and what he finds comes back here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Lane;
use crate::store::{ParkedMessage, ParkedQueue};
use crate::{Position, StreamName};

/// How long it goes without looking for what people have noted, at most.
const FOLLOW: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(super) struct Lot {
    streams: BTreeMap<StreamName, Spot>,
    /// The streams whose first message may be tried again.
    due: VecDeque<StreamName>,
    timers: BTreeSet<(Duration, StreamName)>,
    /// The streams of which a message is being parked, and the version they are known at: an answer
    /// may be older than what was read meanwhile.
    parking: BTreeMap<StreamName, Option<Position>>,
    /// How many are being tried again.
    busy: usize,
    /// The notes were read once to their end.
    is_known: bool,
    is_following: bool,
    /// The streams of which nothing is parked any more since the notes began to be read, and the
    /// version that says so: what is read may be older.
    over: BTreeMap<StreamName, Option<Position>>,
    /// What is being read is too old to be all that must be known.
    is_too_old: bool,
    /// More would be parked in all than may be, so it stops.
    pub(super) is_overfull: bool,
    follow_at: Duration,
}

#[derive(Clone, Debug)]
struct Spot {
    queue: ParkedQueue,
    lane: Lane,
    state: State,
    /// How often the first was tried since it became due.
    attempts: u32,
    /// The message that this process has begun to try again, and come to no end with.
    begun: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Still,
    Due,
    Busy,
    Waiting(Duration),
}

impl Spot {
    fn begin(&mut self, position: Position) {
        if self.begun != Some(position) {
            (self.begun, self.attempts) = (Some(position), 0);
        }
        self.state = State::Busy;
    }

    fn due(&self) -> Option<&ParkedMessage> {
        self.queue.due_to(self.begun)
    }
}

impl Lot {
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether the notes are to be read now; from then on they are being read.
    pub(super) fn follow(&mut self, now: Duration) -> bool {
        let is_due = !self.is_following && now >= self.follow_at;
        self.is_following |= is_due;
        is_due
    }

    pub(super) fn is_following(&self) -> bool {
        self.is_following
    }

    pub(super) fn followed(&mut self, again: Duration, is_known: bool) {
        self.is_following = false;
        self.over.clear();
        self.is_known |= is_known && !self.is_too_old;
        self.follow_at = if self.is_too_old && is_known { Duration::ZERO } else { again };
        self.is_too_old = false;
    }

    pub(super) fn follow_after(now: Duration) -> Duration {
        now.saturating_add(FOLLOW)
    }

    /// What a lane has parked is to be read again before the lane is begun with.
    pub(super) fn look_again(&mut self) {
        self.is_known = false;
        self.is_too_old = self.is_following;
        self.follow_at = Duration::ZERO;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let follow = (!self.is_following).then_some(self.follow_at);
        let again = self.timers.first().map(|(at, _)| *at);
        follow.into_iter().chain(again).min()
    }

    /// A message of the stream is being parked.
    pub(super) fn parks(&mut self, stream: &StreamName) {
        let known = self.streams.get(stream).and_then(|spot| spot.queue.version());
        self.parking.entry(stream.clone()).or_insert(known);
    }

    /// No message of the stream is being parked any more.
    pub(super) fn parked_one(&mut self, stream: &StreamName) {
        self.parking.remove(stream);
    }

    /// Takes in what is parked of a stream.
    pub(super) fn take(&mut self, stream: StreamName, lane: Lane, queue: ParkedQueue) {
        if let Some(known) = self.parking.get_mut(&stream) {
            if *known > queue.version() {
                return;
            }
            *known = queue.version();
        }
        let known = self.streams.get(&stream);
        let version = known.map(|known| known.queue.version());
        if version.or(self.over.get(&stream).copied()) > Some(queue.version()) {
            return;
        }
        let state = known.map_or(State::Still, |known| known.state);
        let attempts = known.map_or(0, |known| known.attempts);
        let begun = known.and_then(|known| known.begun);
        if queue.is_empty() && state != State::Busy {
            self.forget(stream, queue.version());
            return;
        }
        self.streams.insert(stream.clone(), Spot { queue, lane, state, attempts, begun });
        self.settle(stream);
    }

    fn settle(&mut self, stream: StreamName) {
        let Some(spot) = self.streams.get_mut(&stream) else { return };
        if spot.state == State::Still && spot.due().is_some() {
            spot.state = State::Due;
            self.due.push_back(stream);
        }
    }

    /// Nothing of the stream is parked at this version.
    fn forget(&mut self, stream: StreamName, version: Option<Position>) {
        match self.streams.remove(&stream).map(|spot| spot.state) {
            Some(State::Due) => self.due.retain(|due| *due != stream),
            Some(State::Waiting(at)) => _ = self.timers.remove(&(at, stream.clone())),
            Some(State::Still | State::Busy) | None => {}
        }
        if self.is_following {
            self.over.insert(stream, version);
        }
    }

    /// Whether messages of the stream wait behind one that is parked.
    pub(super) fn holds_back(&self, stream: &StreamName) -> bool {
        self.streams.get(stream).is_some_and(|spot| !spot.queue.is_empty())
    }

    /// Whether the last that was parked of the stream is being tried, though it was given up meanwhile.
    pub(super) fn is_ending(&self, stream: &StreamName) -> bool {
        let is_ending = |spot: &Spot| spot.state == State::Busy && spot.queue.is_empty();
        self.streams.get(stream).is_some_and(is_ending)
    }

    /// The messages of the stream that are parked.
    pub(super) fn parked_of(&self, stream: &StreamName) -> impl Iterator<Item = &ParkedMessage> {
        let spot = self.streams.get(stream);
        spot.into_iter().flat_map(|spot| spot.queue.messages())
    }

    /// How many messages are parked.
    pub(super) fn parked(&self) -> usize {
        self.streams.values().map(|spot| spot.queue.len()).sum()
    }

    /// Begins with the next message that may be tried again, if it may be tried by us.
    pub(super) fn begin(
        &mut self,
        may_begin: impl Fn(&StreamName, Lane, &ParkedMessage) -> bool,
    ) -> Option<(StreamName, Position, Lane)> {
        for _ in 0..self.due.len() {
            let stream = self.due.pop_front()?;
            let Some(spot) = self.streams.get_mut(&stream) else { continue };
            let Some(due) = spot.due() else {
                spot.state = State::Still;
                continue;
            };
            if may_begin(&stream, spot.lane, due) {
                let position = due.position;
                spot.begin(position);
                self.busy += 1;
                return Some((stream, position, spot.lane));
            }
            self.due.push_back(stream);
        }
        None
    }

    pub(super) fn lane_of(&self, stream: &StreamName) -> Option<Lane> {
        self.streams.get(stream).map(|spot| spot.lane)
    }

    /// The message of the stream that is being tried again, if it still is to be.
    pub(super) fn tried_of(&self, stream: &StreamName) -> Option<&ParkedMessage> {
        let spot = self.streams.get(stream)?;
        spot.due().filter(|due| spot.begun == Some(due.position))
    }

    /// What is known to be parked of the stream.
    pub(super) fn queue(&self, stream: &StreamName) -> Option<&ParkedQueue> {
        self.streams.get(stream).map(|spot| &spot.queue)
    }

    pub(super) fn attempts(&self, stream: &StreamName) -> u32 {
        self.streams.get(stream).map_or(0, |spot| spot.attempts)
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    /// Whether something of a lane that is ours is about to be tried again.
    pub(super) fn is_due(&self, is_ours: impl Fn(Lane) -> bool) -> bool {
        let is_ours = |stream| self.streams.get(stream).is_some_and(|spot| is_ours(spot.lane));
        self.busy > 0
            || self.due.iter().any(is_ours)
            || self.timers.iter().any(|(_, stream)| is_ours(stream))
    }

    /// The try is over; what came of it was taken in.
    pub(super) fn tried(&mut self, stream: &StreamName) {
        self.busy = self.busy.saturating_sub(1);
        let Some(spot) = self.streams.get_mut(stream) else { return };
        (spot.state, spot.attempts, spot.begun) = (State::Still, 0, None);
        if spot.queue.is_empty() {
            let version = spot.queue.version();
            self.forget(stream.clone(), version);
        } else {
            self.settle(stream.clone());
        }
    }

    /// It is tried again at this time, and perhaps that was an attempt.
    pub(super) fn again(&mut self, stream: StreamName, at: Duration, failed: bool) {
        self.busy = self.busy.saturating_sub(1);
        if let Some(spot) = self.streams.get_mut(&stream) {
            spot.attempts = spot.attempts.saturating_add(u32::from(failed));
            spot.state = State::Waiting(at);
            self.timers.insert((at, stream));
        }
    }

    pub(super) fn tick(&mut self, now: Duration) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((_, stream)) = self.timers.pop_first() else { return };
            if let Some(spot) = self.streams.get_mut(&stream) {
                spot.state = State::Due;
                self.due.push_back(stream);
            }
        }
    }

    pub(super) fn hurry(&mut self) {
        self.tick(Duration::MAX);
    }
}
