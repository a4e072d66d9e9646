//! How a process gets its answers and is asked for what it wants.
//!
//! Owns the checks at each turn of a machine. What an action does is in `engine.rs`.

use std::time::Duration;

use evenfold_core::store::{ParkedMessage, ParkedQueue, Place};
use evenfold_core::subscriber::{Action, Input, Lane, Outcome};

use super::laws::{Breach, Kept, Law, hold};
use super::process::Ticket;
use super::world::{ACTIONS, Event, World};

impl World<'_> {
    pub(super) fn answered(&mut self, ticket: Ticket, input: Input) -> Kept {
        if !self.is_running(ticket, &Event::Answer(ticket, input.clone())) {
            return Ok(());
        }
        self.note(|| format!("p{} ← {}", ticket.process, brief(&input)));
        let now = self.now;
        if let Some(process) = self.processes.get_mut(ticket.process) {
            process.calls.remove(&ticket.call);
            process.finish(&input, |place| self.truth.lane_of(place));
            process.machine.answer(input, now);
        }
        self.pump(ticket.process)
    }

    /// Asks a machine what to do, until there is nothing.
    pub(super) fn pump(&mut self, index: usize) -> Kept {
        let now = self.now;
        for _ in 0..ACTIONS {
            let Some(process) = self.processes.get_mut(index) else { return Ok(()) };
            let Some(action) = process.machine.next(now) else { return self.rest(index) };
            if let Action::Stop(why) = action {
                return self.stopped(index, why);
            }
            self.begin(index, action)?;
        }
        Err(Breach(Law::Alive, format!("p{index} asks for more than {ACTIONS} actions at once")))
    }

    /// A machine has nothing to do before its deadline.
    pub(super) fn rest(&mut self, index: usize) -> Kept {
        let (now, limit) = (self.now, self.scenario.options.read_ahead());
        let Some(process) = self.processes.get_mut(index) else { return Ok(()) };
        let (ahead, deadline) = (process.machine.ahead(), process.machine.deadline());
        hold(Law::Bounded, ahead <= limit, || format!("p{index} holds {ahead} of {limit}"))?;
        hold(Law::Alive, deadline.is_none_or(|at| at > now), || {
            format!("p{index} wants to be asked at {deadline:?}, and has nothing to do")
        })?;
        let is_false = process.is_held_up && process.machine.is_caught_up();
        hold(Law::Alive, !is_false, || format!("p{index} is held up, and says it has caught up"))?;
        if process.wakes_at == deadline {
            return Ok(());
        }
        process.timer += 1;
        process.wakes_at = deadline;
        let timer = process.timer;
        if let Some(at) = deadline.filter(|at| *at < Duration::from_secs(1_000_000)) {
            self.at(at, Event::Timer(index, timer));
        }
        Ok(())
    }

    /// Whether something may begin now.
    pub(super) fn may_begin(&self, index: usize, place: Place, lane: Lane) -> Kept {
        let Some(process) = self.processes.get(index) else { return Ok(()) };
        hold(Law::Drained, !self.is_over, || format!("{place} comes again after the end"))?;
        let (member, jumps) = ((index, process.life), self.scenario.faults.jumps);
        let is_held =
            self.scenario.term.is_none() || jumps || self.store.holds(member, lane, self.now);
        hold(Law::Leases, is_held, || format!("p{index} begins {place} without lane {lane}"))?;
        let of_stream = |place| {
            self.truth.all().find(|it| it.item.place == place).map(|it| it.item.stream.clone())
        };
        let (trying, is_doubled) = process.trying(of_stream);
        let limit = usize::try_from(self.scenario.options.concurrency).unwrap_or(1);
        hold(Law::Bounded, trying <= limit, || format!("p{index} tries {trying} of {limit}"))?;
        hold(Law::Bounded, !is_doubled, || format!("p{index} tries two of the stream of {place}"))
    }
}

/// An answer in few words.
fn brief(input: &Input) -> String {
    let parked = |queue: &ParkedQueue| {
        let message = |it: &ParkedMessage| match (&it.reason, it.is_asked) {
            (None, _) => format!("{}", it.position),
            (Some(_), true) => format!("{} asked", it.position),
            (Some(_), false) => format!("{} failed", it.position),
        };
        format!("{:?}", queue.messages().map(message).collect::<Vec<_>>())
    };
    match input {
        Input::Notes(Ok(notes)) => {
            let notes =
                notes.iter().map(|(stream, _, queue)| format!("{stream} {}", parked(queue)));
            format!("Notes({:?})", notes.collect::<Vec<_>>())
        }
        Input::Parked(place, Ok(queue)) => format!("Parked({place}, {})", parked(queue)),
        Input::Replayed(stream, outcome, queue) => {
            format!("Replayed({stream}, {outcome:?}, {})", parked(queue))
        }
        Input::Noted(stream, Ok(queue)) => format!("Noted({stream}, {})", parked(queue)),
        Input::Page(Ok(page)) => {
            let items = page.items.iter().map(|item| format!("{} {}", item.place, item.stream));
            let items: Vec<_> = items.collect();
            format!("Page({items:?}, {:?}, is full: {})", page.scanned, page.is_full)
        }
        Input::Handled(place, Outcome::Failed(_)) => format!("Handled({place}, Failed)"),
        other => format!("{other:?}"),
    }
}
