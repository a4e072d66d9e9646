//! Where a subscriber is, for those who wait for it and those who move it.
//!
//! Owns waiting until one's own write is handled, and the reset. Lists of all subscribers are in
//! `status.rs`.

use std::time::Duration;

use evenfold_core::error::Invalid;
use evenfold_core::store::{BatchSize, ConsumerGroup, Progress, ProgressStream, SubscriberId};
use tokio::time::Instant;

use super::leases::bucket_of;
use super::records::Book;
use crate::{Category, Error, ExpectedVersion, GlobalPosition, Position, Store, StreamName};

/// The pauses between two looks at a progress record: from the first, doubled, to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// The place of one subscriber of a category.
///
/// # Examples
///
/// Reading one's own write: the command is sent, and the view is looked at when it is there.
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
    category: Category,
    version: u32,
    buckets: Option<u16>,
}

impl Store {
    /// The place of a subscriber of a category.
    ///
    /// # Errors
    ///
    /// When the id or the category is invalid.
    pub fn place(
        &self,
        subscriber: &str,
        category: impl TryInto<Category, Error: Into<Error>>,
    ) -> Result<SubscriberPlace, Error> {
        let category = category.try_into().map_err(Into::into)?;
        let subscriber = SubscriberId::new(subscriber)?;
        Ok(SubscriberPlace { store: self.clone(), subscriber, category, version: 1, buckets: None })
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

    fn lane(&self, lane: u16) -> Result<ProgressStream, Error> {
        let group = match self.buckets {
            Some(buckets) => Some(ConsumerGroup::new(lane.into(), buckets.into())?),
            None => None,
        };
        let stream = ProgressStream::of_category(&self.category, &self.subscriber, group);
        Ok(stream.version(self.version))
    }

    /// Where the subscriber is with the messages of a stream: the global position that it is done with
    /// and has recorded; none before the first.
    ///
    /// # Errors
    ///
    /// When the stream falls to no bucket, the record cannot be read, or the store fails.
    pub async fn of(&self, stream: &StreamName) -> Result<Option<GlobalPosition>, Error> {
        let lane = match self.buckets {
            Some(buckets) => bucket_of(buckets, stream).ok_or_else(|| {
                Invalid::new("stream name", stream, "a stream without an id falls to no member")
            })?,
            None => 0,
        };
        let (_, progress) = Book::open(&self.store, self.lane(lane)?).await?;
        let done = progress.and_then(|progress| progress.done).map(GlobalPosition::new);
        Ok(done.transpose()?)
    }

    /// Waits until the subscriber is done with the message at this position of a stream and has
    /// recorded that, for at most so long; answers whether it has. What is skipped or parked is done
    /// with as well.
    ///
    /// A subscriber records its progress when it has nothing more to read, and under load as its
    /// options say.
    ///
    /// # Errors
    ///
    /// When there is no such message, the record cannot be read, or the store fails.
    pub async fn wait_for(
        &self,
        stream: &StreamName,
        position: Position,
        at_most: Duration,
    ) -> Result<bool, Error> {
        let deadline = Instant::now() + at_most;
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
    /// One that runs stops, for its progress was recorded by somebody else; the next run begins here.
    ///
    /// # Errors
    ///
    /// When a record cannot be read, or the store fails.
    pub async fn reset_to(&self, next: GlobalPosition) -> Result<(), Error> {
        for lane in 0..self.buckets.unwrap_or(1) {
            let stream = self.lane(lane)?;
            let (_, before) = Book::open(&self.store, stream.clone()).await?;
            let progress = Progress {
                done: Some(next.get().saturating_sub(1).max(0)),
                replay: before.and_then(|before| before.done.max(before.replay)),
                ..Progress::default()
            };
            let record = [stream.record(&progress, self.store.ids().next())?];
            let store = self.store.messages();
            store.write(stream.stream(), &record, ExpectedVersion::Any).await?;
        }
        Ok(())
    }
}
