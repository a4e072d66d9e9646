//! What is to be handled, in queues of which each does one thing at a time.
//!
//! Owns whose turn it is: one queue for all in the order of the category, or one for each stream.
//! Which message may begin at all is decided in `turns.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{Cause, Lane};
use crate::StreamName;
use crate::store::Place;

/// A message that was read, as the machine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place in what is read.
    pub place: Place,
    /// The stream it stands in.
    pub stream: StreamName,
    /// The lane that its stream falls to; 0 where there is but one.
    pub lane: Lane,
}

/// What is handled one after another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Lane(Lane),
    Stream(StreamName),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Queues {
    by_key: BTreeMap<Key, Queue>,
    /// Those whose first message may begin, in the order of their turns.
    ready: VecDeque<Key>,
    /// Those that wait for a time.
    timers: BTreeSet<(Duration, Key)>,
    /// What is being handled, and whose it is.
    running: BTreeMap<Place, Key>,
}

#[derive(Clone, Debug)]
struct Queue {
    items: VecDeque<Item>,
    /// How often the first has failed.
    attempts: u32,
    /// Why the first is to be parked, once that is decided; it is not handled any more.
    verdict: Option<Cause>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Running,
    Waiting(Duration),
    /// Until its lane says so.
    Held,
}

impl Queues {
    pub(super) fn push(&mut self, key: Key, item: Item) {
        if let Some(queue) = self.by_key.get_mut(&key) {
            queue.items.push_back(item);
            return;
        }
        let items = VecDeque::from([item]);
        let queue = Queue { items, attempts: 0, verdict: None, state: State::Ready };
        self.by_key.insert(key.clone(), queue);
        self.ready.push_back(key);
    }

    /// The first message of the queue whose turn it is.
    pub(super) fn next(&self) -> Option<&Item> {
        self.first(self.ready.front()?)
    }

    /// The first message of a queue.
    pub(super) fn first(&self, key: &Key) -> Option<&Item> {
        self.by_key.get(key)?.items.front()
    }

    /// Why the message that is next is to be parked, if that is decided.
    pub(super) fn verdict(&self) -> Option<Cause> {
        self.by_key.get(self.ready.front()?)?.verdict
    }

    /// Decides that the message that is being handled is to be parked.
    pub(super) fn judge(&mut self, place: Place, cause: Cause) {
        let Some(key) = self.running.get(&place) else { return };
        if let Some(queue) = self.by_key.get_mut(key) {
            queue.verdict = Some(cause);
        }
    }

    /// Begins with the message that is next: to handle it, or to park it.
    pub(super) fn begin(&mut self, verdict: Option<Cause>) {
        let Some(key) = self.ready.pop_front() else { return };
        let Some(queue) = self.by_key.get_mut(&key) else { return };
        (queue.state, queue.verdict) = (State::Running, verdict);
        if let Some(item) = queue.items.front() {
            self.running.insert(item.place, key);
        }
    }

    /// Takes the turn from the queue whose it is, until its lane gives it back.
    pub(super) fn hold(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        if let Some(queue) = self.by_key.get_mut(&key) {
            queue.state = State::Held;
        }
        Some(key)
    }

    /// Gives the turn back, before all others.
    pub(super) fn release(&mut self, keys: Vec<Key>) {
        for key in keys.into_iter().rev() {
            if let Some(queue) = self.by_key.get_mut(&key)
                && queue.state == State::Held
            {
                queue.state = State::Ready;
                self.ready.push_front(key);
            }
        }
    }

    /// The message that is being handled, if it is.
    pub(super) fn running_at(&self, place: Place) -> Option<&Item> {
        self.by_key.get(self.running.get(&place)?)?.items.front()
    }

    /// Whether a message of the stream is being handled.
    pub(super) fn is_running(&self, stream: &StreamName) -> bool {
        let queue = self.by_key.get(&Key::Stream(stream.clone()));
        queue.is_some_and(|queue| queue.state == State::Running)
    }

    /// How often the message that is being handled has failed.
    pub(super) fn attempts(&self, place: Place) -> u32 {
        let queue = self.running.get(&place).and_then(|key| self.by_key.get(key));
        queue.map_or(0, |queue| queue.attempts)
    }

    /// The message is done with; the next of its queue gets its turn after all others.
    pub(super) fn finish(&mut self, place: Place) -> Option<Item> {
        let key = self.running.remove(&place)?;
        let queue = self.by_key.get_mut(&key)?;
        let item = queue.items.pop_front();
        (queue.attempts, queue.verdict) = (0, None);
        if queue.items.is_empty() {
            self.by_key.remove(&key);
        } else {
            queue.state = State::Ready;
            self.ready.push_back(key);
        }
        item
    }

    /// The message comes again at this time, and perhaps that was an attempt.
    pub(super) fn again(&mut self, place: Place, at: Duration, failed: bool) {
        let Some(key) = self.running.remove(&place) else { return };
        if let Some(queue) = self.by_key.get_mut(&key) {
            queue.attempts = queue.attempts.saturating_add(u32::from(failed));
            queue.state = State::Waiting(at);
            self.timers.insert((at, key));
        }
    }

    /// The message is not handled after all, or not in this way: it gets its turn at once.
    pub(super) fn give_back(&mut self, place: Place) {
        let Some(key) = self.running.remove(&place) else { return };
        if let Some(queue) = self.by_key.get_mut(&key) {
            (queue.state, queue.verdict) = (State::Ready, None);
            self.ready.push_front(key);
        }
    }

    /// Lets those whose time has come have their turn.
    pub(super) fn tick(&mut self, now: Duration) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((_, key)) = self.timers.pop_first() else { return };
            if let Some(queue) = self.by_key.get_mut(&key) {
                queue.state = State::Ready;
                self.ready.push_back(key);
            }
        }
    }

    /// Lets all that wait have their turn.
    pub(super) fn hurry(&mut self) {
        self.tick(Duration::MAX);
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub(super) fn is_waiting(&self, lane: Lane) -> bool {
        self.timers.iter().any(|(_, key)| self.lane_of(key) == Some(lane))
    }

    fn lane_of(&self, key: &Key) -> Option<Lane> {
        self.first(key).map(|item| item.lane)
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Forgets the messages of a lane, except those that are being handled.
    pub(super) fn drop_lane(&mut self, lane: Lane) {
        let gone: Vec<_> = self
            .by_key
            .iter()
            .filter(|(_, queue)| queue.items.front().is_some_and(|item| item.lane == lane))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            let Some(queue) = self.by_key.get_mut(&key) else { continue };
            match queue.state {
                State::Running => {
                    queue.items.truncate(1);
                    continue;
                }
                State::Ready => self.ready.retain(|ready| *ready != key),
                State::Waiting(at) => _ = self.timers.remove(&(at, key.clone())),
                State::Held => {}
            }
            self.by_key.remove(&key);
        }
    }
}
