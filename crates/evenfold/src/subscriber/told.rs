//! Each action begun, and what the machine is told of its end.
//!
//! Owns what the loop knows beside the machine: the messages in hand, why they failed, and the books
//! of the lanes. It reports each fault as it comes.

use std::collections::HashMap;
use std::sync::Arc;

use evenfold_core::message::Recorded;
use evenfold_core::store::{Note, ParkedQueue, Place, Progress, Standing};
use evenfold_core::subscriber::{
    Action, ErrorPolicy, Fault as Kind, Input, Item, Lane, Outcome, Page, Record,
};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use super::Failure;
use super::dispatch::{Fault, Handled, Seal};
use super::driver::Poller;
use super::parking::{News, Notes, write_note};
use super::records::Book;
use super::work::{Fetched, Work};
use crate::{Error, ExpectedVersion, Position, StreamName, telemetry};

/// What the loop knows beside the machine.
#[derive(Default)]
pub(super) struct Known {
    messages: HashMap<Place, Arc<Recorded>>,
    /// Why the messages in hand failed last.
    faults: HashMap<Place, Error>,
    replay_faults: HashMap<StreamName, Error>,
    books: HashMap<Lane, Book>,
    notes: Notes,
    /// Up to here messages come again that were handled before.
    replay: Option<Place>,
    /// Whether the version before has still to be caught up with.
    pub(super) is_waiting: bool,
    /// The fault that was met last: why it stops, if it does.
    pub(super) fault: Option<Error>,
}

impl Known {
    /// Forgets what is known of all other messages.
    pub(super) fn keep(&mut self, is_kept: impl Fn(Place, &StreamName) -> bool) {
        let Self { messages, faults, .. } = self;
        messages.retain(|place, recorded| is_kept(*place, &recorded.stream_name));
        faults.retain(|place, _| messages.contains_key(place));
    }
}

/// What came of an action.
pub(super) enum Told {
    /// And whether the version before is at its end.
    Progress(Lane, Result<(Book, Option<Progress>, bool), Error>),
    Notes(Notes, Result<News, Error>),
    Page(Result<Fetched, Error>),
    Handled(Place, Lane, Option<Book>, Result<Handled, Fault>),
    Skipped(Place),
    Parked(Place, Result<ParkedQueue, Error>),
    Replayed(StreamName, Option<Arc<Recorded>>, ParkedQueue, Result<Option<Handled>, Fault>),
    Noted(StreamName, Result<ParkedQueue, Error>),
    Recorded(Lane, Book, Result<(), Error>),
    Held(Result<(Vec<Lane>, Vec<Lane>), Error>),
    Released(Lane, Result<(), Error>),
    Left(Result<(), Error>),
    /// Whether it has taken over from the version before.
    TakenOver(Result<bool, Error>),
    /// Something that cannot be, for there is no such message or lane any more.
    Nothing,
}

impl Poller {
    /// Begins an action.
    pub(super) fn begin(&mut self, action: Action) -> BoxFuture<'static, Told> {
        let work = Arc::clone(&self.work);
        let known = &mut self.known;
        match action {
            Action::ReadProgress(lane) => {
                async move { Told::Progress(lane, work.begin_with(lane).await) }.boxed()
            }
            Action::ReadNotes => {
                let notes = std::mem::take(&mut known.notes);
                async move {
                    let (notes, news) = work.read_notes(notes).await;
                    Told::Notes(notes, news)
                }
                .boxed()
            }
            Action::Fetch(from, _) => async move { Told::Page(work.fetch(from).await) }.boxed(),
            Action::Handle(place, progress) => self.begin_handling(place, progress),
            Action::Skip(place) => {
                self.polled.skipped += 1;
                if let (Some(recorded), Some(fault)) =
                    (known.messages.get(&place), known.faults.get(&place))
                {
                    telemetry::skipped(&work.id, recorded, fault);
                }
                ready(Told::Skipped(place)).boxed()
            }
            Action::Park(place, cause) => {
                let Some(recorded) = known.messages.get(&place).cloned() else {
                    return ready(Told::Nothing).boxed();
                };
                let fault = known.faults.get(&place).cloned();
                async move { Told::Parked(place, work.park(recorded, cause, fault).await) }.boxed()
            }
            Action::Replay(stream, position) => replay(work, stream, position).boxed(),
            Action::NoteFailure(stream, position, attempts) => {
                let fault = known.replay_faults.get(&stream).cloned();
                async move {
                    let noted = work.note_failure(&stream, position, attempts, fault).await;
                    Told::Noted(stream, noted)
                }
                .boxed()
            }
            Action::Record(lane, record) => self.begin_recording(lane, record),
            Action::Renew => async move { Told::Held(work.renew().await) }.boxed(),
            Action::Release(lane) => {
                async move { Told::Released(lane, work.release(lane).await) }.boxed()
            }
            Action::Leave => async move { Told::Left(work.leave().await) }.boxed(),
            Action::Stop(_) => ready(Told::Nothing).boxed(),
        }
    }

    fn begin_handling(
        &mut self,
        place: Place,
        progress: Option<Progress>,
    ) -> BoxFuture<'static, Told> {
        let work = Arc::clone(&self.work);
        let Some(recorded) = self.known.messages.get(&place).cloned() else {
            return ready(Told::Nothing).boxed();
        };
        let lane = work.lane_of(&recorded.stream_name).unwrap_or_default();
        let is_replay = self.known.replay >= Some(place);
        let Some(mut progress) = progress else {
            return async move {
                let handled = work.handle(&recorded, None, is_replay).await;
                Told::Handled(place, lane, None, handled)
            }
            .boxed();
        };
        let Some(mut book) = self.known.books.get(&lane).cloned() else {
            return ready(Told::Nothing).boxed();
        };
        progress.replay = self.replay_after(progress.done);
        async move {
            let sealed = match book.settle(&work.store, &work.id).await {
                Ok(()) => book.with_effects(&progress, place),
                Err(error) => Err(error),
            };
            let handled = match sealed {
                Ok((message, expected)) => {
                    let stream = book.stream.stream();
                    let seal = Seal { stream, message, expected, of: Some(&work.id) };
                    work.handle(&recorded, Some(seal), is_replay).await
                }
                Err(error) => Err(Fault::of_store(error)),
            };
            if let Ok(Handled { committed: Some(at), .. }) = &handled {
                book.stands(*at);
            }
            Told::Handled(place, lane, Some(book), handled)
        }
        .boxed()
    }

    fn begin_recording(&mut self, lane: Lane, record: Record) -> BoxFuture<'static, Told> {
        let work = Arc::clone(&self.work);
        let Some(mut book) = self.known.books.get(&lane).cloned() else {
            return ready(Told::Nothing).boxed();
        };
        let is_stopped = record.is_last && self.machine.is_failing();
        let held = self.known.faults.iter().min_by_key(|(place, _)| **place).map(|it| it.1);
        let fault = held.filter(|_| record.is_held).or(self.known.fault.as_ref());
        let fault = fault.filter(|_| is_stopped || record.is_held);
        let standing =
            fault.map(|fault| Standing { stopped: is_stopped, reason: format!("{fault:#}") });
        let replay = self.replay_after(record.done);
        let progress = Progress {
            done: record.done,
            began: record.began,
            standing,
            replay,
            ..Progress::default()
        };
        async move {
            let recorded = book.record(&work.store, &work.id, &progress).await;
            Told::Recorded(lane, book, recorded)
        }
        .boxed()
    }

    /// Up to where messages come again, as it is recorded.
    fn replay_after(&self, done: Option<Place>) -> Option<Place> {
        self.known.replay.filter(|to| !self.known.is_waiting && done < Some(*to))
    }

    /// What an end means to the machine, after it was reported.
    pub(super) fn hear(&mut self, told: Told) -> Option<Input> {
        Some(match told {
            Told::Progress(lane, read) => Input::Progress(
                lane,
                self.kind_of(read).map(|(book, progress, is_in_charge)| {
                    self.known.books.insert(lane, book);
                    self.known.is_waiting = !is_in_charge;
                    let replay = progress.as_ref().and_then(|progress| progress.replay);
                    self.known.replay = if is_in_charge { replay } else { Some(Place::MAX) };
                    progress
                }),
            ),
            Told::Notes(notes, news) => {
                self.known.notes = notes;
                Input::Notes(self.kind_of(news))
            }
            Told::Page(page) => self.hear_page(page),
            Told::Handled(place, lane, book, handled) => {
                if let Some(book) = book {
                    self.known.books.insert(lane, book);
                }
                Input::Handled(place, self.hear_handled(place, handled))
            }
            Told::Skipped(place) => {
                self.done_with(place);
                Input::Skipped(place)
            }
            Told::Parked(place, parked) => self.hear_parked(place, parked),
            Told::Replayed(stream, recorded, queue, handled) => {
                let outcome = self.hear_replayed(&stream, recorded.as_deref(), handled);
                Input::Replayed(stream, outcome, queue)
            }
            Told::Noted(stream, noted) => Input::Noted(stream, self.kind_of(noted)),
            Told::Recorded(lane, book, recorded) => {
                self.known.books.insert(lane, book);
                let is_failing = self.machine.is_failing();
                let before = self.known.fault.take();
                let recorded = self.kind_of(recorded);
                // What failed before is why it stops, if it does; a record that fails is the reason
                // only by itself.
                if is_failing || self.known.fault.is_none() {
                    self.known.fault = before.or(self.known.fault.take());
                }
                Input::Recorded(lane, recorded)
            }
            Told::Held(held) => Input::Held(self.kind_of(held)),
            Told::Released(lane, released) => {
                // Where it is not given up it may be kept after all, and goes on with its book.
                if released.is_ok() {
                    self.known.books.remove(&lane);
                }
                Input::Released(lane, self.kind_of(released))
            }
            Told::Left(left) => {
                // What is not given up runs out by itself.
                _ = self.kind_of(left);
                Input::Left
            }
            Told::TakenOver(taken) => {
                if let Ok(true) = self.kind_of(taken) {
                    (self.known.is_waiting, self.known.replay) = (false, None);
                    telemetry::taken_over(&self.work.id, self.work.version);
                }
                return None;
            }
            Told::Nothing => return None,
        })
    }

    fn hear_page(&mut self, page: Result<Fetched, Error>) -> Input {
        let fetched = match self.kind_of(page) {
            Ok(fetched) => fetched,
            Err(kind) => return Input::Page(Err(kind)),
        };
        let unit = self.work.unit();
        let mut items = Vec::with_capacity(fetched.page.len());
        for recorded in fetched.page {
            let Some(lane) = self.work.lane_of(&recorded.stream_name) else { continue };
            let place = unit.place_of(&recorded);
            items.push(Item { place, stream: recorded.stream_name.clone(), lane });
            self.known.messages.insert(place, recorded);
        }
        Input::Page(Ok(Page { items, scanned: fetched.scanned, is_full: fetched.is_full }))
    }

    fn hear_handled(&mut self, place: Place, handled: Result<Handled, Fault>) -> Outcome {
        let recorded = self.known.messages.get(&place).cloned();
        match handled {
            Ok(handled) => {
                let outcome = self.count(recorded.as_deref(), &handled);
                self.done_with(place);
                outcome
            }
            Err(fault) => {
                let attempt = self.machine.attempts(place) + 1;
                let (outcome, error) = self.judge(fault, recorded.as_deref(), attempt);
                self.known.faults.insert(place, error);
                outcome
            }
        }
    }

    fn hear_replayed(
        &mut self,
        stream: &StreamName,
        recorded: Option<&Recorded>,
        handled: Result<Option<Handled>, Fault>,
    ) -> Outcome {
        match handled {
            Ok(Some(handled)) => {
                self.count(recorded, &handled);
                self.known.replay_faults.remove(stream);
                self.polled.replayed += 1;
                Outcome::Done
            }
            Ok(None) => Outcome::Done,
            Err(fault) => {
                let attempt = self.machine.replay_attempts(stream) + 1;
                let (outcome, error) = self.judge(fault, recorded, attempt);
                self.known.replay_faults.insert(stream.clone(), error);
                outcome
            }
        }
    }

    fn hear_parked(&mut self, place: Place, parked: Result<ParkedQueue, Error>) -> Input {
        let parked = self.kind_of(parked);
        if parked.as_ref().is_ok_and(|queue| !queue.is_empty()) {
            self.polled.parked += 1;
            if let Some(recorded) = self.known.messages.get(&place) {
                telemetry::parked(&self.work.id, recorded, self.known.faults.get(&place));
            }
            self.done_with(place);
        }
        Input::Parked(place, parked)
    }

    /// Counts a message that is done with, and tells of those who said no.
    fn count(&mut self, recorded: Option<&Recorded>, handled: &Handled) -> Outcome {
        if !handled.is_wanted {
            self.polled.passed_over += 1;
            return Outcome::Done;
        }
        self.polled.handled += 1;
        self.polled.rejected += u64::from(!handled.rejected.is_empty());
        for (recorded, rejection) in
            handled.rejected.iter().filter_map(|it| recorded.map(|recorded| (recorded, it)))
        {
            telemetry::rejected(&self.work.id, recorded, rejection);
            let failure = self.failure(Some(recorded), rejection, 1);
            self.work.on_rejection.iter().for_each(|report| report(&failure));
        }
        if handled.committed.is_some() { Outcome::Committed } else { Outcome::Done }
    }

    fn done_with(&mut self, place: Place) {
        self.known.messages.remove(&place);
        self.known.faults.remove(&place);
    }

    /// What a fault means to the machine, after it was reported.
    fn judge(
        &mut self,
        fault: Fault,
        recorded: Option<&Recorded>,
        attempt: u32,
    ) -> (Outcome, Error) {
        let (is_hopeless, error) = match fault {
            Fault::Hopeless(error) => (Some(true), error),
            Fault::Failed(error) => (Some(false), error),
            Fault::Unavailable(error) | Fault::Superseded(error) => (None, error),
        };
        self.report(recorded, &error, attempt);
        let outcome = match is_hopeless {
            Some(is_hopeless) => {
                let policy = self.policy(recorded, &error, attempt);
                // A message that cannot be read is not tried again: it would be the same.
                Outcome::Failed(if is_hopeless { policy.retries(0) } else { policy })
            }
            None => Outcome::Fault(kind(&error)),
        };
        self.known.fault = Some(error.clone());
        (outcome, error)
    }

    fn policy(&self, recorded: Option<&Recorded>, error: &Error, attempt: u32) -> ErrorPolicy {
        let failure = self.failure(recorded, error, attempt);
        let chosen = self.work.policies.iter().find_map(|policy| policy(&failure));
        chosen.unwrap_or(self.work.errors)
    }

    /// What a fault of the store means to the machine, after it was reported.
    fn kind_of<T>(&mut self, result: Result<T, Error>) -> Result<T, Kind> {
        result.map_err(|error| {
            self.report(None, &error, 1);
            let kind = kind(&error);
            self.known.fault = Some(error);
            kind
        })
    }

    fn report(&self, message: Option<&Recorded>, error: &Error, attempt: u32) {
        let failure = self.failure(message, error, attempt);
        telemetry::failed(&failure);
        self.work.on_error.iter().for_each(|report| report(&failure));
    }

    fn failure<'a>(
        &'a self,
        message: Option<&'a Recorded>,
        error: &'a Error,
        attempt: u32,
    ) -> Failure<'a> {
        Failure { subscriber: self.work.id.as_str(), message, error, attempt }
    }
}

fn kind(error: &Error) -> Kind {
    if error.is_unavailable() {
        Kind::Unavailable
    } else if error.is_superseded() {
        Kind::Superseded
    } else {
        Kind::Failed
    }
}

/// Tries a parked message again, and notes that it is done with.
async fn replay(work: Arc<Work>, stream: StreamName, position: Position) -> Told {
    let (mut queue, found) = match work.due(&stream, position).await {
        Ok(due) => due,
        Err(error) => {
            let queue = ParkedQueue::default();
            return Told::Replayed(stream, None, queue, Err(Fault::of_store(error)));
        }
    };
    let recorded = match found {
        None => return Told::Replayed(stream, None, queue, Ok(None)),
        Some(Err(gone)) => return Told::Replayed(stream, None, queue, Err(Fault::Hopeless(gone))),
        Some(Ok(recorded)) => recorded,
    };
    let replayed = try_again(&work, &stream, &recorded, &mut queue).await;
    Told::Replayed(stream, Some(recorded), queue, replayed.map(Some))
}

async fn try_again(
    work: &Work,
    stream: &StreamName,
    recorded: &Arc<Recorded>,
    queue: &mut ParkedQueue,
) -> Result<Handled, Fault> {
    let parking = work.parking(stream);
    let position = recorded.position;
    let note = Note::Replayed { position };
    let seal = if work.transactional {
        let id = work.store.ids().next();
        let message = note.message(id, Some(recorded)).map_err(Fault::of_store)?;
        let expected = ExpectedVersion::from(queue.version());
        Some(Seal { stream: parking.stream(), message, expected, of: None })
    } else {
        None
    };
    let handled = work.handle(recorded, seal, false).await?;
    if let Some(at) = handled.committed {
        queue.noted(note, at);
        return Ok(handled);
    }
    let noted = write_note(&work.store, &parking, Some(recorded), |queue| {
        queue.at(position).is_some().then_some(note.clone())
    });
    *queue = noted.await.map_err(Fault::of_store)?;
    Ok(handled)
}
