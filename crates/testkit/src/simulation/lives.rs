//! The lives of the processes: how they start, stop, crash and are paused, and the person beside them.
//!
//! Owns what becomes of a process. What it does while it lives is in `pump.rs`.

use evenfold_core::store::Note;
use evenfold_core::subscriber::{Action, Lane, Machine, Stop};

use super::laws::Kept;
use super::process::{Call, State, Ticket};
use super::world::{Event, World};

impl World<'_> {
    pub(super) fn start(&mut self, index: usize) -> Kept {
        let options = self.scenario.options.clone();
        let machine = Machine::new(options, self.scenario.unit, self.scenario.sharing());
        let is_down = self.processes.get(index).is_some_and(|it| it.state == State::Down);
        if !is_down || self.is_closing {
            return Ok(());
        }
        self.note(|| format!("p{index} starts"));
        if let Some(process) = self.processes.get_mut(index) {
            process.start(machine);
        }
        self.pump(index)
    }

    pub(super) fn stop(&mut self, index: usize) -> Kept {
        let Some(process) = self.processes.get_mut(index) else { return Ok(()) };
        if process.state != State::Up {
            return Ok(());
        }
        process.machine.stop();
        self.note(|| format!("p{index} is asked to stop"));
        self.pump(index)
    }

    pub(super) fn stopped(&mut self, index: usize, why: Stop) -> Kept {
        self.note(|| format!("p{index} stopped: {why:?}"));
        let Some(process) = self.processes.get(index) else { return Ok(()) };
        // Where lanes are leased, it was looked at before they were given up.
        if why == Stop::Requested && self.scenario.term.is_none() {
            process.machine.lanes().try_for_each(|lane| self.drained(index, lane))?;
        }
        for place in self.store.tested() {
            self.truth.at(place)?.is_suspected = true;
        }
        self.down(index);
        Ok(())
    }

    /// A process gives a lane up.
    pub(super) fn drained(&self, index: usize, lane: Lane) -> Kept {
        let Some(process) = self.processes.get(index) else { return Ok(()) };
        let done = self.store.progress(lane).1.and_then(|progress| progress.done);
        let is_committed = self.scenario.options.transactional;
        self.truth.drained(lane, done, &process.finished, is_committed)
    }

    pub(super) fn down(&mut self, index: usize) {
        if let Some(process) = self.processes.get_mut(index) {
            process.state = State::Down;
            process.life += 1;
            process.calls.clear();
        }
        let at = self.after(10, 1500);
        self.at(at, Event::Start(index));
    }

    /// A process ends at once. What is on its way to the store may still arrive.
    pub(super) fn crash(&mut self, index: usize) -> Kept {
        let Some(process) = self.processes.get(index) else { return Ok(()) };
        if process.state == State::Down {
            return Ok(());
        }
        self.note(|| format!("p{index} crashes"));
        self.tally.crashes += 1;
        let is_writing = |call: &Call| {
            let is_write = matches!(
                call.action,
                Action::Record(..) | Action::Park(..) | Action::NoteFailure(..) | Action::Renew
            );
            is_write && !call.is_carried_out
        };
        let Some(process) = self.processes.get_mut(index) else { return Ok(()) };
        process.state = State::Up;
        let life = process.life;
        let writing = process.calls.iter().filter(|(_, call)| is_writing(call));
        let writing: Vec<_> = writing.map(|(call, _)| *call).collect();
        for call in writing {
            if self.random.chance(50) {
                self.effect(Ticket { process: index, life, call })?;
            }
        }
        self.down(index);
        Ok(())
    }

    pub(super) fn pause(&mut self, index: usize) {
        let at = self.after(100, 6000);
        let process = self.processes.get_mut(index);
        if let Some(process) = process.filter(|it| it.state == State::Up && !self.is_calm) {
            process.state = State::Paused;
            self.note(|| format!("p{index} is paused"));
            self.at(at, Event::Resume(index));
        }
    }

    pub(super) fn resume(&mut self, index: usize) -> Kept {
        let Some(process) = self.processes.get_mut(index) else { return Ok(()) };
        if process.state != State::Paused {
            return Ok(());
        }
        process.state = State::Up;
        process.wakes_at = None;
        self.note(|| format!("p{index} goes on"));
        self.pump(index)
    }

    /// A person looks at what is parked.
    pub(super) fn operator(&mut self) {
        let fronts = self.store.queues().filter_map(|(stream, queue)| {
            let first = queue.messages().next().filter(|_| queue.due().is_none())?;
            Some((stream.clone(), first.position))
        });
        for (stream, position) in fronts.collect::<Vec<_>>() {
            if !self.random.chance(30) {
                continue;
            }
            let is_given_up = self.random.chance(25);
            let note = if is_given_up {
                self.truth.discard(&stream, position);
                Note::Discarded { position, reason: None }
            } else {
                Note::ReplayAsked { position }
            };
            self.note(|| format!("a person notes {note:?} of {stream}"));
            self.store.note(&stream, note);
        }
        let at = self.after(100, 1000);
        self.at(at, Event::Operator);
    }
}
