//! One process of the simulated world: a machine, and what its engine knows.
//!
//! Owns what is lost when the process ends. What its actions do to the store is in `engine.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenfold_core::store::Place;
use evenfold_core::subscriber::{Action, Input, Lane, Machine, Outcome};
use evenfold_core::{Position, StreamName};

/// A call under way, by the process, its life, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) process: usize,
    pub(super) life: u32,
    pub(super) call: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) action: Action,
    /// The version that a commit expects.
    pub(super) version: usize,
    /// How far the store went before the messages were read.
    pub(super) head: Option<Place>,
    /// It is with the store no more; the answer is on its way.
    pub(super) is_carried_out: bool,
}

/// A record of which nobody knows whether it landed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) id: u64,
    /// The message whose effects it was committed with.
    pub(super) place: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Down,
    Paused,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) state: State,
    pub(super) life: u32,
    pub(super) machine: Machine,
    pub(super) calls: BTreeMap<u64, Call>,
    /// The number of the last call.
    pub(super) call: u64,
    /// The version of the position stream of each lane, as this process knows it.
    pub(super) versions: BTreeMap<Lane, usize>,
    pub(super) lost: BTreeMap<Lane, Lost>,
    /// How many notes of each stream it has read.
    pub(super) noted: BTreeMap<StreamName, i64>,
    /// The parked messages that it has begun to try again.
    pub(super) begun: BTreeMap<StreamName, Position>,
    /// What it was told to hold, for a planted bug.
    pub(super) held: BTreeSet<Lane>,
    /// The messages that it is done with in this life.
    pub(super) finished: BTreeSet<Place>,
    /// Something kept its last page from being one.
    pub(super) is_held_up: bool,
    /// Which of its timers counts.
    pub(super) timer: u64,
    pub(super) wakes_at: Option<Duration>,
}

impl Process {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            state: State::Down,
            life: 0,
            machine,
            calls: BTreeMap::new(),
            call: 0,
            versions: BTreeMap::new(),
            lost: BTreeMap::new(),
            noted: BTreeMap::new(),
            begun: BTreeMap::new(),
            held: BTreeSet::new(),
            finished: BTreeSet::new(),
            is_held_up: false,
            timer: 0,
            wakes_at: None,
        }
    }

    /// Begins a new life.
    pub(super) fn start(&mut self, machine: Machine) {
        let life = self.life + 1;
        *self = Self { state: State::Up, life, timer: self.timer, ..Self::new(machine) };
    }

    pub(super) fn version(&self, lane: Lane) -> usize {
        self.versions.get(&lane).copied().unwrap_or_default()
    }

    /// Notes what this process is done with, as it learns of it.
    pub(super) fn finish(&mut self, input: &Input, lane_of: impl Fn(Place) -> Option<Lane>) {
        let place = match input {
            Input::Handled(place, Outcome::Done | Outcome::Committed) | Input::Skipped(place) => {
                place
            }
            Input::Parked(place, Ok(queue)) if !queue.is_empty() => place,
            _ => return,
        };
        // What it began before it lost the lane is no matter of the lane any more.
        if lane_of(*place).is_some_and(|lane| self.machine.holds(lane, *place)) {
            self.finished.insert(*place);
        }
    }

    /// How many messages are being tried, and whether two of them are of one stream.
    pub(super) fn trying(&self, stream_of: impl Fn(Place) -> Option<StreamName>) -> (usize, bool) {
        let mut streams = BTreeSet::new();
        let (mut trying, mut is_doubled) = (0, false);
        for call in self.calls.values().filter(|call| !call.is_carried_out) {
            let stream = match &call.action {
                Action::Handle(place, _) => stream_of(*place),
                Action::Replay(stream, _) => Some(stream.clone()),
                _ => continue,
            };
            trying += 1;
            is_doubled |= !streams.insert(stream);
        }
        (trying, is_doubled)
    }
}
