//! What a subscriber works with, and how it reads.
//!
//! Owns what all that is under way at a time shares: the store, the source, the handlers. Each action
//! of the machine is carried out by one function, here or in the file of its topic: `dispatch.rs`
//! (handlers), `records.rs` (progress), `parking.rs` (what is set aside). `driver.rs` calls them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::error::Invalid;
use evenfold_core::message::{Converters, Recorded};
use evenfold_core::store::{
    Ability, BatchSize, Categories, CategoryQuery, ConsumerGroup, HeldUp, LeaseGroup, Member,
    ParkingLot, ParkingStream, Place, Progress, ProgressStream, SubscriberId, Unit,
};
use evenfold_core::subscriber::{ErrorPolicy, Lane, Options, Sharing};

use super::builder::{Policy, Report};
use super::dispatch::Dispatch;
use super::leases::bucket_of;
use super::records::{Book, names_of};
use crate::telemetry::Labels;
use crate::{Category, Error, GlobalPosition, Position, Store, StreamName};

/// What a subscriber reads.
#[derive(Clone)]
pub(super) enum Source {
    Category(CategoryQuery),
    Stream(StreamName),
    /// Several categories by one cursor.
    Merged(Categories),
}

/// How the work is shared.
pub(super) enum Share {
    /// Not by leases: one lane, and the versions before this one, the first of them first.
    Whole {
        progress: ProgressStream,
        before: Vec<ProgressStream>,
    },
    Leased(Tenancy),
}

/// A member of a group that shares a category by leases.
pub(super) struct Tenancy {
    pub(super) category: Category,
    pub(super) group: LeaseGroup,
    pub(super) member: Member,
    pub(super) term: Duration,
}

/// Everything that is shared by what a subscriber has under way.
pub(super) struct Work {
    pub(super) store: Store,
    pub(super) id: SubscriberId,
    pub(super) source: Source,
    pub(super) share: Share,
    pub(super) version: u32,
    pub(super) options: Options,
    pub(super) handlers: Arc<[Box<dyn Dispatch>]>,
    pub(super) converters: Arc<Converters>,
    pub(super) strict: bool,
    pub(super) has_metadata: bool,
    pub(super) errors: ErrorPolicy,
    pub(super) policies: Vec<Policy>,
    pub(super) on_error: Vec<Report>,
    pub(super) on_rejection: Vec<Report>,
}

/// A page, and how far it reaches.
pub(super) struct Fetched {
    pub(super) page: Vec<Arc<Recorded>>,
    pub(super) scanned: Option<Place>,
    pub(super) is_full: bool,
    /// Who keeps it from reading on, though there may be more.
    pub(super) held: Option<HeldUp>,
}

impl Source {
    pub(super) fn unit(&self) -> Unit {
        match self {
            Self::Stream(_) => Unit::StreamPosition,
            Self::Category(_) | Self::Merged(_) => Unit::GlobalPosition,
        }
    }
}

impl Work {
    pub(super) fn unit(&self) -> Unit {
        self.source.unit()
    }

    /// What is read, for people.
    pub(super) fn reads(&self) -> String {
        match &self.source {
            Source::Category(query) => query.category().to_string(),
            Source::Stream(stream) => stream.to_string(),
            Source::Merged(categories) => categories.to_string(),
        }
    }

    /// Where it keeps its progress, or what its group is named by.
    pub(super) fn place(&self) -> &StreamName {
        match &self.share {
            Share::Whole { progress, .. } => progress.stream(),
            Share::Leased(tenancy) => tenancy.group.name(),
        }
    }

    /// Whose numbers are told.
    pub(super) fn labels(&self) -> Labels {
        let (subscriber, reads) = (self.id.to_string(), self.reads());
        Labels { subscriber, reads, progress: self.place().to_string() }
    }

    /// The categories whose messages it waits for; none are named where it reads all.
    pub(super) fn categories(&self) -> Vec<Category> {
        match &self.source {
            Source::Category(query) => vec![query.category().clone()],
            Source::Stream(stream) => vec![stream.category()],
            Source::Merged(categories) => categories.named().unwrap_or_default().to_vec(),
        }
    }

    /// Whether its handlers are of several categories, or messages come that are of none of theirs.
    pub(super) fn is_of_many(&self) -> bool {
        !matches!(self.source, Source::Stream(_))
    }

    pub(super) fn sharing(&self) -> Sharing {
        match &self.share {
            Share::Whole { .. } => Sharing::Alone,
            Share::Leased(tenancy) => Sharing::Leased(tenancy.term),
        }
    }

    /// Where the progress of a lane is recorded.
    pub(super) fn progress(&self, lane: Lane) -> Result<ProgressStream, Error> {
        match &self.share {
            Share::Whole { progress, .. } => Ok(progress.clone()),
            Share::Leased(Tenancy { category, group, .. }) => {
                let bucket = ConsumerGroup::new(lane.into(), group.buckets().into())?;
                Ok(ProgressStream::of_category(category, &self.id, Some(bucket)))
            }
        }
    }

    /// Where messages are parked: apart from who keeps his progress apart.
    pub(super) fn lot(&self) -> ParkingLot {
        let lot = match &self.source {
            Source::Category(query) => {
                let lot = ParkingLot::of_category(query.category(), &self.id);
                match query.correlation() {
                    Some(correlation) => lot.correlated_with(correlation),
                    None => lot,
                }
            }
            Source::Stream(stream) => {
                ParkingLot::of_category(&stream.category(), &self.id).by_stream()
            }
            Source::Merged(categories) => ParkingLot::of_merged(categories, &self.id),
        };
        lot.version(self.version)
    }

    /// Where messages of a stream are parked.
    pub(super) fn parking(&self, stream: &StreamName) -> ParkingStream {
        self.lot().parking(stream)
    }

    /// The lane that a stream falls to; none where it is not ours at all.
    pub(super) fn lane_of(&self, stream: &StreamName) -> Option<Lane> {
        if let Share::Leased(Tenancy { group, .. }) = &self.share {
            return bucket_of(group.buckets(), stream);
        }
        let is_ours = match &self.source {
            Source::Category(query) => query.group().is_none_or(|group| group.holds(stream)),
            Source::Stream(ours) => ours == stream,
            Source::Merged(_) => true,
        };
        is_ours.then_some(0)
    }

    /// Opens the progress record of a lane, and says whether the version before is at its end.
    pub(super) async fn begin_with(
        &self,
        lane: Lane,
    ) -> Result<(Book, Option<Progress>, bool), Error> {
        let (book, progress) = self.open(lane).await?;
        if let Some(successor) = progress.as_ref().and_then(|progress| progress.successor) {
            return Err(self.replaced_by(successor));
        }
        if progress.is_none() {
            self.check_sharing(&book.stream).await?;
        }
        Ok((book, progress, self.is_in_charge().await?))
    }

    /// Who begins where the same subscriber was shared in another way, or not at all, would handle
    /// everything again, beside what is recorded of that. Versions of one are legitimate beside each
    /// other: each has all to handle.
    async fn check_sharing(&self, of: &ProgressStream) -> Result<(), Error> {
        let Source::Category(query) = &self.source else { return Ok(()) };
        if self.options.start.is_some() {
            return Ok(());
        }
        let size = match &self.share {
            Share::Leased(tenancy) => Some(tenancy.group.buckets()),
            Share::Whole { .. } => query.group().map(ConsumerGroup::size),
        };
        let (id, category) = (&self.id, query.category());
        let names = names_of(&self.store, &of.stream().category(), id).await?;
        let other = names
            .iter()
            .filter(|name| name.correlation.as_ref() == query.correlation())
            .map(|name| name.member.map(ConsumerGroup::size))
            .find(|other| *other != size);
        let Some(other) = other else { return Ok(()) };
        let other = other.map_or_else(
            || "one that works alone".to_owned(),
            |other| format!("a group of {other}"),
        );
        let says = |of: &str| {
            format!(
                "subscriber `{id}` of `{category}` has progress as {other}, which says nothing of \
                 where one {of} begins; say that by `.start_at(…)`"
            )
        };
        Err(match size {
            Some(size) => Invalid::new("consumer group size", size, says(&format!("of {size}"))),
            None => Invalid::new("subscriber", id, says("that works alone")),
        }
        .into())
    }

    /// Opens the progress record of a lane.
    async fn open(&self, lane: Lane) -> Result<(Book, Option<Progress>), Error> {
        if let Source::Merged(_) = &self.source {
            self.store.messages().check_merged().await?;
        }
        let abilities = self.store.messages().abilities();
        if self.options.transactional && !abilities.contains(&Ability::Transactions) {
            let hint = "a transactional subscriber runs on a store that declares it";
            return Err(Error::lacking(Ability::Transactions, hint));
        }
        let (book, progress) = Book::open(&self.store, self.progress(lane)?).await?;
        if let Some(done) = progress.as_ref().and_then(|progress| progress.done) {
            self.check_past(&book.stream, done).await?;
        }
        Ok((book, progress))
    }

    /// Progress beyond the end of what is read is that of another store, or of a backup's future: what
    /// is written until there would be passed over.
    async fn check_past(&self, of: &ProgressStream, done: Place) -> Result<(), Error> {
        // Zero is recorded before the first message, and what lies before the start is.
        if done == 0 || self.options.start > Some(done) {
            return Ok(());
        }
        let store = self.store.messages();
        let end: Option<Place> = match &self.source {
            Source::Category(query) => store.category_head(query.category()).await?.map(Into::into),
            Source::Stream(stream) => store.stream_version(stream).await?.map(Into::into),
            Source::Merged(_) => return self.check_past_all(of, done).await,
        };
        if end >= Some(done) {
            return Ok(());
        }
        let end = end.map_or_else(|| "is empty".to_owned(), |end| format!("ends at {end}"));
        Err(past(of, done, format_args!("`{}` {end}", self.reads())))
    }

    /// The same of several categories: what is of none of them is read past, so the end that counts is
    /// that of the store.
    async fn check_past_all(&self, of: &ProgressStream, done: Place) -> Result<(), Error> {
        let (all, from, one) = (Categories::all(), GlobalPosition::new(done)?, BatchSize::new(1)?);
        let there = self.store.messages().read_merged(&all, from, one).await?;
        if there.scanned >= from || there.held.is_some() {
            return Ok(());
        }
        Err(past(of, done, format_args!("the store ends before that")))
    }

    /// Reads a page from this place on.
    pub(super) async fn fetch(&self, from: Place) -> Result<Fetched, Error> {
        let (store, limit) = (self.store.messages(), self.options.batch_size);
        let at = || GlobalPosition::new(from);
        let (page, scanned) = match &self.source {
            Source::Category(query) => {
                // What lies before the head is read when the page is not full: so it is asked first.
                let head = match query.category() {
                    category if query.is_filtered() => store.category_head(category).await?,
                    _ => None,
                };
                (store.read_category(query, at()?, limit).await?, head)
            }
            Source::Stream(stream) => {
                let from = Position::new(from)?;
                let page = if self.has_metadata {
                    store.read_stream(stream, from, limit)
                } else {
                    store.read_stream_data(stream, from, limit)
                };
                (page.await?, None)
            }
            Source::Merged(categories) => {
                let merged = store.read_merged(categories, at()?, limit).await?;
                return Ok(Fetched {
                    is_full: merged.scanned.get() >= from,
                    held: merged.held,
                    scanned: Some(merged.scanned.get()),
                    page: merged.messages.into_iter().map(Arc::new).collect(),
                });
            }
        };
        let is_full = page.len() >= limit.as_len();
        let last = page.last().map(|last| self.unit().place_of(last));
        let scanned = scanned.map(GlobalPosition::get).filter(|_| !is_full).max(last);
        let page = page.into_iter().map(Arc::new).collect();
        Ok(Fetched { page, scanned, is_full, held: None })
    }
}

fn past(of: &ProgressStream, done: Place, end: fmt::Arguments<'_>) -> Error {
    let fault = format!("it stands at {done}, and {end}; reset it if that is right");
    Error::unreadable_progress(of.stream(), fault)
}
