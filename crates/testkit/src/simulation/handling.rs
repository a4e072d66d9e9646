//! What becomes of a message in the simulated world: handled, tried again, or parked.
//!
//! Owns the handlers. The other actions are in `engine.rs`.

use evenfold_core::store::{Note, Place, Progress};
use evenfold_core::subscriber::{Cause, Fault, Input, Outcome};
use evenfold_core::{Position, StreamName};
use uuid::Uuid;

use super::engine::Fortune;
use super::laws::{Breach, Fate, Kept, Law, hold};
use super::process::Ticket;
use super::world::World;
use super::{SimulatedMessage, Trial};

impl World<'_> {
    /// A handler ends with a message that was read.
    pub(super) fn handled(
        &mut self,
        ticket: Ticket,
        (place, commit): (Place, Option<Progress>),
        version: usize,
        fortune: Fortune,
    ) -> Kept {
        let outcome = match self.try_message(place)? {
            Trial::Crash => return self.crashes(ticket.process, place),
            Trial::Fail => Outcome::Failed(self.scenario.policy),
            Trial::Done if commit.is_none() => {
                self.complete(place)?;
                Outcome::Done
            }
            Trial::Done => {
                let lane = self.truth.at(place)?.item.lane;
                let progress = commit.unwrap_or_default();
                let at = (lane, version);
                match self.append(ticket.process, at, progress, Some(place), fortune)? {
                    Ok(()) => Outcome::Committed,
                    Err(fault) => Outcome::Fault(fault),
                }
            }
        };
        self.answer(ticket, Input::Handled(place, outcome));
        Ok(())
    }

    fn try_message(&mut self, place: Place) -> Result<Trial, Breach> {
        let is_calm = self.is_calm;
        let told = self.truth.at(place)?;
        told.tries += 1;
        self.tally.tries += 1;
        if is_calm {
            return Ok(Trial::Done);
        }
        if let Some(handler) = self.handler {
            let message = SimulatedMessage {
                stream: &told.item.stream,
                position: told.position,
                tries: told.tries,
            };
            return Ok(handler(&message));
        }
        Ok(match told.fate {
            Fate::Fine => Trial::Done,
            Fate::Failing(times) if told.tries > times => Trial::Done,
            Fate::Failing(_) | Fate::Hopeless => Trial::Fail,
            Fate::Poison => Trial::Crash,
        })
    }

    pub(super) fn complete(&mut self, place: Place) -> Kept {
        self.note(|| format!("{place} is done with"));
        let options = &self.scenario.options;
        let (is_in_order, is_once) = (options.concurrency == 1, options.transactional);
        self.truth.completes(place, is_in_order, is_once)
    }

    fn crashes(&mut self, process: usize, place: Place) -> Kept {
        self.note(|| format!("{place} brings p{process} down"));
        let is_counted = self.scenario.is_only_poison();
        // The first time it was not known to be a suspect, and each other one before it may end that.
        let first = self.truth.poison_up_to(place);
        let limit = self.scenario.options.crashes.unwrap_or(u32::MAX).saturating_add(first);
        let told = self.truth.at(place)?;
        told.crashes += 1;
        let crashes = told.crashes;
        // What a person asked for once it was parked is his.
        let is_kept = !is_counted || told.was_parked || crashes <= limit;
        hold(Law::Poison, is_kept, || format!("{place} has crashed {crashes} of {limit} times"))?;
        self.crash(process)
    }

    /// Sets a message aside.
    pub(super) fn park(
        &mut self,
        place: Place,
        cause: Cause,
        fortune: Fortune,
    ) -> Result<Input, Breach> {
        if fortune == Fortune::Lost {
            return Ok(Input::Parked(place, Err(Fault::Unavailable)));
        }
        let is_counted = self.scenario.is_only_poison() && self.handler.is_none();
        let told = self.truth.at(place)?;
        let (stream, position, fate) = (told.item.stream.clone(), told.position, told.fate);
        let is_to_blame = !matches!(cause, Cause::Crashed(_)) || fate == Fate::Poison;
        let is_to_blame = is_to_blame || told.is_suspected;
        hold(Law::Poison, !is_counted || is_to_blame, || {
            format!("{place} is parked for {cause:?}, and brings nothing down")
        })?;
        let mut queue = self.store.queue(&stream);
        let is_free = cause == Cause::Behind && queue.is_empty();
        let is_leased = self.scenario.term.is_some();
        if queue.at(position).is_none() && !is_free {
            let told = self.truth.at(place)?;
            (told.is_parked, told.was_parked) = (true, true);
            told.is_parked_beside |= told.is_done && is_leased;
            self.tally.parked += 1;
            queue = self.store.note(&stream, parked(place, position, cause));
        }
        if fortune == Fortune::Unheard {
            return Ok(Input::Parked(place, Err(Fault::Unavailable)));
        }
        Ok(Input::Parked(place, Ok(queue)))
    }

    /// A handler ends with a message that was parked.
    pub(super) fn replayed(
        &mut self,
        ticket: Ticket,
        stream: StreamName,
        position: Position,
        fortune: Fortune,
    ) -> Kept {
        let place = self.truth.place_of(&stream, position).unwrap_or(-1);
        let queue = self.store.queue(&stream);
        let begun = self.begun(ticket.process, &stream);
        if queue.due_to(begun).is_none_or(|due| due.position != position) {
            self.ended(ticket.process, &stream);
            self.answer(ticket, Input::Replayed(stream, Outcome::Done, queue));
            return Ok(());
        }
        if begun != Some(position) && self.scenario.options.crashes.is_some() {
            self.store.note(&stream, Note::ReplayBegun { position });
        }
        if let Some(process) = self.processes.get_mut(ticket.process) {
            process.begun.insert(stream.clone(), position);
        }
        let is_together = self.scenario.options.transactional;
        let outcome = match self.try_message(place)? {
            Trial::Crash => return self.crashes(ticket.process, place),
            Trial::Fail => Outcome::Failed(self.scenario.policy),
            Trial::Done if fortune == Fortune::Lost && is_together => {
                Outcome::Fault(Fault::Unavailable)
            }
            Trial::Done => {
                self.complete(place)?;
                if fortune != Fortune::Lost {
                    self.truth.at(place)?.is_parked = false;
                    self.store.note(&stream, Note::Replayed { position });
                }
                if fortune == Fortune::Good {
                    Outcome::Done
                } else {
                    Outcome::Fault(Fault::Unavailable)
                }
            }
        };
        if outcome == Outcome::Done {
            self.ended(ticket.process, &stream);
        }
        let is_heard = fortune == Fortune::Good;
        let queue = if is_heard { self.store.queue(&stream) } else { queue };
        self.answer(ticket, Input::Replayed(stream, outcome, queue));
        Ok(())
    }
}

impl World<'_> {
    /// The parked message of a stream that a process has begun to try again.
    pub(super) fn begun(&self, process: usize, stream: &StreamName) -> Option<Position> {
        self.processes.get(process)?.begun.get(stream).copied()
    }

    /// A process has come to an end with it.
    pub(super) fn ended(&mut self, process: usize, stream: &StreamName) {
        if let Some(process) = self.processes.get_mut(process) {
            process.begun.remove(stream);
        }
    }
}

fn parked(place: Place, position: Position, cause: Cause) -> Note {
    let (reason, attempts) = match cause {
        Cause::Failed(attempts) => (Some("it fails".to_owned()), attempts),
        Cause::Crashed(crashes) => (Some("it crashes".to_owned()), crashes),
        Cause::Behind => (None, 0),
    };
    Note::Parked {
        position,
        global_position: place.try_into().unwrap_or(evenfold_core::GlobalPosition::START),
        message_id: Uuid::nil(),
        message_type: "Deposited".into(),
        reason,
        attempts,
        is_replay: false,
    }
}
