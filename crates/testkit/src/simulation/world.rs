//! The world: what happens next, and to whom.
//!
//! Owns the scheduler, the virtual time, and the misfortunes. What an action does is in `engine.rs`,
//! what must be true in `laws.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use evenfold_core::store::Place;
use evenfold_core::subscriber::{Input, Machine};

use super::bug::Bug;
use super::laws::{Breach, Kept, Law, Truth, hold};
use super::process::{Process, State, Ticket};
use super::scenario::{Scenario, ms};
use super::store::Store;
use super::{Handler, Tally};
use crate::random::Random;

/// So many actions at one time are too many.
pub(super) const ACTIONS: u32 = 2_000;
/// So many steps without faults are enough to catch up.
const STEPS: u64 = 20_000;
const CALM: Duration = Duration::from_secs(400);

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The store shows one message more.
    Visible(Place),
    Head(Ticket),
    Effect(Ticket),
    Answer(Ticket, Input),
    Timer(usize, u64),
    Start(usize),
    Stop(usize),
    Crash(usize),
    Pause(usize),
    Resume(usize),
    Operator,
    Jump,
}

pub(super) struct World<'a> {
    pub(super) scenario: Scenario,
    pub(super) random: Random,
    pub(super) now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    serial: u64,
    pub(super) store: Store,
    pub(super) processes: Vec<Process>,
    pub(super) truth: Truth,
    pub(super) bug: Option<Bug>,
    pub(super) handler: Option<&'a Handler>,
    /// Nothing goes wrong any more.
    pub(super) is_calm: bool,
    /// All is done with; nothing may begin.
    pub(super) is_over: bool,
    /// Those that stop stay down.
    pub(super) is_closing: bool,
    pub(super) tally: Tally,
    pub(super) trace: Option<Vec<String>>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        scenario: Scenario,
        random: Random,
        handler: Option<&'a Handler>,
        bug: Option<Bug>,
    ) -> Self {
        let machine = || {
            let options = scenario.options.clone();
            Machine::new(options, scenario.unit, scenario.sharing())
        };
        let processes = (0..scenario.members).map(|_| Process::new(machine())).collect();
        let mut world = Self {
            scenario,
            random,
            now: Duration::ZERO,
            events: BTreeMap::new(),
            serial: 0,
            store: Store::default(),
            processes,
            truth: Truth::default(),
            bug,
            handler,
            is_calm: false,
            is_over: false,
            is_closing: false,
            tally: Tally::default(),
            trace: None,
        };
        world.store.visible = -1;
        world.write_all();
        for process in 0..world.processes.len() {
            let at = world.after(0, 500);
            world.at(at, Event::Start(process));
        }
        world.misfortunes();
        world
    }

    pub(super) fn after(&mut self, least: u32, most: u32) -> Duration {
        self.now + ms(self.random.between(least, most))
    }

    pub(super) fn at(&mut self, at: Duration, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8.3} {}", self.now.as_secs_f64(), what()));
        }
    }

    /// Runs the world to its end.
    pub(super) fn run(&mut self) -> Kept {
        while self.now < self.scenario.chaos || self.store.visible < self.last() {
            self.step()?;
        }
        self.calm();
        self.run_until("catches up", Self::is_caught_up)?;
        self.truth.ends(self.scenario.options.transactional)?;
        self.close();
        self.run_until("stops", |world| world.processes.iter().all(|it| it.state == State::Down))?;
        (self.is_over, self.is_closing) = (true, false);
        for process in 0..self.processes.len() {
            self.start(process)?;
        }
        self.run_until("comes back", Self::is_caught_up)
    }

    pub(super) fn last(&self) -> Place {
        self.store.log.last_key_value().map_or(-1, |(place, _)| *place)
    }

    fn run_until(&mut self, what: &str, is_reached: fn(&Self) -> bool) -> Kept {
        let (from, steps) = (self.now, self.tally.steps);
        while !is_reached(self) {
            let is_late = self.now > from + CALM || self.tally.steps > steps + STEPS;
            hold(Law::Alive, !is_late, || format!("it never {what}; {}", self.unfinished()))?;
            self.step()?;
        }
        Ok(())
    }

    fn is_caught_up(&self) -> bool {
        let last = |lane| self.truth.of_lane(lane).last().map(|told| told.item.place);
        let is_recorded = |lane| {
            let done = self.store.progress(lane).1.and_then(|progress| progress.done);
            done >= last(lane)
        };
        let is_quiet = |process: &Process| {
            process.state == State::Up
                && (process.machine.is_caught_up() || process.machine.lanes().next().is_none())
        };
        self.truth.is_over()
            && (0..self.scenario.lanes).all(is_recorded)
            && self.processes.iter().all(is_quiet)
    }

    fn unfinished(&self) -> String {
        let places = self.truth.all().filter(|told| !told.is_over()).map(|told| told.item.place);
        let lanes = (0..self.scenario.lanes).map(|lane| self.store.progress(lane).1);
        let members = self.processes.iter().map(|process| {
            let machine = &process.machine;
            let lanes: Vec<_> = machine.lanes().collect();
            (process.state, machine.is_caught_up(), machine.ahead(), machine.running(), lanes)
        });
        let (places, lanes): (Vec<_>, Vec<_>) = (places.collect(), lanes.collect());
        let members: Vec<_> = members.collect();
        format!("not over {places:?}, recorded {lanes:?}, members {members:?}")
    }

    /// From now on everything succeeds.
    fn calm(&mut self) {
        self.is_calm = true;
        self.note(|| "the faults cease".into());
        for process in 0..self.processes.len() {
            self.at(self.now, Event::Resume(process));
            let at = self.after(0, 500);
            self.at(at, Event::Start(process));
        }
    }

    fn close(&mut self) {
        self.is_closing = true;
        for process in 0..self.processes.len() {
            self.at(self.now, Event::Stop(process));
        }
    }

    fn step(&mut self) -> Kept {
        let event = self.events.pop_first();
        let Some(((at, _), event)) = event else {
            return Err(Breach(Law::Alive, "nothing is left to happen".into()));
        };
        self.now = self.now.max(at);
        self.tally.steps += 1;
        match event {
            Event::Visible(place) => self.shows(place),
            Event::Head(ticket) => {
                self.head(ticket);
                Ok(())
            }
            Event::Effect(ticket) => self.effect(ticket),
            Event::Answer(ticket, input) => self.answered(ticket, input),
            Event::Timer(process, timer) => match self.processes.get_mut(process) {
                Some(it) if it.timer == timer && it.state == State::Up => {
                    it.wakes_at = None;
                    self.pump(process)
                }
                _ => Ok(()),
            },
            Event::Start(process) => self.start(process),
            Event::Stop(process) => self.stop(process),
            Event::Crash(_) if self.is_calm => Ok(()),
            Event::Crash(process) => self.crash(process),
            Event::Pause(process) => {
                self.pause(process);
                Ok(())
            }
            Event::Resume(process) => self.resume(process),
            Event::Operator => {
                self.operator();
                Ok(())
            }
            Event::Jump => {
                self.store.ahead += ms(self.random.between(100, 4000));
                Ok(())
            }
        }
    }

    fn shows(&mut self, place: Place) -> Kept {
        self.store.visible = place;
        self.note(|| format!("{place} is visible"));
        for process in 0..self.processes.len() {
            let is_told = self.random.chance(30);
            let it = self.processes.get_mut(process).filter(|it| it.state == State::Up);
            if let Some(it) = it.filter(|_| is_told) {
                it.machine.wake();
                self.pump(process)?;
            }
        }
        Ok(())
    }

    /// The process that a call is of, if it still is and runs; a call of one that is paused waits.
    pub(super) fn is_running(&mut self, ticket: Ticket, event: &Event) -> bool {
        let Some(process) = self.processes.get(ticket.process) else { return false };
        if process.life != ticket.life || process.state == State::Down {
            return false;
        }
        let is_paused = process.state == State::Paused;
        if is_paused {
            let at = self.after(50, 300);
            self.at(at, event.clone());
        }
        !is_paused
    }
}
