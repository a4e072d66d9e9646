//! What is to be handled, in queues of which each does one thing at a time.
//!
//! Owns whose turn it is: one queue for all in the order of the category, or one for each stream.
//! Which message may begin at all is decided in `machine.rs`.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::Lane;
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
    queues: HashMap<Key, Queue>,
    /// Those whose first message may begin, in the order of their turns.
    ready: VecDeque<Key>,
    /// Those that wait for a time.
    timers: BTreeSet<(Duration, Key)>,
    /// What is being handled, and whose it is.
    running: HashMap<Place, Key>,
}

#[derive(Clone, Debug)]
struct Queue {
    items: VecDeque<Item>,
    /// How often the first has failed.
    attempts: u32,
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
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.items.push_back(item);
            return;
        }
        let queue = Queue { items: VecDeque::from([item]), attempts: 0, state: State::Ready };
        self.queues.insert(key.clone(), queue);
        self.ready.push_back(key);
    }

    /// The first message of the queue whose turn it is.
    pub(super) fn next(&self) -> Option<(&Key, &Item)> {
        let key = self.ready.front()?;
        self.queues.get(key)?.items.front().map(|item| (key, item))
    }

    /// Begins with the message that is next.
    pub(super) fn begin(&mut self) {
        let Some(key) = self.ready.pop_front() else { return };
        let Some(queue) = self.queues.get_mut(&key) else { return };
        queue.state = State::Running;
        if let Some(item) = queue.items.front() {
            self.running.insert(item.place, key);
        }
    }

    /// Takes the turn from the queue whose it is, until its lane gives it back.
    pub(super) fn hold(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.state = State::Held;
        }
        Some(key)
    }

    /// Gives the turn back, before all others.
    pub(super) fn release(&mut self, keys: Vec<Key>) {
        for key in keys.into_iter().rev() {
            if let Some(queue) = self.queues.get_mut(&key)
                && queue.state == State::Held
            {
                queue.state = State::Ready;
                self.ready.push_front(key);
            }
        }
    }

    /// The message that is being handled, if it is.
    pub(super) fn running_at(&self, place: Place) -> Option<&Item> {
        self.queues.get(self.running.get(&place)?)?.items.front()
    }

    /// How often the message that is being handled has failed.
    pub(super) fn attempts(&self, place: Place) -> u32 {
        let queue = self.running.get(&place).and_then(|key| self.queues.get(key));
        queue.map_or(0, |queue| queue.attempts)
    }

    /// The message is done with; the next of its queue gets its turn after all others.
    pub(super) fn finish(&mut self, place: Place) -> Option<Item> {
        let key = self.running.remove(&place)?;
        let queue = self.queues.get_mut(&key)?;
        let item = queue.items.pop_front();
        queue.attempts = 0;
        if queue.items.is_empty() {
            self.queues.remove(&key);
        } else {
            queue.state = State::Ready;
            self.ready.push_back(key);
        }
        item
    }

    /// The message comes again at this time, and perhaps that was an attempt.
    pub(super) fn again(&mut self, place: Place, at: Duration, failed: bool) {
        let Some(key) = self.running.remove(&place) else { return };
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.attempts = queue.attempts.saturating_add(u32::from(failed));
            queue.state = State::Waiting(at);
            self.timers.insert((at, key));
        }
    }

    /// The message is not handled after all, or not in this way: it gets its turn at once.
    pub(super) fn give_back(&mut self, place: Place) {
        let Some(key) = self.running.remove(&place) else { return };
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.state = State::Ready;
            self.ready.push_front(key);
        }
    }

    /// Lets those whose time has come have their turn.
    pub(super) fn tick(&mut self, now: Duration) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((_, key)) = self.timers.pop_first() else { return };
            if let Some(queue) = self.queues.get_mut(&key) {
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
        self.queues.get(key)?.items.front().map(|item| item.lane)
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Forgets the messages of a lane, those that are being handled too.
    pub(super) fn drop_lane(&mut self, lane: Lane) {
        let gone: Vec<_> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.items.front().is_some_and(|item| item.lane == lane))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            if let Some(queue) = self.queues.remove(&key) {
                match queue.state {
                    State::Running => self.running.retain(|_, running| *running != key),
                    State::Ready => self.ready.retain(|ready| *ready != key),
                    State::Waiting(at) => _ = self.timers.remove(&(at, key)),
                    State::Held => {}
                }
            }
        }
    }
}
