//! The engine of the simulated world: what each action does, and when its answer comes.
//!
//! Owns what the engine of the evenfold crate does with an action, on a store whose calls take a while
//! and get lost. Messages are handled in `handling.rs`.

use evenfold_core::store::{LeaseGroup, Note, ParkedQueue, Place, Progress, Standing};
use evenfold_core::subscriber::{Action, Fault, Input, Lane, Outcome, Page, Record};
use evenfold_core::{Position, StreamName};

use super::bug::Bug;
use super::laws::{Breach, Kept};
use super::process::{Call, Lost, Ticket};
use super::world::{Event, World};

/// What a call of the store comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fortune {
    Good,
    /// It is carried out, and nobody hears of it.
    Unheard,
    Lost,
}

impl World<'_> {
    /// Begins with what a machine asks for.
    pub(super) fn begin(&mut self, index: usize, action: Action) -> Kept {
        self.note(|| format!("p{index} → {action:?}"));
        let mut call = Call { action, version: 0, head: None, is_carried_out: false };
        let Some(process) = self.processes.get_mut(index) else { return Ok(()) };
        process.call += 1;
        let ticket = Ticket { process: index, life: process.life, call: process.call };
        let delay = match &call.action {
            Action::Handle(place, commit) => {
                let (place, is_committed) = (*place, commit.is_some());
                let lane = self.truth.at(place)?.item.lane;
                self.truth.begins(place)?;
                let settled = is_committed.then(|| self.settle(index, lane)).flatten();
                call.version = self.version(index, lane);
                self.add(ticket, call);
                self.may_begin(index, place, lane)?;
                if settled == Some(place) {
                    self.answer(ticket, Input::Handled(place, Outcome::Committed));
                    return Ok(());
                }
                if self.bug == Some(Bug::DoneBeforeFinished) && !is_committed {
                    let done = Outcome::Done;
                    self.at(self.now, Event::Answer(ticket, Input::Handled(place, done)));
                }
                300
            }
            Action::Replay(stream, position) => {
                let place = self.truth.place_of(stream, *position).unwrap_or(-1);
                let lane = self.truth.at(place)?.item.lane;
                self.add(ticket, call);
                self.may_begin(index, place, lane)?;
                200
            }
            Action::Fetch(..) => {
                self.add(ticket, call);
                let at = self.after(1, 20);
                self.at(at, Event::Head(ticket));
                return Ok(());
            }
            Action::ReadProgress(lane) => {
                // What it did before it lost the lane is no matter of this tenure.
                let truth = &self.truth;
                process.finished.retain(|place| truth.lane_of(*place) != Some(*lane));
                self.add(ticket, call);
                20
            }
            Action::Release(lane) => {
                let is_begun = process.machine.lanes().any(|it| it == *lane);
                if is_begun {
                    self.drained(index, *lane)?;
                }
                self.add(ticket, call);
                20
            }
            Action::Leave => {
                self.leaves(index)?;
                self.add(ticket, call);
                20
            }
            _ => {
                self.add(ticket, call);
                20
            }
        };
        let at = self.after(1, delay);
        self.at(at, Event::Effect(ticket));
        Ok(())
    }

    fn add(&mut self, ticket: Ticket, call: Call) {
        if let Some(process) = self.processes.get_mut(ticket.process) {
            process.calls.insert(ticket.call, call);
        }
    }

    fn leaves(&mut self, index: usize) -> Kept {
        let Some(process) = self.processes.get(index) else { return Ok(()) };
        if process.machine.is_failing() {
            return Ok(());
        }
        process.machine.lanes().try_for_each(|lane| self.drained(index, lane))
    }

    pub(super) fn answer(&mut self, ticket: Ticket, input: Input) {
        if self.bug == Some(Bug::FailedReadNotAnswered) && matches!(input, Input::Page(Err(_))) {
            return;
        }
        let is_slow = !self.is_calm && self.random.chance(4);
        let at = self.after(0, if is_slow { 2000 } else { 20 });
        self.at(at, Event::Answer(ticket, input));
    }

    pub(super) fn version(&self, index: usize, lane: Lane) -> usize {
        self.processes.get(index).map_or(0, |process| process.version(lane))
    }

    pub(super) fn fortune(&mut self) -> Fortune {
        if self.is_calm || !self.random.chance(self.scenario.faults.lost) {
            Fortune::Good
        } else if self.random.chance(50) {
            Fortune::Unheard
        } else {
            Fortune::Lost
        }
    }

    /// The store says how far it goes, before it is asked for messages.
    pub(super) fn head(&mut self, ticket: Ticket) {
        if !self.is_running(ticket, &Event::Head(ticket)) {
            return;
        }
        let head = self.store.head();
        let process = self.processes.get_mut(ticket.process);
        if let Some(call) = process.and_then(|it| it.calls.get_mut(&ticket.call)) {
            call.head = head;
        }
        let at = self.after(1, 100);
        self.at(at, Event::Effect(ticket));
    }

    /// A call arrives at the store, or a handler ends.
    pub(super) fn effect(&mut self, ticket: Ticket) -> Kept {
        if !self.is_running(ticket, &Event::Effect(ticket)) {
            return Ok(());
        }
        let index = ticket.process;
        let process = self.processes.get_mut(index);
        let Some(call) = process.and_then(|it| it.calls.get_mut(&ticket.call)) else {
            // A planted bug has answered it already.
            return Ok(());
        };
        call.is_carried_out = true;
        let call = call.clone();
        let fortune = self.fortune();
        let input = match call.action.clone() {
            Action::Handle(place, commit) => {
                return self.handled(ticket, (place, commit), call.version, fortune);
            }
            Action::Replay(stream, position) => {
                return self.replayed(ticket, stream, position, fortune);
            }
            Action::Park(place, cause) => self.park(place, cause, fortune)?,
            Action::ReadProgress(lane) => self.read_progress(index, lane, fortune),
            Action::ReadNotes => Input::Notes(self.read_notes(index, fortune)),
            Action::Fetch(from, lanes) => {
                let page = self.fetch(from, &lanes, call.head, fortune);
                Input::Page(page.map(|page| self.hold_up(index, page)))
            }
            Action::Skip(place) => {
                self.truth.at(place)?.is_skipped = true;
                Input::Skipped(place)
            }
            Action::NoteFailure(stream, position, attempts) => {
                self.note_failure(index, (stream, position), attempts, fortune)
            }
            Action::Record(lane, record) => {
                Input::Recorded(lane, self.record(index, lane, record, fortune)?)
            }
            Action::Renew => Input::Held(self.renew(ticket, fortune)),
            Action::Release(lane) => Input::Released(lane, self.release(ticket, lane, fortune)),
            Action::Leave => {
                if fortune != Fortune::Lost {
                    self.store.leave((index, ticket.life));
                }
                Input::Left
            }
            Action::Stop(_) => return Ok(()),
        };
        self.answer(ticket, input);
        Ok(())
    }

    fn read_progress(&mut self, index: usize, lane: Lane, fortune: Fortune) -> Input {
        if fortune != Fortune::Good {
            return Input::Progress(lane, Err(Fault::Unavailable));
        }
        let (version, progress) = self.store.progress(lane);
        if let Some(process) = self.processes.get_mut(index) {
            process.versions.insert(lane, version);
            process.lost.remove(&lane);
        }
        Input::Progress(lane, Ok(progress))
    }

    fn read_notes(
        &mut self,
        index: usize,
        fortune: Fortune,
    ) -> Result<Vec<(StreamName, Lane, ParkedQueue)>, Fault> {
        if fortune != Fortune::Good {
            return Err(Fault::Unavailable);
        }
        let mut news = Vec::new();
        let Some(process) = self.processes.get_mut(index) else { return Ok(news) };
        if self.bug == Some(Bug::ParkedNotRead) {
            return Ok(news);
        }
        for (stream, queue) in self.store.queues() {
            let version = queue.version().map_or(-1, Position::get);
            if process.noted.insert(stream.clone(), version) < Some(version)
                && let Some(place) = self.truth.place_of(stream, Position::START)
                && let Ok(told) = self.truth.at(place)
            {
                news.push((stream.clone(), told.item.lane, queue.clone()));
            }
        }
        Ok(news)
    }

    fn fetch(
        &mut self,
        from: Place,
        lanes: &[Lane],
        head: Option<Place>,
        fortune: Fortune,
    ) -> Result<Page, Fault> {
        if fortune != Fortune::Good {
            return Err(Fault::Unavailable);
        }
        let limit = self.scenario.options.batch_size.as_len();
        let items = if self.bug == Some(Bug::WatermarkAfterRows) {
            self.store.read_before(head, from, lanes, limit)
        } else {
            self.store.read(from, lanes, limit)
        };
        let head = if self.bug == Some(Bug::WatermarkAfterRows) { self.store.head() } else { head };
        let is_full = items.len() == limit;
        let last = items.last().map(|item| item.place);
        let scanned = if self.scenario.is_filtered && !is_full { last.max(head) } else { last };
        Ok(Page { items, scanned, is_full, is_held_up: false })
    }

    /// What is there and not visible yet holds up who reads several categories by one cursor.
    fn hold_up(&mut self, index: usize, page: Page) -> Page {
        let may_be = self.scenario.is_merged && page.items.is_empty();
        let is_held_up = may_be && self.store.visible < self.last();
        if let Some(process) = self.processes.get_mut(index) {
            process.is_held_up = is_held_up;
        }
        let is_told = self.bug != Some(Bug::HoldUpNotTold);
        Page { is_held_up: is_held_up && is_told, ..page }
    }

    /// Looks for a record whose answer was lost, and returns the message that was committed with it.
    pub(super) fn settle(&mut self, index: usize, lane: Lane) -> Option<Place> {
        let process = self.processes.get_mut(index)?;
        let lost = process.lost.remove(&lane)?;
        let version = process.version(lane);
        if !self.store.has_landed(lane, version, lost.id) {
            return None;
        }
        process.versions.insert(lane, version + 1);
        lost.place
    }

    fn record(
        &mut self,
        index: usize,
        lane: Lane,
        record: Record,
        fortune: Fortune,
    ) -> Result<Result<(), Fault>, Breach> {
        self.settle(index, lane);
        if record.is_last && self.bug == Some(Bug::FlushSkipped) {
            return Ok(Ok(()));
        }
        let is_failing = self.processes.get(index).is_some_and(|it| it.machine.is_failing());
        let is_told = record.is_held || record.is_last && is_failing;
        let standing =
            is_told.then(|| Standing { stopped: record.is_last, reason: "it fails".into() });
        let progress =
            Progress { done: record.done, began: record.began, standing, ..Progress::default() };
        let version = self.version(index, lane);
        self.append(index, (lane, version), progress, None, fortune)
    }

    /// Appends to the position stream of a lane at the version that is expected.
    pub(super) fn append(
        &mut self,
        index: usize,
        (lane, expected): (Lane, usize),
        mut progress: Progress,
        with: Option<Place>,
        fortune: Fortune,
    ) -> Result<Result<(), Fault>, Breach> {
        let id = self.store.next_id();
        let bug =
            if with.is_some() { Bug::CommitWithoutCompare } else { Bug::RecordWithoutCompare };
        let is_blind = self.bug == Some(bug);
        let version = if is_blind { self.store.progress(lane).0 } else { expected };
        if self.bug == Some(Bug::BegunNotRecorded) {
            progress.began = None;
        }
        let start = self.scenario.options.start;
        if self.bug == Some(Bug::StartNotRecorded) && progress.done < start {
            progress.done = None;
        }
        let done = progress.done;
        let is_landed = fortune != Fortune::Lost && self.store.record(lane, version, id, progress);
        if is_landed {
            self.note(|| format!("lane {lane} is recorded at {done:?}"));
            if let Some(place) = with {
                let is_leased = self.scenario.term.is_some();
                let told = self.truth.at(place)?;
                told.is_parked_beside |= told.is_parked && is_leased;
                self.complete(place)?;
            }
            self.truth.recorded(lane, done)?;
        }
        let Some(process) = self.processes.get_mut(index) else { return Ok(Ok(())) };
        if fortune != Fortune::Good {
            process.lost.insert(lane, Lost { id, place: with });
            return Ok(Err(Fault::Unavailable));
        }
        if !is_landed {
            return Ok(Err(Fault::Superseded));
        }
        process.versions.insert(lane, version + 1);
        Ok(Ok(()))
    }

    fn note_failure(
        &mut self,
        index: usize,
        (stream, position): (StreamName, Position),
        attempts: u32,
        fortune: Fortune,
    ) -> Input {
        let begun = self.begun(index, &stream);
        let queue = self.store.queue(&stream);
        let is_lost = fortune == Fortune::Lost;
        let queue = if is_lost || queue.due_to(begun).is_none_or(|due| due.position != position) {
            queue
        } else {
            let reason = "it fails".into();
            self.store.note(&stream, Note::ReplayFailed { position, reason, attempts })
        };
        if fortune == Fortune::Good {
            self.ended(index, &stream);
        }
        let noted = if fortune == Fortune::Good { Ok(queue) } else { Err(Fault::Unavailable) };
        Input::Noted(stream, noted)
    }

    fn renew(&mut self, ticket: Ticket, fortune: Fortune) -> Result<(Vec<Lane>, Vec<Lane>), Fault> {
        let term = self.scenario.term.unwrap_or_default();
        let member = (ticket.process, ticket.life);
        if fortune == Fortune::Lost {
            return Err(Fault::Unavailable);
        }
        let name = "account:position-teller".parse();
        let group = name.and_then(|name| LeaseGroup::new(name, self.scenario.lanes));
        let group = group.map_err(|_| Fault::Failed)?;
        let (mut held, surplus) = self.store.renew(member, &group, term, self.now);
        if fortune == Fortune::Unheard {
            return Err(Fault::Unavailable);
        }
        if let Some(process) = self.processes.get_mut(ticket.process)
            && self.bug == Some(Bug::LostLeaseIgnored)
        {
            process.held.extend(&held);
            held = process.held.iter().copied().collect();
        }
        Ok((held, surplus))
    }

    fn release(&mut self, ticket: Ticket, lane: Lane, fortune: Fortune) -> Result<(), Fault> {
        if fortune != Fortune::Lost {
            self.store.release((ticket.process, ticket.life), lane);
        }
        if fortune == Fortune::Good { Ok(()) } else { Err(Fault::Unavailable) }
    }
}
