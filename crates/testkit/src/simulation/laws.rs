//! The laws of a subscriber, and what is true in the simulated world.
//!
//! Owns what really became of each message, which no process knows, and what is a breach.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use evenfold_core::store::Place;
use evenfold_core::subscriber::{Item, Lane};
use evenfold_core::{Position, StreamName};

/// What a subscriber keeps, whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// Every message is handled, skipped, or parked and then replayed or discarded.
    NothingLost,
    /// The messages of a stream are done with in its order; with a concurrency of one, all of a lane.
    Order,
    /// No message before the start is handled.
    Start,
    /// Progress is never recorded beyond a message that is not done with.
    Progress,
    /// A message whose stream has a parked one before it waits.
    HeldBack,
    /// No message of a lane begins after the lease of the lane is over.
    Leases,
    /// Where the effects of a message are committed with the progress, they are applied once; of one that
    /// is parked and committed, by two processes of which one has lost its lane, perhaps twice.
    ExactlyOnce,
    /// A message that brings the process down is parked, after as many crashes as are allowed, and one
    /// more for itself and for each other such message of its lane before it; no other is parked for
    /// that, unless a process stopped and could not tell the store that it has ended in order.
    Poison,
    /// No more messages are held or handled at a time than the options say, and one of a stream.
    Bounded,
    /// What was done with before a stop in order does not come again.
    Drained,
    /// It catches up, says so when it has and not before, and does not ask for attention without need.
    Alive,
}

/// A law that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach(pub(super) Law, pub(super) String);

pub(super) type Kept = Result<(), Breach>;

pub(super) fn hold(law: Law, is_kept: bool, what: impl FnOnce() -> String) -> Kept {
    if is_kept { Ok(()) } else { Err(Breach(law, what())) }
}

/// What lies in wait with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// It fails so many times.
    Failing(u32),
    Hopeless,
    /// It brings the process down.
    Poison,
}

/// What became of a message.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(super) struct Told {
    pub(super) item: Item,
    /// It stands before the start.
    pub(super) is_before: bool,
    pub(super) position: Position,
    pub(super) fate: Fate,
    pub(super) tries: u32,
    pub(super) effects: u32,
    pub(super) crashes: u32,
    pub(super) is_done: bool,
    pub(super) is_skipped: bool,
    pub(super) is_parked: bool,
    pub(super) was_parked: bool,
    pub(super) is_discarded: bool,
    /// It is parked and was committed, by two processes of which one had lost its lane.
    pub(super) is_parked_beside: bool,
    /// A process stopped while it stood in the store that it is tested.
    pub(super) is_suspected: bool,
}

impl Told {
    pub(super) fn new(item: Item, position: Position, fate: Fate) -> Self {
        Self {
            item,
            is_before: false,
            position,
            fate,
            tries: 0,
            effects: 0,
            crashes: 0,
            is_done: false,
            is_skipped: false,
            is_parked: false,
            was_parked: false,
            is_discarded: false,
            is_parked_beside: false,
            is_suspected: false,
        }
    }

    /// Whether it needs no more attention.
    pub(super) fn is_over(&self) -> bool {
        let is_over = self.is_done || self.is_skipped || self.is_discarded;
        self.is_before || !self.is_parked && is_over
    }

    fn is_passed(&self) -> bool {
        self.is_done || self.is_skipped || self.was_parked
    }
}

/// What is true.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    messages: BTreeMap<Place, Told>,
    streams: BTreeMap<StreamName, Vec<Place>>,
}

impl Truth {
    pub(super) fn add(&mut self, told: Told) {
        self.streams.entry(told.item.stream.clone()).or_default().push(told.item.place);
        self.messages.insert(told.item.place, told);
    }

    pub(super) fn at(&mut self, place: Place) -> Result<&mut Told, Breach> {
        let unknown = || Breach(Law::NothingLost, format!("there is no message at {place}"));
        self.messages.get_mut(&place).ok_or_else(unknown)
    }

    /// How many messages of its lane bring the process down or seemed to, up to this one.
    pub(super) fn poison_up_to(&self, place: Place) -> u32 {
        let lane = self.lane_of(place).unwrap_or_default();
        let before = self.of_lane(lane).take_while(|told| told.item.place <= place);
        let is_poison = |told: &&Told| told.fate == Fate::Poison || told.is_suspected;
        u32::try_from(before.filter(is_poison).count()).unwrap_or(u32::MAX)
    }

    /// A person gives a parked message up.
    pub(super) fn discard(&mut self, stream: &StreamName, position: Position) {
        let place = self.place_of(stream, position);
        if let Some(told) = place.and_then(|place| self.messages.get_mut(&place)) {
            (told.is_parked, told.is_discarded) = (false, true);
        }
    }

    pub(super) fn lane_of(&self, place: Place) -> Option<Lane> {
        self.messages.get(&place).map(|told| told.item.lane)
    }

    /// The place of a message of a stream.
    pub(super) fn place_of(&self, stream: &StreamName, position: Position) -> Option<Place> {
        let at = usize::try_from(position.get()).ok()?;
        self.streams.get(stream)?.get(at).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Told> {
        self.messages.values()
    }

    /// What a lane is to be done with.
    pub(super) fn of_lane(&self, lane: Lane) -> impl Iterator<Item = &Told> {
        self.messages.values().filter(move |told| told.item.lane == lane && !told.is_before)
    }

    fn before(&self, place: Place) -> impl Iterator<Item = &Told> {
        let stream = self.messages.get(&place).map(|told| told.item.stream.clone());
        let places = stream.and_then(|stream| self.streams.get(&stream)).into_iter().flatten();
        places.take_while(move |it| **it < place).filter_map(|it| self.messages.get(it))
    }

    /// A message is about to begin.
    pub(super) fn begins(&self, place: Place) -> Kept {
        let is_before = self.messages.get(&place).is_some_and(|told| told.is_before);
        hold(Law::Start, !is_before, || format!("{place} begins, and is before the start"))?;
        let ahead = self.before(place).find(|told| told.is_parked && !told.is_done);
        hold(Law::HeldBack, ahead.is_none(), || {
            let ahead = ahead.map(|told| told.item.place);
            format!("{place} begins while {ahead:?} of its stream is parked")
        })
    }

    /// A message is done with, perhaps not for the first time.
    pub(super) fn completes(&mut self, place: Place, is_in_order: bool, is_once: bool) -> Kept {
        let told = self.at(place)?;
        let (is_first, lane) = (!told.is_done, told.item.lane);
        told.is_done = true;
        told.effects += 1;
        let (effects, is_late) = (told.effects, told.is_parked_beside);
        hold(Law::ExactlyOnce, !is_once || effects == 1 || is_late, || {
            format!("the effects of {place} were applied {effects} times")
        })?;
        if !is_first {
            return Ok(());
        }
        // Who has lost the lane may park again what was done with or given up.
        let is_early = |told: &&Told| !(told.is_done || told.is_discarded || told.is_over());
        let early = self.before(place).find(is_early);
        hold(Law::Order, early.is_none(), || {
            let early = early.map(|told| told.item.place);
            format!("{place} is done before {early:?} of its stream")
        })?;
        let early = self
            .of_lane(lane)
            .filter(|told| told.item.place < place)
            .find(|told| is_in_order && !told.is_passed());
        hold(Law::Order, early.is_none(), || {
            let early = early.map(|told| told.item.place);
            format!("{place} is done before {early:?} of its lane")
        })
    }

    /// A record of progress stands.
    pub(super) fn recorded(&self, lane: Lane, done: Option<Place>) -> Kept {
        let Some(done) = done else { return Ok(()) };
        let mut before = self.of_lane(lane).take_while(|told| told.item.place <= done);
        let missed = before.find(|told| !told.is_passed());
        hold(Law::Progress, missed.is_none(), || {
            let missed = missed.map(|told| told.item.place);
            format!("lane {lane} is recorded as done up to {done}, but {missed:?} is not")
        })
    }

    /// A process gave a lane up in order, and left this record. What it finished itself is covered,
    /// up to the first message that it did not.
    pub(super) fn drained(
        &self,
        lane: Lane,
        done: Option<Place>,
        finished: &BTreeSet<Place>,
        is_committed: bool,
    ) -> Kept {
        let next = self.of_lane(lane).find(|told| done.is_none_or(|done| told.item.place > done));
        // While it is unknown whether a commit stands, nothing is recorded. What was handled is, with
        // its effects, and what was parked or skipped is known to be.
        let next = next.filter(|told| !is_committed || told.is_done && !told.was_parked);
        let again = next.map(|told| told.item.place).filter(|place| finished.contains(place));
        hold(Law::Drained, again.is_none(), || {
            format!("lane {lane} was given up at {done:?}, though {again:?} was done with")
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.all().all(Told::is_over)
    }

    /// What is to be true at the end.
    pub(super) fn ends(&self, is_once: bool) -> Kept {
        let lost = self.all().find(|told| !told.is_over());
        hold(Law::NothingLost, lost.is_none(), || format!("not over at the end: {lost:?}"))?;
        let never = |told: &Told| told.effects == 0 && !told.is_done;
        let once = |told: &Told| told.effects == 1 || told.is_parked_beside || never(told);
        let other = self.all().find(|told| is_once && !once(told));
        hold(Law::ExactlyOnce, other.is_none(), || format!("not once at the end: {other:?}"))
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingLost => "nothing is lost",
            Self::Order => "order",
            Self::Start => "nothing before the start",
            Self::Progress => "progress never passes unfinished work",
            Self::HeldBack => "what is behind a parked message waits",
            Self::Leases => "only what is leased",
            Self::ExactlyOnce => "exactly once",
            Self::Poison => "what brings the process down is parked",
            Self::Bounded => "bounded",
            Self::Drained => "drained",
            Self::Alive => "alive",
        })
    }
}
