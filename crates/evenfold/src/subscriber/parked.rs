//! What an operator does with parked messages: list, look, replay, discard.
//!
//! Owns the requests that are noted in the parking streams. The subscriber itself replays, for it has
//! the handlers and keeps the order; it looks for notes every second.

use std::collections::{BTreeMap, BTreeSet};

use evenfold_core::error::Invalid;
use evenfold_core::message::Recorded;
use evenfold_core::store::{
    BatchSize, Categories, CategoryQuery, Note, ParkedMessage, ParkedQueue, ParkingLot,
    SubscriberId, category_messages,
};
use futures::TryStreamExt;

use super::parking::{queue_of, write_note};
use crate::{Category, Error, GlobalPosition, Store, StreamName};

/// The messages that one subscriber has parked, for people and tools.
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
/// use evenfold::{ErrorPolicy, Position};
/// # use std::sync::atomic::{AtomicBool, Ordering};
/// # use std::sync::Arc;
///
/// # #[derive(Message)] struct Deposited { amount: u64 }
/// # #[derive(Messages)] #[messages(category = "account")]
/// # enum AccountEvent { Deposited(Deposited) }
/// # #[derive(Clone, Default)]
/// # struct Printer { is_mended: Arc<AtomicBool> }
/// # #[handler(AccountEvent)]
/// # impl Printer {
/// #     async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
/// #         let fails = event.amount == 0 && !self.is_mended.load(Ordering::Relaxed);
/// #         if fails { Err("the paper is jammed".into()) } else { Ok(()) }
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let store = evenfold::connect("memory:").await?;
/// # let printer = Printer::default();
/// # for (id, amount) in [("123", 0), ("123", 5), ("124", 7)] {
/// #     store.send::<AccountEvent>(id, Deposited { amount }).await?;
/// # }
/// let policy = ErrorPolicy::park().retries(0);
/// let print = store.subscriber("printer", printer.clone()).errors(policy);
/// let polled = print.run_until_caught_up().await?;
/// assert_eq!((polled.handled, polled.parked), (1, 2)); // account 124 went on
///
/// let parking = store.parking("printer", "account")?;
/// let parked = parking.list().await?;
/// assert_eq!(parked.len(), 2);
/// let first = &parked[0];
/// assert!(first.message.reason.as_ref().unwrap().ends_with("the paper is jammed"));
/// assert_eq!(parked[1].message.reason, None); // it waits behind the first
///
/// # printer.is_mended.store(true, Ordering::Relaxed);
/// parking.replay(first).await?;
/// let print = store.subscriber("printer", printer).errors(policy);
/// assert_eq!(print.run_until_caught_up().await?.replayed, 2);
/// assert!(parking.list().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Parking {
    store: Store,
    lot: ParkingLot,
}

/// A parked message, and the stream it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parked {
    /// The stream.
    pub stream: StreamName,
    /// The message, and why it is parked.
    pub message: ParkedMessage,
}

impl Store {
    /// The messages that a subscriber of a category has parked; those of one that is merged are had by
    /// [`parking_merged`](Self::parking_merged).
    ///
    /// A subscriber that nobody knows has parked nothing: its list is empty, and that is no error.
    /// Whether there is one of this id, and how much it has parked, [`status`](Self::status) tells.
    ///
    /// # Errors
    ///
    /// When the id or the category is invalid, or the category is that of the books of merged
    /// subscribers.
    pub fn parking(
        &self,
        subscriber: &str,
        category: impl TryInto<Category, Error: Into<Error>>,
    ) -> Result<Parking, Error> {
        let category = category.try_into().map_err(Into::into)?;
        let subscriber = SubscriberId::new(subscriber)?;
        let lot = ParkingLot::of_category(&category, &subscriber);
        if lot.category() == ParkingLot::of_merged(&Categories::all(), &subscriber).category() {
            let rule = "what merged subscribers have parked is had by `Store::parking_merged`";
            return Err(Invalid::new("category", category, rule).into());
        }
        Ok(Parking { store: self.clone(), lot })
    }

    /// The messages that a subscriber has parked that reads several categories by one cursor: the same
    /// categories as those of its handlers where it is [merged](crate::Subscriber::merged),
    /// [all](Categories::all) where it reads [all](crate::Subscriber::merged_all).
    ///
    /// # Errors
    ///
    /// When the id is invalid.
    pub fn parking_merged(
        &self,
        subscriber: &str,
        categories: &Categories,
    ) -> Result<Parking, Error> {
        let subscriber = SubscriberId::new(subscriber)?;
        Ok(Parking { store: self.clone(), lot: ParkingLot::of_merged(categories, &subscriber) })
    }
}

/// What is asked for already is not asked for again, unless it was begun and came to no end.
fn ask(parked: &ParkedMessage) -> Option<Note> {
    let is_known = parked.is_asked && parked.begun == 0;
    (!is_known).then_some(Note::ReplayAsked { position: parked.position })
}

impl Parking {
    /// That of a version of the subscriber; 1 by default. Each version has parked messages of its own,
    /// as it has progress of its own.
    #[must_use]
    pub fn version(self, version: u32) -> Self {
        Self { lot: self.lot.version(version), ..self }
    }

    /// That of a subscriber which reads only what is
    /// [correlated with](crate::Subscriber::correlated_with) a category.
    ///
    /// # Errors
    ///
    /// When the category is invalid.
    pub fn correlated_with(
        self,
        category: impl TryInto<Category, Error: Into<Error>>,
    ) -> Result<Self, Error> {
        let category = category.try_into().map_err(Into::into)?;
        Ok(Self { lot: self.lot.correlated_with(&category), ..self })
    }

    /// That of the subscribers of this id which read [one stream](crate::Subscriber::stream) of the
    /// category each.
    #[must_use]
    pub fn by_stream(self) -> Self {
        Self { lot: self.lot.by_stream(), ..self }
    }

    /// Every parked message, the oldest first: in the order in which they were written.
    ///
    /// # Errors
    ///
    /// When the store fails, or a note does not read.
    pub async fn list(&self) -> Result<Vec<Parked>, Error> {
        let query = CategoryQuery::new(self.lot.category());
        let store = self.store.messages();
        let notes = category_messages(store, query, GlobalPosition::START, BatchSize::DEFAULT);
        let mut notes = std::pin::pin!(notes);
        let mut queues: BTreeMap<StreamName, ParkedQueue> = BTreeMap::new();
        while let Some(note) = notes.try_next().await? {
            let Some(stream) = self.lot.source_of(&note.stream_name) else {
                continue;
            };
            let queue = queues.entry(stream.clone()).or_default();
            queue.apply(&note)?;
            if queue.is_empty() {
                queues.remove(&stream);
            }
        }
        let parked = queues.iter().flat_map(|(stream, queue)| in_order(stream, queue));
        let mut parked: Vec<_> = parked.collect();
        parked.sort_by_key(|parked| parked.message.global_position);
        Ok(parked)
    }

    /// The messages of one stream that are parked, in its order.
    ///
    /// # Errors
    ///
    /// When the store fails, or a note does not read.
    pub async fn of(&self, stream: &StreamName) -> Result<Vec<Parked>, Error> {
        let queue = self.queue(stream).await?;
        Ok(in_order(stream, &queue).collect())
    }

    async fn queue(&self, stream: &StreamName) -> Result<ParkedQueue, Error> {
        queue_of(&self.store, &self.lot.parking(stream), ParkedQueue::default()).await
    }

    /// The parked message itself; none when it is there no more.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn message(&self, parked: &Parked) -> Result<Option<Recorded>, Error> {
        self.store.messages().message(parked.message.message_id).await
    }

    /// Asks the subscriber to handle a parked message again, the first of its stream. When it is done
    /// with that, it goes on with those that wait behind it.
    ///
    /// # Errors
    ///
    /// When the message is not parked any more, or waits behind another one; when the store fails.
    pub async fn replay(&self, parked: &Parked) -> Result<(), Error> {
        self.check(parked, true).await?;
        self.note(parked, ask).await
    }

    /// Asks for every stream what [`replay`](Self::replay) asks for one message, and tells for how many
    /// it did: what was asked for already, and is not tried yet, is not asked for again.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn replay_all(&self) -> Result<usize, Error> {
        let (mut asked, mut seen) = (0, BTreeSet::new());
        for parked in self.list().await? {
            // One that waits behind another comes when that is done with.
            let is_due = seen.insert(parked.stream.clone()) || parked.message.reason.is_some();
            if is_due && ask(&parked.message).is_some() {
                self.note(&parked, ask).await?;
                asked += 1;
            }
        }
        Ok(asked)
    }

    /// Gives a parked message up: it is never handled. Those that wait behind it are handled when it
    /// was the first. The reason stays in the store; an empty one is none.
    ///
    /// # Errors
    ///
    /// When the message is not parked any more; when the store fails.
    pub async fn discard(
        &self,
        parked: &Parked,
        reason: impl Into<String> + Send,
    ) -> Result<(), Error> {
        self.check(parked, false).await?;
        let reason = Some(reason.into()).filter(|reason| !reason.is_empty());
        let note = Note::Discarded { position: parked.message.position, reason };
        self.note(parked, |_| Some(note.clone())).await
    }

    async fn check(&self, wanted: &Parked, is_first: bool) -> Result<(), Error> {
        let (stream, position) = (&wanted.stream, wanted.message.position);
        let queue = self.queue(stream).await?;
        let refuse = |rule: String| Err(Invalid::new("parked message", position, rule).into());
        let Some(message) = queue.at(position) else {
            return refuse(format!(
                "subscriber `{}` has parked none at this position of `{stream}`",
                self.lot.subscriber()
            ));
        };
        match queue.messages().next() {
            Some(first) if is_first && message.reason.is_none() && first != message => {
                refuse(format!("it waits behind the one at position {}", first.position))
            }
            _ => Ok(()),
        }
    }

    async fn note(
        &self,
        parked: &Parked,
        note: impl Fn(&ParkedMessage) -> Option<Note> + Send + Sync,
    ) -> Result<(), Error> {
        let (parking, known) = (self.lot.parking(&parked.stream), ParkedQueue::default());
        let position = parked.message.position;
        write_note(&self.store, &parking, known, None, |queue| queue.at(position).and_then(&note))
            .await
            .map(drop)
    }
}

fn in_order<'a>(
    stream: &'a StreamName,
    queue: &'a ParkedQueue,
) -> impl Iterator<Item = Parked> + 'a {
    let of = |message: &ParkedMessage| Parked { stream: stream.clone(), message: message.clone() };
    queue.messages().map(of)
}
