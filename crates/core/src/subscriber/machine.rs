//! The subscriber: what it knows, and what it does next.
//!
//! Owns the order of its wishes. What an answer means is in `answers.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::due::When;
use super::lane::{Phase, Track};
use super::lot::Lot;
use super::queues::{Item, Key, Queues};
use super::tenure::Tenure;
use super::{Action, Lane, Options, Sharing, Stop};
use crate::StreamName;
use crate::store::{Began, Place, Unit};

/// The subscriber: what it is doing, and how far it is.
///
/// Laws:
/// - *Nothing is missed.* Every message of every page is handled, skipped or parked, and it reads on
///   from the place after the last one that it has read.
/// - *Order.* With a concurrency of one, messages come in the order of their lane; with more, those
///   of one stream come in their order. A message whose stream has a parked one is parked behind it.
/// - *Progress never passes unfinished work.* It records no place beyond the first message that is
///   not handled, passed over, skipped or parked.
/// - *Progress is not forgotten.* It records what it is done with when enough messages or time have
///   gone by, when it is idle, and before it stops or gives up a lane.
/// - *Begun is known.* Where crashes are counted, no message begins before a record says so.
/// - *Only what is held.* Where members share the work, no message of a lane begins after its lease
///   is over.
/// - *Bounded.* It holds no more messages than its read-ahead.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) options: Options,
    pub(super) unit: Unit,
    pub(super) lanes: BTreeMap<Lane, Track>,
    pub(super) queues: Queues,
    pub(super) lot: Lot,
    pub(super) tenure: Option<Tenure>,
    pub(super) reader: Reader,
    /// News came while it was reading.
    pub(super) is_woken: bool,
    /// A writer that has not ended kept the last page from being one.
    pub(super) is_held_up: bool,
    /// What was decided already.
    pub(super) urgent: VecDeque<Action>,
    /// The lane that has a suspect to be handled while nothing else is.
    pub(super) tested: Option<Lane>,
    /// The test that was recorded last in each lane: whoever finds his own, with a lease, had no crash.
    pub(super) own_tests: BTreeMap<Lane, Began>,
    /// Lanes whose lease is being given up.
    pub(super) releasing: Vec<Lane>,
    /// Lanes that were given up since the leases were last to be renewed; the answer to that may be
    /// older.
    pub(super) let_go: Vec<Lane>,
    pub(super) stopping: Option<Stop>,
    /// What is not recorded yet cannot be.
    pub(super) is_giving_up: bool,
    ending: Ending,
    /// How many pages it may read still, if that is limited.
    pages: Option<u32>,
}

/// What it does about reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Ready,
    Fetching(Vec<Lane>),
    /// It has read everything there was, and looks again at this time.
    Idle(Duration),
    /// The store did not answer; it asks again at this time.
    Away(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NotYet,
    Leaving,
    Left,
    Stopped,
}

impl Machine {
    /// A subscriber that has not begun.
    pub fn new(options: Options, unit: Unit, sharing: Sharing) -> Self {
        let (lanes, tenure) = match sharing {
            Sharing::Alone => (BTreeMap::from([(0, Track::new())]), None),
            Sharing::Leased(term) => (BTreeMap::new(), Some(Tenure::new(term))),
        };
        Self {
            options,
            unit,
            lanes,
            queues: Queues::default(),
            lot: Lot::default(),
            tenure,
            reader: Reader::Ready,
            is_woken: false,
            is_held_up: false,
            urgent: VecDeque::new(),
            tested: None,
            own_tests: BTreeMap::new(),
            releasing: Vec::new(),
            let_go: Vec::new(),
            stopping: None,
            is_giving_up: false,
            ending: Ending::NotYet,
            pages: None,
        }
    }

    /// Asks the subscriber to stop after the messages in hand.
    pub fn stop(&mut self) {
        self.stopping.get_or_insert(Stop::Requested);
    }

    /// Tells that there may be something new to read.
    pub fn wake(&mut self) {
        self.is_woken = true;
        if let Reader::Idle(_) = self.reader {
            self.reader = Reader::Ready;
            self.is_woken = false;
        }
    }

    /// Ends every pause now.
    pub fn hurry(&mut self) {
        self.queues.hurry();
        self.lot.hurry();
        if let Reader::Idle(_) | Reader::Away(_) = self.reader {
            self.reader = Reader::Ready;
        }
        self.lanes.values_mut().for_each(Track::hurry);
    }

    /// How long it waits from now on when there is nothing to read.
    pub fn poll_every(&mut self, interval: Duration) {
        self.options.poll_interval = interval;
    }

    /// How many pages it may read from now on; by default as many as there are.
    pub fn allow_pages(&mut self, pages: Option<u32>) {
        self.pages = pages;
    }

    /// What to do next, at a time counted from any fixed moment; ask until there is nothing, and then
    /// again after an answer, or at the [deadline](Self::deadline).
    pub fn next(&mut self, now: Duration) -> Option<Action> {
        if self.ending == Ending::Stopped {
            return None;
        }
        self.tick(now);
        if let Some(action) = self.urgent.pop_front() {
            return Some(action);
        }
        let next = self.next_lease(now).or_else(|| self.next_record(now));
        if next.is_some() {
            return next;
        }
        if self.stopping.is_some() {
            return self.next_ending();
        }
        self.next_read(now)
            // Before the messages in hand, so that the next page comes while they are handled.
            .or_else(|| self.next_fetch())
            .or_else(|| self.next_replay())
            .or_else(|| self.next_message())
            // To hold a message back may make a record due, and so does an end.
            .or_else(|| self.next_record(now))
            .or_else(|| self.next_ending())
    }

    fn tick(&mut self, now: Duration) {
        self.queues.tick(now);
        self.lot.tick(now);
        self.lanes.values_mut().for_each(|track| track.tick(now));
        if let Reader::Idle(until) | Reader::Away(until) = self.reader
            && until <= now
        {
            self.reader = Reader::Ready;
        }
        if self.tenure.as_ref().is_some_and(|tenure| tenure.is_over(now)) {
            let lost: Vec<_> = self.lanes.keys().copied().collect();
            for lane in lost {
                self.drop_lane(lane);
            }
            self.tenure.as_mut().into_iter().for_each(Tenure::end);
        }
    }

    fn next_lease(&mut self, now: Duration) -> Option<Action> {
        if self.ending != Ending::NotYet {
            return None;
        }
        let tenure = self.tenure.as_mut()?;
        if tenure.renew(now) {
            self.let_go = self.releasing.clone();
            return Some(Action::Renew);
        }
        let releasing = &self.releasing;
        let is_drained = |(lane, track): &(&Lane, &Track)| {
            track.is_draining && track.is_closed(false) && !releasing.contains(lane)
        };
        let lane = self.lanes.iter().find(is_drained).map(|(lane, _)| *lane)?;
        self.releasing.push(lane);
        self.let_go.push(lane);
        Some(Action::Release(lane))
    }

    fn next_record(&mut self, now: Duration) -> Option<Action> {
        if self.is_giving_up {
            return None;
        }
        let is_idle = matches!(self.reader, Reader::Idle(_));
        for (lane, track) in &mut self.lanes {
            let when = When {
                options: &self.options,
                now,
                is_idle,
                is_stopping: self.stopping.is_some(),
                is_ending: self.stopping.is_some() || track.is_draining,
                is_failing: self.stopping == Some(Stop::Failed),
                is_held: self.is_held_up || !track.full.is_empty() || self.queues.is_waiting(*lane),
            };
            let Some(record) = track.record(when) else { continue };
            if let Some(test) = track.test().filter(|it| record.began == Some(*it)) {
                self.own_tests.insert(*lane, test);
            }
            return Some(Action::Record(*lane, record));
        }
        None
    }

    /// What it must know before it begins with anything.
    fn next_read(&mut self, now: Duration) -> Option<Action> {
        let is_due = |phase| matches!(phase, Phase::Unread(at) if at <= now);
        if let Some((lane, track)) = self.lanes.iter_mut().find(|(_, it)| is_due(it.phase)) {
            track.phase = Phase::Reading;
            return Some(Action::ReadProgress(*lane));
        }
        let is_wanted = self.lanes.values().any(Track::is_live);
        (is_wanted && self.lot.follow(now)).then_some(Action::ReadNotes)
    }

    fn next_fetch(&mut self) -> Option<Action> {
        let held: usize = self.lanes.values().map(Track::ahead).sum();
        let batch = self.options.batch_size.as_len();
        let is_full = held > 0 && held + batch > self.options.read_ahead();
        let is_enough = is_full || self.pages == Some(0);
        if self.reader != Reader::Ready || is_enough || !self.lot.is_known() {
            return None;
        }
        let start = self.options.start.unwrap_or(self.unit.start());
        let open = || self.lanes.iter().filter(|(_, track)| is_open(track));
        let from = open().map(|(_, track)| track.from(start)).min()?;
        // Lanes that are nearly as far are read with it; what they have already is passed over.
        let near = from.saturating_add(batch.try_into().unwrap_or(Place::MAX));
        let lanes: Vec<_> =
            open().filter(|it| it.1.from(start) <= near).map(|(lane, _)| *lane).collect();
        self.is_woken = false;
        self.pages = self.pages.map(|pages| pages.saturating_sub(1));
        self.reader = Reader::Fetching(lanes.clone());
        Some(Action::Fetch(from, lanes))
    }

    fn next_ending(&mut self) -> Option<Action> {
        let why = self.stopping?;
        let is_busy = self.running() > 0;
        let is_open = |track: &Track| {
            let is_closed = self.is_giving_up || track.is_closed(why == Stop::Failed);
            track.is_recording() || track.phase == Phase::Reading || !is_closed
        };
        let is_waiting = self.lanes.values().any(is_open)
            || self.lot.is_following()
            || matches!(self.reader, Reader::Fetching(_))
            || self.tenure.as_ref().is_some_and(Tenure::is_renewing)
            || !self.releasing.is_empty();
        if is_busy || is_waiting || self.ending == Ending::Leaving {
            return None;
        }
        if self.tenure.is_some() && self.ending == Ending::NotYet {
            self.ending = Ending::Leaving;
            return Some(Action::Leave);
        }
        self.ending = Ending::Stopped;
        Some(Action::Stop(why))
    }

    pub(super) fn left(&mut self) {
        self.ending = Ending::Left;
    }

    /// When it wants to be asked again, if nothing happens before.
    pub fn deadline(&self) -> Option<Duration> {
        let reading = match self.reader {
            Reader::Idle(at) | Reader::Away(at) => Some(at),
            Reader::Ready | Reader::Fetching(_) => None,
        };
        let when = |lane, track: &Track| When {
            options: &self.options,
            now: Duration::ZERO,
            is_idle: false,
            is_stopping: self.stopping.is_some(),
            is_ending: self.stopping.is_some() || track.is_draining,
            is_failing: self.stopping == Some(Stop::Failed),
            is_held: self.is_held_up || !track.full.is_empty() || self.queues.is_waiting(lane),
        };
        let lanes = self.lanes.iter().filter(|_| !self.is_giving_up);
        let lanes = lanes.filter_map(|(lane, track)| track.deadline(&when(*lane, track)));
        let parking = self.lot.deadline().filter(|_| self.lanes.values().any(Track::is_live));
        let working = [reading, self.queues.deadline(), parking];
        let working = working.into_iter().flatten().filter(|_| self.stopping.is_none());
        let tenure = self.tenure.as_ref().and_then(Tenure::deadline);
        let tenure = tenure.filter(|_| self.ending == Ending::NotYet);
        lanes.chain(working).chain(tenure).min()
    }

    /// Whether it has read and is done with everything there was, and has recorded that.
    pub fn is_caught_up(&self) -> bool {
        let is_quiet =
            |track: &Track| track.is_live() && track.ahead() == 0 && track.is_settled(false);
        // Others hold all there is.
        let is_without = self.lanes.is_empty() && self.tenure.as_ref().is_some_and(Tenure::is_held);
        is_without
            || matches!(self.reader, Reader::Idle(_))
                && !self.is_held_up
                && self.lot.is_known()
                && !self.lot.is_due(|lane| is_ours(&self.lanes, lane))
                && self.lanes.values().all(is_quiet)
    }

    /// How many messages it holds, those that wait behind one that is not finished among them.
    pub fn ahead(&self) -> usize {
        self.lanes.values().map(Track::ahead).sum()
    }

    /// How many messages are being handled.
    pub fn running(&self) -> usize {
        self.queues.running() + self.lot.busy()
    }

    /// How many messages are parked, as far as it knows.
    pub fn parked(&self) -> usize {
        self.lot.parked()
    }

    /// Whether it has read the message at this place of a lane, and is not done with it.
    pub fn holds(&self, lane: Lane, place: Place) -> bool {
        self.lanes.get(&lane).is_some_and(|track| track.holds(place))
    }

    /// The last place that a lane is done with.
    pub fn done(&self, lane: Lane) -> Option<Place> {
        self.lanes.get(&lane)?.done()
    }

    /// The lanes that it works on.
    pub fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.lanes.iter().filter(|(_, track)| !track.is_gone()).map(|(lane, _)| *lane)
    }

    /// How often the message at this place has failed.
    pub fn attempts(&self, place: Place) -> u32 {
        self.queues.attempts(place)
    }

    /// How often the message that is replayed of this stream has failed since it was asked for.
    pub fn replay_attempts(&self, stream: &StreamName) -> u32 {
        self.lot.attempts(stream)
    }

    /// Whether it stops, or is about to, because something failed.
    pub fn is_failing(&self) -> bool {
        self.stopping == Some(Stop::Failed)
    }

    pub(super) fn key_of(&self, item: &Item) -> Key {
        if self.options.concurrency > 1 {
            Key::Stream(item.stream.clone())
        } else {
            Key::Lane(item.lane)
        }
    }
}

/// Whether messages of a lane may begin.
pub(super) fn is_open(track: &Track) -> bool {
    track.is_live() && !track.is_draining
}

fn is_ours(lanes: &BTreeMap<Lane, Track>, lane: Lane) -> bool {
    lanes.get(&lane).is_some_and(is_open)
}
