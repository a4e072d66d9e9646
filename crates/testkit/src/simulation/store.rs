//! The store of the simulated world.
//!
//! Owns what is durable: the messages and how far they are visible, the records of progress, what is
//! parked, and the leases. Each call is one step of the world; the delays are in `world.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use evenfold_core::store::{Began, LeaseGroup, Note, ParkedQueue, Place, Progress};
use evenfold_core::subscriber::{Item, Lane};
use evenfold_core::{Position, StreamName};

/// Who holds a lane: a process, and which of its lives.
pub(super) type Member = (usize, u32);

#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    /// What was written, by its place; nothing where it is of no interest to the subscriber.
    pub(super) log: BTreeMap<Place, Option<Item>>,
    /// Everything up to here is visible.
    pub(super) visible: Place,
    positions: BTreeMap<Lane, Vec<(u64, Progress)>>,
    parked: BTreeMap<StreamName, ParkedQueue>,
    leases: BTreeMap<Lane, (Member, Duration)>,
    members: BTreeMap<Member, Duration>,
    /// By how much its clock is ahead of ours.
    pub(super) ahead: Duration,
    records: u64,
}

impl Store {
    /// The last visible place, of interest or not.
    pub(super) fn head(&self) -> Option<Place> {
        self.log.range(..=self.visible).next_back().map(|(place, _)| *place)
    }

    pub(super) fn read(&self, from: Place, lanes: &[Lane], limit: usize) -> Vec<Item> {
        if from > self.visible {
            return Vec::new();
        }
        let items = self.log.range(from..=self.visible).filter_map(|(_, item)| item.as_ref());
        items.filter(|item| lanes.contains(&item.lane)).take(limit).cloned().collect()
    }

    /// The same as long as no more than that was visible, for a planted bug.
    pub(super) fn read_before(
        &self,
        head: Option<Place>,
        from: Place,
        lanes: &[Lane],
        limit: usize,
    ) -> Vec<Item> {
        let items = self.read(from, lanes, limit);
        items.into_iter().filter(|item| Some(item.place) <= head).collect()
    }

    pub(super) fn progress(&self, lane: Lane) -> (usize, Option<Progress>) {
        let records = self.positions.get(&lane).map_or(&[][..], Vec::as_slice);
        (records.len(), records.last().map(|(_, progress)| progress.clone()))
    }

    /// The messages of which it stands here that they are handled while nothing else is.
    pub(super) fn tested(&self) -> Vec<Place> {
        let last = self.positions.values().filter_map(|records| records.last());
        let tested = last.filter_map(|(_, progress)| match progress.began {
            Some(Began::Alone(place, _)) => Some(place),
            _ => None,
        });
        tested.collect()
    }

    /// The id for the next record.
    pub(super) fn next_id(&mut self) -> u64 {
        self.records += 1;
        self.records
    }

    /// Whether the record of this id is the one after this version.
    pub(super) fn has_landed(&self, lane: Lane, version: usize, id: u64) -> bool {
        let record = self.positions.get(&lane).and_then(|records| records.get(version));
        record.is_some_and(|(landed, _)| *landed == id)
    }

    /// Appends a record, if the version is the expected one.
    pub(super) fn record(
        &mut self,
        lane: Lane,
        version: usize,
        id: u64,
        progress: Progress,
    ) -> bool {
        let records = self.positions.entry(lane).or_default();
        let is_expected = records.len() == version;
        if is_expected {
            records.push((id, progress));
        }
        is_expected
    }

    pub(super) fn queue(&self, stream: &StreamName) -> ParkedQueue {
        self.parked.get(stream).cloned().unwrap_or_default()
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = (&StreamName, &ParkedQueue)> {
        self.parked.iter()
    }

    pub(super) fn note(&mut self, stream: &StreamName, note: Note) -> ParkedQueue {
        let queue = self.parked.entry(stream.clone()).or_default();
        let version = queue.version().map_or(Position::START, Position::next);
        queue.noted(note, version);
        queue.clone()
    }

    /// Renews what a member holds, and gives it what is free up to its fair share. Returns what it
    /// holds, and what of that is more than its share.
    pub(super) fn renew(
        &mut self,
        member: Member,
        group: &LeaseGroup,
        term: Duration,
        now: Duration,
    ) -> (Vec<Lane>, Vec<Lane>) {
        let now = now + self.ahead;
        self.members.insert(member, now + term);
        self.members.retain(|_, until| *until > now);
        let before = u32::try_from(self.members.range(..member).count()).unwrap_or(u32::MAX);
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let (lanes, share) = (group.buckets(), usize::from(group.share(before, members)));
        for (owner, until) in self.leases.values_mut() {
            if *owner == member {
                *until = now + term;
            }
        }
        for lane in 0..lanes {
            let is_free = self.leases.get(&lane).is_none_or(|(_, until)| *until <= now);
            if is_free && self.held_by(member).count() < share {
                self.leases.insert(lane, (member, now + term));
            }
        }
        let held: Vec<_> = self.held_by(member).collect();
        let surplus = held.iter().skip(share).copied().collect();
        (held, surplus)
    }

    fn held_by(&self, member: Member) -> impl Iterator<Item = Lane> {
        let leases = self.leases.iter().filter(move |(_, (owner, _))| *owner == member);
        leases.map(|(lane, _)| *lane)
    }

    /// Whether a member holds a lane now.
    pub(super) fn holds(&self, member: Member, lane: Lane, now: Duration) -> bool {
        let now = now + self.ahead;
        self.leases.get(&lane).is_some_and(|(owner, until)| *owner == member && *until > now)
    }

    pub(super) fn release(&mut self, member: Member, lane: Lane) {
        if self.leases.get(&lane).is_some_and(|(owner, _)| *owner == member) {
            self.leases.remove(&lane);
        }
    }

    pub(super) fn leave(&mut self, member: Member) {
        self.leases.retain(|_, (owner, _)| *owner != member);
        self.members.remove(&member);
    }
}
