//! The survey of all subscribers: from what stands in the store to what is told of each.
//!
//! Owns which streams are looked at, a page of names at a time, and how the parts of a group come
//! together. What is told is in `status.rs`; how a name is read back is in evenfold-core.

use std::collections::{BTreeMap, HashMap};

use evenfold_core::store::{
    Ability, BatchSize, Categories, CategoryQuery, ConsumerGroup, LeaseGroup, MemberStatus,
    MessageStore, ParkedQueue, ParkingLot, Place, Progress, ProgressName, ProgressStream, Reads,
    category_messages,
};
use futures::TryStreamExt;
use time::OffsetDateTime;

use super::lag::{self, Lag};
use super::status::{PartStatus, SubscriberState, SubscriberStatus};
use crate::{Category, Error, GlobalPosition, StreamName};

const PAGE: BatchSize = BatchSize::DEFAULT;

/// The types of the categories of position streams.
const KINDS: [&str; 2] = ["position", "streamPosition"];

/// The last records of each subscriber, in the order in which they are told.
type Found = BTreeMap<(String, String, String, u32, u16), Vec<Record>>;

/// What is parked in a category, by the stream it is noted in.
type Lot = HashMap<StreamName, ParkedQueue>;

/// The last record of a position stream.
struct Record {
    name: ProgressName,
    progress: Result<Progress, Error>,
    since: OffsetDateTime,
}

/// Tells of every subscriber that has recorded progress.
pub(super) async fn survey(store: &dyn MessageStore) -> Result<Vec<SubscriberStatus>, Error> {
    let mut found = Found::new();
    let mut after = None;
    loop {
        let page = store.categories(after.as_ref(), PAGE).await?;
        for summary in &page {
            if summary.category.types().last().is_some_and(|kind| KINDS.contains(&kind)) {
                find(store, &summary.category, &mut found).await?;
            }
        }
        if page.len() < PAGE.as_len() {
            break;
        }
        after = page.into_iter().next_back().map(|last| last.category);
    }
    let mut survey = Survey { store, parked: HashMap::new() };
    let mut all = Vec::with_capacity(found.len());
    for records in found.into_values() {
        if let Some(first) = records.first() {
            all.push(survey.status_of(first.name.clone(), &records).await?);
        }
    }
    Ok(all)
}

/// Reads the last record of each subscriber in a category of position streams.
async fn find(
    store: &dyn MessageStore,
    category: &Category,
    found: &mut Found,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = store.streams(category, after.as_ref(), PAGE).await?;
        for summary in &page {
            let Some(name) = ProgressName::of(&summary.stream) else { continue };
            let stream = name.stream()?;
            if let Some(last) = store.last_message(stream.stream(), None).await? {
                let record = Record { progress: stream.progress_in(&last), since: last.time, name };
                found.entry(record.key()).or_default().push(record);
            }
        }
        if page.len() < PAGE.as_len() {
            return Ok(());
        }
        after = page.into_iter().next_back().map(|last| last.stream);
    }
}

impl Record {
    /// What the parts of one subscriber have in common.
    fn key(&self) -> (String, String, String, u32, u16) {
        let ProgressName { subscriber, reads, member, correlation, version } = &self.name;
        let correlation = correlation.as_ref().map(ToString::to_string).unwrap_or_default();
        let size = member.map_or(0, ConsumerGroup::size);
        (subscriber.to_string(), reads.to_string(), correlation, *version, size)
    }

    /// Its progress, where something can follow it.
    fn open(&self) -> Option<&Progress> {
        self.progress.as_ref().ok().filter(|progress| progress.successor.is_none())
    }

    fn part(&self, lag: Option<Lag>) -> PartStatus {
        let is_behind = lag.is_some_and(|lag| lag.messages > 0);
        let (state, progress) = match &self.progress {
            Ok(progress) => (state_of(progress, is_behind), progress.done),
            Err(error) => (SubscriberState::Unreadable(format!("{error:#}")), None),
        };
        PartStatus { member: self.name.member, state, progress, lag, since: self.since }
    }
}

fn state_of(progress: &Progress, is_behind: bool) -> SubscriberState {
    if let Some(successor) = progress.successor {
        return SubscriberState::Replaced(successor);
    }
    match &progress.standing {
        Some(standing) if standing.stopped => SubscriberState::Stopped(standing.reason.clone()),
        Some(standing) => SubscriberState::Held(standing.reason.clone()),
        None if progress.began.is_some() => SubscriberState::Working,
        None if is_behind => SubscriberState::Behind,
        None => SubscriberState::Idle,
    }
}

struct Survey<'a> {
    store: &'a dyn MessageStore,
    parked: HashMap<Category, Lot>,
}

impl Survey<'_> {
    /// The status of the subscriber of this name, of whose parts these are the records.
    async fn status_of(
        &mut self,
        name: ProgressName,
        records: &[Record],
    ) -> Result<SubscriberStatus, Error> {
        let lags = self.lags(&name, records).await?;
        let parts = records.iter().zip(lags).map(|(record, lag)| record.part(lag));
        let parts: Vec<_> = parts.collect();
        let worst = parts.iter().max_by_key(|part| part.state.weight());
        let (state, since) = worst
            .map_or((SubscriberState::Idle, OffsetDateTime::UNIX_EPOCH), |worst| {
                (worst.state.clone(), worst.since)
            });
        let members = self.members(&name).await?;
        let of = ParkingLot::of(&name);
        let lot = self.lot(of.category()).await?;
        let is_replaced = matches!(state, SubscriberState::Replaced(_));
        let ours = lot.iter().filter(|(parking, _)| {
            let is_read = |stream: StreamName| match &name.reads {
                Reads::Stream(only) => *only == stream,
                Reads::Category(_) | Reads::Merged(_) => true,
            };
            !is_replaced && of.source_of(parking).is_some_and(is_read)
        });
        let parked: Vec<_> = ours.flat_map(|(_, queue)| queue.messages()).collect();
        let lags: Option<Vec<_>> = parts.iter().map(|part| part.lag).collect();
        Ok(SubscriberStatus {
            subscriber: name.subscriber,
            reads: name.reads,
            correlation: name.correlation,
            version: name.version,
            state,
            progress: parts.iter().map(|part| part.progress).min().flatten(),
            lag: lags.map(Lag::of),
            since,
            parked: parked.len(),
            parked_since: parked.iter().map(|message| message.since).min(),
            parts,
            members,
        })
    }

    /// How far each part is behind.
    async fn lags(
        &self,
        name: &ProgressName,
        records: &[Record],
    ) -> Result<Vec<Option<Lag>>, Error> {
        let parts = records.iter().filter_map(|it| Some((it.name.member, it.open()?.done)));
        let parts: Vec<_> = parts.collect();
        let done = parts.first().and_then(|(_, done)| *done);
        let lags = match &name.reads {
            _ if parts.is_empty() => Vec::new(),
            Reads::Category(category) => {
                let query = CategoryQuery::new(category.clone());
                let query = match &name.correlation {
                    Some(correlation) => query.correlated_with(correlation.clone()),
                    None => query,
                };
                lag::of_category(self.store, &query, parts).await?
            }
            Reads::Stream(stream) => vec![lag::of_stream(self.store, stream, done).await?],
            Reads::Merged(categories) => vec![match categories.named() {
                Some(named) => Lag::of(lag::of_named(self.store, named, done).await?),
                None => self.lag_of_all(done).await?,
            }],
        };
        let mut lags = lags.into_iter();
        Ok(records.iter().map(|record| record.open().and_then(|_| lags.next())).collect())
    }

    /// How far a subscriber of all categories is behind, in those that have something new.
    async fn lag_of_all(&self, done: Option<Place>) -> Result<Lag, Error> {
        let (mut lags, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.categories(after.as_ref(), PAGE).await?;
            let all = Categories::all();
            let news = page.iter().filter(|it| Some(it.last.get()) > done);
            let news = news.map(|it| it.category.clone()).filter(|it| all.holds(it));
            let news: Vec<_> = news.collect();
            lags.push(Lag::of(lag::of_named(self.store, &news, done).await?));
            if page.len() < PAGE.as_len() {
                return Ok(Lag::of(lags));
            }
            after = page.into_iter().next_back().map(|last| last.category);
        }
    }

    /// What is parked in a category; its notes are read once, and only what stands parked is kept.
    async fn lot(&mut self, category: Category) -> Result<&Lot, Error> {
        if !self.parked.contains_key(&category) {
            let lot = self.read_lot(category.clone()).await?;
            self.parked.insert(category.clone(), lot);
        }
        Ok(self.parked.entry(category).or_default())
    }

    async fn read_lot(&self, category: Category) -> Result<Lot, Error> {
        let query = CategoryQuery::new(category);
        let notes = category_messages(self.store, query, GlobalPosition::START, PAGE);
        let mut notes = std::pin::pin!(notes);
        let mut lot = Lot::new();
        while let Some(note) = notes.try_next().await? {
            let mut queue = lot.remove(&note.stream_name).unwrap_or_default();
            // A note that does not read stops its subscriber, which says so itself.
            drop(queue.apply(&note));
            if !queue.is_empty() {
                lot.insert(note.stream_name, queue);
            }
        }
        Ok(lot)
    }

    /// The members of a group that live, where the store shares work by leases.
    async fn members(&self, name: &ProgressName) -> Result<Vec<MemberStatus>, Error> {
        let (Reads::Category(category), Some(part)) = (&name.reads, name.member) else {
            return Ok(Vec::new());
        };
        let group = ProgressStream::of_category(category, &name.subscriber, None);
        let group = LeaseGroup::new(group.stream().clone(), part.size());
        let (Ok(group), true) = (group, self.store.abilities().contains(&Ability::Leases)) else {
            return Ok(Vec::new());
        };
        match self.store.group_members(&group).await {
            // A static group of another size than the one by leases has no members.
            Err(error) if error.is_invalid() => Ok(Vec::new()),
            members => members,
        }
    }
}
