//! Parking: a message is set aside, and tried again when that is asked for.
//!
//! Owns the notes in the parking stream, each written by compare-and-set, so that two processes never
//! disagree on what is parked. What an operator does is in `parked.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    BatchSize, CategoryQuery, Note, ParkedQueue, ParkingStream, stream_messages,
};
use evenfold_core::subscriber::{Cause, Lane};
use futures::TryStreamExt;

use super::work::{Source, Work};
use crate::{Error, ExpectedVersion, GlobalPosition, Position, Store, StreamName};

/// How often a note is written again because another was noted in between.
const GOES: u32 = 20;

/// What is parked of a stream now.
pub(super) async fn queue_of(store: &Store, parking: &ParkingStream) -> Result<ParkedQueue, Error> {
    let mut queue = ParkedQueue::default();
    let messages =
        stream_messages(store.messages(), parking.stream().clone(), Position::START, PAGE);
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
    of: Option<&Recorded>,
    note: impl Fn(&ParkedQueue) -> Option<Note> + Send,
) -> Result<ParkedQueue, Error> {
    let id = store.ids().next();
    let mut last = None;
    for _ in 0..GOES {
        let mut queue = queue_of(store, parking).await?;
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
}

/// What is parked of streams with news.
pub(super) type News = Vec<(StreamName, Lane, ParkedQueue)>;

impl Work {
    /// Reads the notes that are new.
    pub(super) async fn read_notes(&self, mut notes: Notes) -> (Notes, Result<News, Error>) {
        let news = self.read_on(&mut notes).await;
        (notes, news)
    }

    async fn read_on(&self, notes: &mut Notes) -> Result<News, Error> {
        let category = match &self.source {
            Source::Category(query) => ParkingStream::category(query.category()),
            Source::Stream(stream) => ParkingStream::category(&stream.category()),
            Source::Merged(_) => ParkingStream::merged_category(),
        };
        let query = CategoryQuery::new(category);
        let mut touched = Vec::new();
        loop {
            let from = notes.next.unwrap_or(GlobalPosition::START);
            let page = self.store.messages().read_category(&query, from, PAGE).await?;
            for recorded in &page {
                let Some(stream) = ParkingStream::source_of(&self.id, &recorded.stream_name) else {
                    continue;
                };
                if self.lane_of(&stream).is_some() {
                    notes.queues.entry(stream.clone()).or_default().apply(recorded)?;
                    touched.push(stream);
                }
            }
            if let Some(last) = page.last() {
                notes.next = Some(last.global_position.next());
            }
            if page.len() < PAGE.as_len() {
                break;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let news = touched.into_iter().filter_map(|stream| {
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
    pub(super) async fn park(
        &self,
        recorded: Arc<Recorded>,
        cause: Cause,
        fault: Option<Error>,
    ) -> Result<ParkedQueue, Error> {
        let parking = self.parking(&recorded.stream_name);
        let (reason, attempts) = match cause {
            Cause::Failed(attempts) => {
                let reason = fault.map_or_else(|| "it failed".to_owned(), |it| format!("{it:#}"));
                (Some(reason), attempts)
            }
            Cause::Crashed(crashes) => {
                let reason = format!("the process ended {crashes} times while it was handled");
                (Some(reason), crashes)
            }
            Cause::Behind => (None, 0),
        };
        write_note(&self.store, &parking, Some(&recorded), |queue| {
            let is_there = queue.at(recorded.position).is_some();
            let is_free = reason.is_none() && queue.is_empty();
            let is_wanted = !is_there && !is_free;
            is_wanted.then(|| Note::parked(&recorded, reason.clone(), attempts))
        })
        .await
    }

    /// Notes that the first of the parked messages failed again.
    pub(super) async fn note_failure(
        &self,
        stream: &StreamName,
        position: Position,
        attempts: u32,
        fault: Option<Error>,
    ) -> Result<ParkedQueue, Error> {
        let parking = self.parking(stream);
        let reason = fault.map_or_else(|| "it failed".to_owned(), |it| format!("{it:#}"));
        write_note(&self.store, &parking, None, |queue| {
            queue.at(position).is_some().then(|| Note::ReplayFailed {
                position,
                reason: reason.clone(),
                attempts,
            })
        })
        .await
    }

    /// What is parked of a stream, and the message that is to be tried again, if it still is the first
    /// that is due.
    pub(super) async fn due(
        &self,
        stream: &StreamName,
        position: Position,
    ) -> Result<(ParkedQueue, Option<Found>), Error> {
        let queue = queue_of(&self.store, &self.parking(stream)).await?;
        let Some(due) = queue.due().filter(|due| due.position == position) else {
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

/// A parked message, or that it is gone.
type Found = Result<Arc<Recorded>, Error>;
