//! Parking: a message is set aside, and tried again when that is asked for.
//!
//! Owns the notes in the parking stream, each written by compare-and-set, so that two processes never
//! disagree on what is parked. What an operator does is in `parked.rs`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    BatchSize, CategoryQuery, Note, ParkedQueue, ParkingStream, stored_reason, stream_messages,
};
use evenfold_core::subscriber::{Cause, Lane};
use futures::TryStreamExt;

use super::work::Work;
use crate::{Error, ExpectedVersion, GlobalPosition, Position, Store, StreamName};

/// How often a note is written again because another was noted in between.
const GOES: u32 = 20;

/// What is parked of a stream now, read on from what is known of it, so that a stream that waits for
/// long is not read from its start for each note.
pub(super) async fn queue_of(
    store: &Store,
    parking: &ParkingStream,
    known: ParkedQueue,
) -> Result<ParkedQueue, Error> {
    let mut queue = known;
    let from = queue.version().map_or(Position::START, Position::next);
    let messages = stream_messages(store.messages(), parking.stream().clone(), from, PAGE);
    let mut messages = std::pin::pin!(messages);
    while let Some(message) = messages.try_next().await? {
        queue.apply(&message)?;
    }
    Ok(queue)
}

const PAGE: BatchSize = BatchSize::DEFAULT;

/// Writes a note on top of what is parked, as `note` makes it of that; nothing where it makes none.
pub(super) async fn write_note(
    store: &Store,
    parking: &ParkingStream,
    known: ParkedQueue,
    of: Option<&Recorded>,
    note: impl Fn(&ParkedQueue) -> Option<Note> + Send,
) -> Result<ParkedQueue, Error> {
    let id = store.ids().next();
    let (mut queue, mut last) = (known, None);
    for _ in 0..GOES {
        queue = queue_of(store, parking, queue).await?;
        let Some(note) = note(&queue) else { return Ok(queue) };
        let message = [note.message(id, of)?];
        let expected = ExpectedVersion::from(queue.version());
        match store.messages().write(parking.stream(), &message, expected).await {
            Ok(written) => {
                queue.noted(note, written.last());
                return Ok(queue);
            }
            // Somebody noted something in between, so it is looked at anew.
            Err(error) if error.is_conflict() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    let doing = format!("noting in `{}`, {GOES} times", parking.stream());
    Err(Error::failed(doing, last.map_or_else(|| "no reason".into(), |it| it.to_string())))
}

/// How far the notes of a subscriber were read, and what they came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    next: Option<GlobalPosition>,
    queues: HashMap<StreamName, ParkedQueue>,
    /// The streams with news that were not told yet, for an error came in between.
    touched: BTreeSet<StreamName>,
}

/// What is parked of streams with news.
pub(super) type News = Vec<(StreamName, Lane, ParkedQueue)>;

/// A message that is to be set aside.
pub(super) struct ToPark {
    pub(super) recorded: Arc<Recorded>,
    pub(super) cause: Cause,
    /// Why it failed last, if it did.
    pub(super) fault: Option<Error>,
    /// Whether it was handled before.
    pub(super) is_replay: bool,
    /// What is known to be parked of its stream.
    pub(super) known: ParkedQueue,
}

/// A parked message that is to be tried again.
pub(super) struct ToTry {
    pub(super) stream: StreamName,
    pub(super) position: Position,
    /// Whether this process has begun with it already.
    pub(super) is_begun: bool,
    /// What is known to be parked of its stream.
    pub(super) known: ParkedQueue,
}

/// What is known of a parked message when a try has come to its end.
pub(super) struct Tried {
    pub(super) stream: StreamName,
    pub(super) position: Position,
    /// Whether it is noted, where that is done, that this process has begun with it.
    pub(super) is_begun: bool,
    /// The message itself, if it was found.
    pub(super) recorded: Option<Arc<Recorded>>,
    /// What is parked of its stream now, if that is known.
    pub(super) queue: ParkedQueue,
}

impl ToTry {
    /// Where the process goes on with what it has begun.
    fn begun(&self) -> Option<Position> {
        self.is_begun.then_some(self.position)
    }
}

impl Work {
    /// Reads the notes that are new.
    pub(super) async fn read_notes(&self, mut notes: Notes) -> (Notes, Result<News, Error>) {
        let news = self.read_on(&mut notes).await;
        (notes, news)
    }

    async fn read_on(&self, notes: &mut Notes) -> Result<News, Error> {
        let lot = self.lot();
        let query = CategoryQuery::new(lot.category());
        loop {
            let from = notes.next.unwrap_or(GlobalPosition::START);
            let page = self.store.messages().read_category(&query, from, PAGE).await?;
            let ours = page.iter().filter_map(|recorded| {
                let stream = lot.source_of(&recorded.stream_name)?;
                self.lane_of(&stream).map(|_| (stream, recorded))
            });
            for (stream, recorded) in ours {
                notes.queues.entry(stream.clone()).or_default().apply(recorded)?;
                notes.touched.insert(stream);
            }
            if let Some(last) = page.last() {
                notes.next = Some(last.global_position.next());
            }
            if page.len() < PAGE.as_len() {
                break;
            }
        }
        let news = std::mem::take(&mut notes.touched).into_iter().filter_map(|stream| {
            let queue = notes.queues.get(&stream)?.clone();
            // What is empty need not be kept: notes that come go on from there.
            if queue.is_empty() {
                notes.queues.remove(&stream);
            }
            Some((stream.clone(), self.lane_of(&stream)?, queue))
        });
        Ok(news.collect())
    }

    /// Sets a message aside, if it is not yet, and if there is one to wait behind where it has none of
    /// its own reasons.
    pub(super) async fn park(&self, to_park: ToPark) -> Result<ParkedQueue, Error> {
        let ToPark { recorded, cause, fault, is_replay, known } = to_park;
        let parking = self.parking(&recorded.stream_name);
        let (reason, attempts) = match cause {
            Cause::Failed(attempts) => (Some(reason_of(fault)), attempts),
            Cause::Crashed(crashes) => {
                let reason = format!("the process ended {crashes} times while it was handled");
                (Some(reason), crashes)
            }
            Cause::Behind => (None, 0),
        };
        write_note(&self.store, &parking, known, Some(&recorded), |queue| {
            let is_there = queue.at(recorded.position).is_some();
            let is_free = reason.is_none() && queue.is_empty();
            let is_wanted = !is_there && !is_free;
            is_wanted.then(|| Note::parked(&recorded, reason.clone(), attempts, is_replay))
        })
        .await
    }

    /// Notes that the first of the parked messages failed again.
    pub(super) async fn note_failure(
        &self,
        tried: ToTry,
        attempts: u32,
        fault: Option<Error>,
    ) -> Result<ParkedQueue, Error> {
        let (parking, position, begun) =
            (self.parking(&tried.stream), tried.position, tried.begun());
        let reason = reason_of(fault);
        write_note(&self.store, &parking, tried.known, None, |queue| {
            // If it was discarded meanwhile, the next is not to blame.
            queue.due_to(begun).filter(|due| due.position == position)?;
            Some(Note::ReplayFailed { position, reason: reason.clone(), attempts })
        })
        .await
    }

    /// What is parked of a stream, and the message that is to be tried again, if it still is the first
    /// that is due.
    pub(super) async fn due(&self, to_try: ToTry) -> Result<(ParkedQueue, Option<Found>), Error> {
        let (begun, ToTry { stream, position, known, .. }) = (to_try.begun(), to_try);
        let queue = queue_of(&self.store, &self.parking(&stream), known).await?;
        let Some(due) = queue.due_to(begun).filter(|due| due.position == position) else {
            return Ok((queue, None));
        };
        // By its id, for a stream that is named by a category alone cannot be read.
        let found = self.store.messages().message(due.message_id).await?;
        let found = found.map(Arc::new).ok_or_else(|| {
            let doing = format!("replaying the message at position {position} of `{stream}`");
            Error::failed(doing, "it is not there any more")
        });
        Ok((queue, Some(found)))
    }
}

fn reason_of(fault: Option<Error>) -> String {
    fault.map_or_else(|| "it failed".to_owned(), |it| stored_reason(&format!("{it:#}")))
}

/// A parked message, or that it is gone.
type Found = Result<Arc<Recorded>, Error>;

#[cfg(test)]
mod tests {
    use evenfold_core::store::{ParkingLot, SubscriberId};
    use evenfold_testkit::{Recording, controls};

    use super::*;

    #[tokio::test]
    async fn what_is_known_of_a_queue_is_not_read_again() {
        let faults = Recording::default();
        let store = Store::new(faults.clone());
        let lot = ParkingLot::of_category(
            &"account".parse().unwrap(),
            &SubscriberId::new("teller").unwrap(),
        );
        let parking = lot.parking(&"account-1".parse().unwrap());
        let asked = |number| {
            let note = Note::ReplayAsked { position: Position::START };
            note.message(controls::id(number), None).unwrap()
        };
        let (any, many) = (ExpectedVersion::Any, u64::from(PAGE.get()) + 1);
        let known: Vec<_> = (0..many).map(asked).collect();
        store.messages().write(parking.stream(), &known, any).await.unwrap();
        let queue = queue_of(&store, &parking, ParkedQueue::default()).await.unwrap();
        store.messages().write(parking.stream(), &[asked(many)], any).await.unwrap();

        // From the start it is more than one page.
        faults.fail_reads_after(1, 1);
        let queue = queue_of(&store, &parking, queue).await.unwrap();
        assert_eq!(queue.version(), Some(Position::new(i64::from(PAGE.get()) + 1).unwrap()));
    }
}
