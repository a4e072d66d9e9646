//! Where a subscriber is, for those who wait for it and those who move it.
//!
//! Owns waiting until one's own write is handled, and the reset. Lists of all subscribers are in
//! `status.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use evenfold_core::error::Invalid;
use evenfold_core::store::{
    BatchSize, Categories, ConsumerGroup, Progress, ProgressName, ProgressStream, Reads,
    SubscriberId,
};
use tokio::time::Instant;

use super::leases::bucket_of;
use super::records::{Book, names_of};
use crate::{Category, Error, GlobalPosition, Position, Store, StreamName};

/// The pauses between two looks at a progress record: from the first, doubled, to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// How often a reset is written again because the subscriber recorded its progress in between.
const GOES: u32 = 20;

/// The place of one subscriber of a category, or of several by one cursor.
///
/// # Examples
///
/// Reading one's own write: an event is written, and the view is looked at when it is there.
///
/// ```
/// use std::time::Duration;
/// use evenfold::prelude::*;
/// # use evenfold::Host;
/// # #[derive(Message)] struct Deposited { amount: u64 }
/// # #[derive(Messages)] #[messages(category = "account")]
/// # enum AccountEvent { Deposited(Deposited) }
/// # struct View;
/// # #[handler(AccountEvent)]
/// # impl View { async fn deposited(&self, _: Received<Deposited>) {} }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let store = evenfold::connect("memory:").await?;
/// # let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// # let view = Host::new().subscriber(store.subscriber("view", View));
/// # let running = tokio::spawn(view.run_until(async { drop(stopped.await) }));
/// let account = StreamName::new("account-123")?;
/// let written = store.write(account.clone(), Deposited { amount: 5 }).await?;
///
/// let view = store.place("view", "account")?;
/// let is_there = view.wait_for(&account, written.last(), Duration::from_secs(5)).await?;
/// assert!(is_there);
/// # drop(stop);
/// # running.await.unwrap()?.into_result()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SubscriberPlace {
    store: Store,
    subscriber: SubscriberId,
    reads: Reads,
    correlation: Option<Category>,
    version: u32,
    buckets: Option<u16>,
}

impl Store {
    /// The place of a subscriber of a category; that of one that is merged is had by
    /// [`place_merged`](Self::place_merged).
    ///
    /// # Errors
    ///
    /// When the id or the category is invalid.
    pub fn place(
        &self,
        subscriber: &str,
        category: impl TryInto<Category, Error: Into<Error>>,
    ) -> Result<SubscriberPlace, Error> {
        self.place_in(subscriber, Reads::Category(category.try_into().map_err(Into::into)?))
    }

    /// The place of a subscriber that reads several categories by one cursor: the same categories as
    /// those of its handlers where it is [merged](crate::Subscriber::merged),
    /// [all](Categories::all) where it reads [all](crate::Subscriber::merged_all).
    ///
    /// # Errors
    ///
    /// When the id is invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// use evenfold::GlobalPosition;
    /// use evenfold::prelude::*;
    /// use evenfold::stores::Categories;
    /// # #[derive(Message)] struct Deposit { amount: u64 }
    /// # #[derive(Messages)] #[messages(category = "account:command")]
    /// # enum AccountCommand { Deposit(Deposit) }
    /// # #[derive(Message)] struct Deposited { amount: u64 }
    /// # #[derive(Messages)] #[messages(category = "account")]
    /// # enum AccountEvent { Deposited(Deposited) }
    /// # struct Asked;
    /// # #[handler(AccountCommand)]
    /// # impl Asked { async fn deposit(&self, _: Received<Deposit>) {} }
    /// # struct Got;
    /// # #[handler(AccountEvent)]
    /// # impl Got { async fn deposited(&self, _: Received<Deposited>) {} }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let store = evenfold::connect("memory:").await?;
    /// # store.send::<AccountEvent>("ann", Deposited { amount: 5 }).await?;
    /// let log = || store.subscriber("log", Asked).also(Got).merged();
    /// log().run_until_caught_up().await?;
    ///
    /// let both = Categories::of([AccountCommand::category(), AccountEvent::category()])?;
    /// store.place_merged("log", both)?.reset_to(GlobalPosition::START).await?;
    /// assert_eq!(log().run_until_caught_up().await?.handled, 1); // once more
    /// # Ok(())
    /// # }
    /// ```
    pub fn place_merged(
        &self,
        subscriber: &str,
        categories: Categories,
    ) -> Result<SubscriberPlace, Error> {
        self.place_in(subscriber, Reads::Merged(categories))
    }

    fn place_in(&self, subscriber: &str, reads: Reads) -> Result<SubscriberPlace, Error> {
        let subscriber = SubscriberId::new(subscriber)?;
        let (store, correlation) = (self.clone(), None);
        Ok(SubscriberPlace { store, subscriber, reads, correlation, version: 1, buckets: None })
    }
}

impl SubscriberPlace {
    /// That of a version of the subscriber; 1 by default.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// That of a subscriber whose work is shared by leases on so many buckets, or that is a static
    /// group of so many members.
    #[must_use]
    pub fn buckets(mut self, buckets: u16) -> Self {
        self.buckets = Some(buckets);
        self
    }

    /// That of a subscriber which is [correlated with](crate::Subscriber::correlated_with) a category.
    /// What its filter keeps back it records after its `progress_time`, or with what there is for it.
    #[must_use]
    pub fn correlated_with(mut self, category: Category) -> Self {
        self.correlation = Some(category);
        self
    }

    fn lane(&self, lane: u16) -> Result<ProgressStream, Error> {
        Ok(self.name(lane)?.stream()?)
    }

    fn name(&self, lane: u16) -> Result<ProgressName, Error> {
        let member = match self.buckets {
            Some(buckets) => Some(ConsumerGroup::new(lane.into(), buckets.into())?),
            None => None,
        };
        Ok(ProgressName {
            subscriber: self.subscriber.clone(),
            reads: self.reads.clone(),
            member,
            correlation: self.correlation.clone(),
            version: self.version,
        })
    }

    /// Where the progress with the messages of a stream is recorded. Of a stream that it does not read,
    /// the place of a subscriber says nothing.
    fn lane_of(&self, stream: &StreamName) -> Result<ProgressStream, Error> {
        let category = stream.category();
        let is_read = match &self.reads {
            Reads::Category(ours) => *ours == category,
            Reads::Merged(categories) => categories.holds(&category),
            Reads::Stream(ours) => ours == stream,
        };
        if !is_read {
            let (id, reads) = (&self.subscriber, &self.reads);
            let rule = format!(
                "it is of category `{category}`, and this is the place of subscriber `{id}` of \
                 `{reads}`"
            );
            return Err(Invalid::new("stream name", stream, rule).into());
        }
        let lane = match self.buckets {
            Some(buckets) => bucket_of(buckets, stream).ok_or_else(|| {
                Invalid::new("stream name", stream, "a stream without an id falls to no member")
            })?,
            None => 0,
        };
        self.lane(lane)
    }

    /// Where the subscriber is with the messages of a stream: the global position that it is done with
    /// and has recorded, 0 before the first. None where nothing is recorded: it has not run yet, or it
    /// has another id, category, version or number of buckets than this place.
    ///
    /// # Errors
    ///
    /// When the stream is of a category that the subscriber does not read, or falls to no bucket; when
    /// the record cannot be read, or the store fails.
    pub async fn of(&self, stream: &StreamName) -> Result<Option<GlobalPosition>, Error> {
        let (_, progress) = Book::open(&self.store, self.lane_of(stream)?).await?;
        let done = progress.and_then(|progress| progress.done).map(GlobalPosition::new);
        Ok(done.transpose()?)
    }

    /// Waits until the subscriber is done with the message at this position of a stream and has
    /// recorded that, for at most so long; answers whether it has. What is skipped or parked is done
    /// with as well.
    ///
    /// A subscriber records its progress when it has nothing more to read, and under load as its
    /// options say; over what a filter left out after its `progress_time`, which is 10 s. One that has recorded nothing is waited for too, for it may be started meanwhile;
    /// so an id, a version or a number of buckets that is nobody's answers false when the time is up.
    /// Then [`of`](Self::of) tells the two apart: it answers none where there is no record.
    ///
    /// # Errors
    ///
    /// When the stream is of a category that the subscriber does not read, or falls to no bucket; when
    /// there is no such message, the record cannot be read, or the store fails.
    pub async fn wait_for(
        &self,
        stream: &StreamName,
        position: Position,
        at_most: Duration,
    ) -> Result<bool, Error> {
        let deadline = Instant::now() + at_most;
        self.lane_of(stream)?;
        let one = BatchSize::new(1)?;
        let page = self.store.messages().read_stream(stream, position, one).await?;
        let Some(message) = page.first().filter(|message| message.position == position) else {
            let rule = format!("`{stream}` has no message there");
            return Err(Invalid::new("position", position, rule).into());
        };
        let (mut pause, longest) = PAUSES;
        loop {
            if self.of(stream).await? >= Some(message.global_position) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Lets the subscriber handle everything from this global position on, again or for the first
    /// time. What it had handled before comes as a [replay](crate::handler::Received::is_replay).
    ///
    /// One that runs stops at its next record, for its progress was recorded by somebody else: so not
    /// before its next message, which it still handles. The next run begins here.
    ///
    /// # Errors
    ///
    /// Nothing is reset when the place is none: where the subscriber has recorded nothing, under this
    /// id, version and number of buckets (where one begins that has not run yet,
    /// [`start_at`](crate::Subscriber::start_at) says); where another version has taken over; or where
    /// the position is beyond the one after the last message that it reads. When a record cannot be
    /// read, or the store fails.
    pub async fn reset_to(&self, next: GlobalPosition) -> Result<(), Error> {
        let lanes: Vec<_> =
            (0..self.buckets.unwrap_or(1)).map(|lane| self.lane(lane)).collect::<Result<_, _>>()?;
        let mut is_known = false;
        for lane in &lanes {
            let (_, progress) = Book::open(&self.store, lane.clone()).await?;
            is_known |= progress.is_some();
        }
        if !is_known {
            return Err(self.unknown().await?.into());
        }
        self.check_end(next).await?;
        for lane in lanes {
            self.reset_lane(&lane, next).await?;
        }
        Ok(())
    }

    /// Progress beyond the end would pass over what is written until there.
    async fn check_end(&self, next: GlobalPosition) -> Result<(), Error> {
        let end = self.end().await?;
        let after = end.unwrap_or(GlobalPosition::START).next();
        if next <= after {
            return Ok(());
        }
        let reads = &self.reads;
        let end = end.map_or_else(|| "is empty".to_owned(), |end| format!("ends at {end}"));
        let rule = format!("`{reads}` {end}, so {after} is the last that can be reset to");
        Err(Invalid::new("global position", next, rule).into())
    }

    /// The last message of what is read.
    async fn end(&self) -> Result<Option<GlobalPosition>, Error> {
        let store = self.store.messages();
        let named = match &self.reads {
            Reads::Category(category) => vec![category.clone()],
            Reads::Stream(stream) => vec![stream.category()],
            Reads::Merged(categories) => match categories.named() {
                Some(named) => named.to_vec(),
                None => return self.end_of_all(categories).await,
            },
        };
        let mut end = None;
        for category in &named {
            end = end.max(store.category_head(category).await?);
        }
        Ok(end)
    }

    async fn end_of_all(&self, all: &Categories) -> Result<Option<GlobalPosition>, Error> {
        let (store, size) = (self.store.messages(), BatchSize::DEFAULT);
        let (mut end, mut after) = (None, None);
        loop {
            let page = store.categories(after.as_ref(), size).await?;
            let read = page.iter().filter(|it| all.holds(&it.category));
            end = end.max(read.map(|it| it.last).max());
            if page.len() < size.as_len() {
                return Ok(end);
            }
            after = page.into_iter().next_back().map(|last| last.category);
        }
    }

    async fn reset_lane(&self, lane: &ProgressStream, next: GlobalPosition) -> Result<(), Error> {
        let mut before_us = None;
        for _ in 0..GOES {
            let (mut book, before) = Book::open(&self.store, lane.clone()).await?;
            if let Some(successor) = before.as_ref().and_then(|before| before.successor) {
                let rule =
                    format!("version {successor} has taken over; say `.version({successor})`");
                return Err(Invalid::new("subscriber", &self.subscriber, rule).into());
            }
            let progress = Progress {
                done: Some(next.get().saturating_sub(1).max(0)),
                replay: before.and_then(|before| before.done.max(before.replay)),
                ..Progress::default()
            };
            match book.record(&self.store, &self.subscriber, &progress).await {
                // It has recorded in between, so it is looked at anew.
                Err(error) if error.is_superseded() => before_us = Some(error),
                recorded => return recorded,
            }
        }
        let doing = format!("resetting the progress in `{}`, {GOES} times", lane.stream());
        Err(Error::failed(doing, before_us.map_or_else(|| "no reason".into(), |it| it.to_string())))
    }

    /// That nothing is recorded at this place, and where something is.
    async fn unknown(&self) -> Result<Invalid, Error> {
        let lane = self.lane(0)?;
        let names = names_of(&self.store, &lane.stream().category(), &self.subscriber).await?;
        let names = names.iter().filter(|name| name.reads == self.reads);
        let places: BTreeSet<_> = names.map(place_text).collect();
        let instead = if !places.is_empty() {
            let places: Vec<_> = places.into_iter().collect();
            format!("its places are {}", places.join(", "))
        } else if let Some(merged) = self.merged().await? {
            format!("it reads `{merged}` by one cursor; say `Store::place_merged`")
        } else {
            "is its id another? Where one begins that has not run yet, `.start_at(…)` says"
                .to_owned()
        };
        let (reads, place) = (&self.reads, place_text(&self.name(0)?));
        let rule = format!("it has no progress of `{reads}` at the place {place}; {instead}");
        Ok(Invalid::new("subscriber", &self.subscriber, rule))
    }

    /// What a merged subscriber of this id reads.
    async fn merged(&self) -> Result<Option<Reads>, Error> {
        let all = ProgressStream::of_merged(&Categories::all(), &self.subscriber);
        let names = names_of(&self.store, &all.stream().category(), &self.subscriber).await?;
        Ok(names.into_iter().next().map(|name| name.reads))
    }
}

/// What is written to name a place.
fn place_text(name: &ProgressName) -> String {
    let of = name.correlation.as_ref();
    let of = of.map_or_else(String::new, |of| format!(".correlated_with({of})"));
    match (name.version, name.member.map(ConsumerGroup::size)) {
        (1, Some(buckets)) => format!("`.buckets({buckets}){of}`"),
        (version, Some(buckets)) => format!("`.version({version}).buckets({buckets}){of}`"),
        (version, None) => format!("`.version({version}){of}`"),
    }
}
