//! What the machine is told of the end of an action.
//!
//! Owns what the loop knows beside the machine: the messages in hand, why they failed, and the books
//! of the lanes. It reports each fault as it comes. How an action is begun is in `begin.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::message::Recorded;
use evenfold_core::store::{HeldUp, ParkedQueue, Place, Progress};
use evenfold_core::subscriber::{ErrorPolicy, Fault as Kind, Input, Item, Lane, Outcome, Page};

use super::Failure;
use super::dispatch::{Fault, Handled};
use super::driver::Poller;
use super::lag::Lag;
use super::parking::{News, Notes, Tried};
use super::records::Book;
use super::work::Fetched;
use crate::{Error, Position, StreamName, telemetry};

/// What the loop knows beside the machine.
#[derive(Default)]
pub(super) struct Known {
    pub(super) messages: BTreeMap<Place, Arc<Recorded>>,
    /// Why the messages in hand failed last.
    pub(super) faults: BTreeMap<Place, Error>,
    /// The parked messages that this process has begun to try again and come to no end with, by their
    /// streams.
    pub(super) replays: BTreeMap<StreamName, Position>,
    pub(super) replay_faults: BTreeMap<StreamName, Error>,
    pub(super) books: BTreeMap<Lane, Book>,
    pub(super) notes: Notes,
    /// Up to where the messages of a lane come again that were handled before.
    pub(super) replay: BTreeMap<Lane, Place>,
    /// Whether the version before has still to be caught up with.
    pub(super) is_waiting: bool,
    /// Who kept the last page from being one.
    pub(super) held: Option<HeldUp>,
    /// The fault that was met last: why it stops, if it does.
    pub(super) fault: Option<Error>,
}

/// What came of an action.
pub(super) enum Told {
    /// And whether the version before is at its end.
    Progress(Lane, Result<(Book, Option<Progress>, bool), Error>),
    Notes(Notes, Result<News, Error>),
    Page(Result<Fetched, Error>),
    Handled(Arc<Recorded>, Lane, Option<Book>, Result<Handled, Fault>),
    Skipped(Place),
    Parked(Place, Result<ParkedQueue, Error>),
    Replayed(Tried, Result<Option<Handled>, Fault>),
    Noted(StreamName, Result<ParkedQueue, Error>),
    Recorded(Lane, Book, Result<(), Error>),
    Held(Result<(Vec<Lane>, Vec<Lane>), Error>),
    Released(Lane, Result<(), Error>),
    Left(Result<(), Error>),
    /// Whether it has taken over from the version before.
    TakenOver(Result<bool, Error>),
    /// How far it is behind, where that could be found out, and how long that took.
    Measured(Result<Option<Lag>, Error>, Duration),
    /// It could not be begun, for there is no such message or lane any more.
    Gone(Input),
}

impl Known {
    /// Whether the progress of a lane was read.
    pub(super) fn is_begun(&self, lane: Lane) -> bool {
        self.books.contains_key(&lane)
    }

    /// Whether the message at this place of a lane was handled before.
    pub(super) fn is_replay(&self, lane: Lane, place: Place) -> bool {
        self.replay.get(&lane) >= Some(&place)
    }

    /// The replay of a message of this stream has come to an end.
    fn ended(&mut self, stream: &StreamName) {
        self.replays.remove(stream);
        self.replay_faults.remove(stream);
    }

    /// How many messages failed and come again.
    pub(super) fn retrying(&self) -> usize {
        self.faults.len() + self.replay_faults.len()
    }
}

impl Poller {
    /// Up to where messages come again, as it is recorded.
    pub(super) fn replay_after(&self, lane: Lane, done: Option<Place>) -> Option<Place> {
        let to = self.known.replay.get(&lane).copied();
        to.filter(|to| !self.known.is_waiting && done < Some(*to))
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
                    let replay = if is_in_charge { replay } else { Some(Place::MAX) };
                    self.known.replay.remove(&lane);
                    self.known.replay.extend(replay.map(|to| (lane, to)));
                    progress
                }),
            ),
            Told::Notes(notes, news) => {
                self.known.notes = notes;
                Input::Notes(self.kind_of(news))
            }
            Told::Page(page) => self.hear_page(page),
            Told::Handled(recorded, lane, book, handled) => {
                let place = self.work.unit().place_of(&recorded);
                self.meters.end(place);
                if let Some(book) = book {
                    self.known.books.insert(lane, book);
                }
                Input::Handled(place, self.hear_handled(place, &recorded, handled))
            }
            Told::Skipped(place) => {
                self.done_with(place);
                Input::Skipped(place)
            }
            Told::Parked(place, parked) => self.hear_parked(place, parked),
            Told::Replayed(tried, handled) => {
                let Tried { stream, position, is_begun, recorded, queue } = tried;
                if is_begun {
                    self.known.replays.insert(stream.clone(), position);
                }
                let outcome = self.hear_replayed(&stream, recorded.as_deref(), handled);
                Input::Replayed(stream, outcome, queue)
            }
            Told::Noted(stream, noted) => {
                // Where it could not be noted it is tried again, and is no other replay then.
                if noted.is_ok() {
                    self.known.ended(&stream);
                }
                Input::Noted(stream, self.kind_of(noted))
            }
            Told::Recorded(lane, book, recorded) => {
                self.known.books.insert(lane, book);
                Input::Recorded(lane, self.hear_recorded(recorded))
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
                let is_ours = self.took_over(&taken);
                _ = self.kind_of(taken);
                if is_ours {
                    self.known.is_waiting = false;
                    self.known.replay.clear();
                    telemetry::taken_over(&self.work.id, self.work.version);
                }
                return None;
            }
            Told::Measured(lag, took) => {
                // A store that fails is told of by those who cannot go on without it.
                self.meters.measured(lag.ok().flatten(), took);
                return None;
            }
            Told::Gone(input) => input,
        })
    }

    /// What failed before is why it stops, if it does; a record that fails is the reason only by itself.
    fn hear_recorded(&mut self, recorded: Result<(), Error>) -> Result<(), Kind> {
        let is_failing = self.machine.is_failing();
        let before = self.known.fault.take();
        let recorded = self.kind_of(recorded);
        if is_failing || self.known.fault.is_none() {
            self.known.fault = before.or(self.known.fault.take());
        }
        recorded
    }

    fn hear_page(&mut self, page: Result<Fetched, Error>) -> Input {
        let fetched = match self.kind_of(page) {
            Ok(fetched) => fetched,
            Err(kind) => return Input::Page(Err(kind)),
        };
        let is_held_up = fetched.held.is_some();
        self.hear_of_holder(fetched.held);
        let unit = self.work.unit();
        let mut items = Vec::with_capacity(fetched.page.len());
        for recorded in fetched.page {
            let Some(lane) = self.work.lane_of(&recorded.stream_name) else { continue };
            let place = unit.place_of(&recorded);
            items.push(Item { place, stream: recorded.stream_name.clone(), lane });
            self.known.messages.insert(place, recorded);
        }
        let Fetched { scanned, is_full, .. } = fetched;
        Input::Page(Ok(Page { items, scanned, is_full, is_held_up }))
    }

    /// Tells once of each transaction that it is held up by, which is no failure of this subscriber.
    fn hear_of_holder(&mut self, held: Option<HeldUp>) {
        if let Some(held) = &held
            && self.known.held.as_ref().is_none_or(|before| before.since != held.since)
        {
            telemetry::held_up(&self.work.id, held);
            let error = Error::failed(format!("reading {}", self.work.reads()), held_up(held));
            let failure = self.failure(None, &error, 1);
            self.work.on_error.iter().for_each(|report| report(&failure));
        }
        self.known.held = held;
    }

    fn hear_handled(
        &mut self,
        place: Place,
        recorded: &Recorded,
        handled: Result<Handled, Fault>,
    ) -> Outcome {
        match handled {
            Ok(handled) => {
                let outcome = self.count(Some(recorded), &handled);
                self.done_with(place);
                outcome
            }
            Err(fault) => {
                let attempt = self.machine.attempts(place) + 1;
                let (outcome, error) = self.judge(fault, Some(recorded), attempt);
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
                self.known.ended(stream);
                self.polled.replayed += 1;
                Outcome::Done
            }
            Ok(None) => {
                self.known.ended(stream);
                Outcome::Done
            }
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

    /// Forgets the messages of lanes that are ours no more, and those that came twice.
    pub(super) fn forget(&mut self) {
        let (work, machine) = (&self.work, &self.machine);
        let is_held = |place: &Place, recorded: &mut Arc<Recorded>| {
            work.lane_of(&recorded.stream_name).is_some_and(|lane| machine.holds(lane, *place))
        };
        self.known.messages.retain(is_held);
        let messages = &self.known.messages;
        self.known.faults.retain(|place, _| messages.contains_key(place));
        let is_ours = |stream: &StreamName| {
            work.lane_of(stream).is_some_and(|lane| machine.lanes().any(|ours| ours == lane))
        };
        self.known.replays.retain(|stream, _| is_ours(stream));
        self.known.replay_faults.retain(|stream, _| is_ours(stream));
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
        let (of_message, error) = match fault {
            Fault::Hopeless(error) => (Ok(true), error),
            Fault::Failed(error) => (Ok(false), error),
            Fault::Unavailable(error) => (Err(Kind::Unavailable), error),
            Fault::Superseded(error) => (Err(Kind::Superseded), error),
        };
        self.report(recorded, &error, attempt);
        self.polled.failed += 1;
        let outcome = match of_message {
            Ok(is_hopeless) => {
                let policy = self.policy(recorded, &error, attempt);
                // A message that cannot be read is not tried again: it would be the same.
                Outcome::Failed(if is_hopeless { policy.retries(0) } else { policy })
            }
            Err(kind) => Outcome::Fault(kind),
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

    pub(super) fn report(&self, message: Option<&Recorded>, error: &Error, attempt: u32) {
        let failure = self.failure(message, error, attempt);
        telemetry::failed(&failure);
        self.meters.failed.increment(1);
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

/// Why it reads nothing, though there may be more.
pub(super) fn held_up(held: &HeldUp) -> String {
    format!("held up {held}, whose transaction has not ended")
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
