//! What is laid down before anything happens: the messages and the misfortunes.
//!
//! Owns what is drawn with the help of the scenario. What happens is in `world.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use evenfold_core::store::Unit;
use evenfold_core::subscriber::{Item, Lane};
use evenfold_core::{Position, StreamName};

use super::bug::Bug;
use super::laws::{Fate, Told};
use super::scenario::ms;
use super::world::{Event, World};

impl World<'_> {
    pub(super) fn write_all(&mut self) {
        let mut place = self.scenario.unit.start();
        let mut positions: BTreeMap<u32, Position> = BTreeMap::new();
        let mut at = Duration::ZERO;
        let span = u32::try_from(self.scenario.chaos.as_millis()).unwrap_or(1000);
        let gap = span / (self.scenario.messages + 1);
        for _ in 0..self.scenario.messages {
            at += ms(self.random.between(0, 2 * gap));
            let is_unwanted = self.scenario.is_filtered && self.random.chance(20);
            let stream = self.random.number_below(self.scenario.streams);
            let is_split = self.bug == Some(Bug::StreamInTwoLanes);
            let falls_to = if is_split { place } else { stream.into() };
            let item = (!is_unwanted).then(|| Item {
                place,
                stream: StreamName::stored(format!("account-{stream}")),
                lane: Lane::try_from(falls_to).unwrap_or_default() % self.scenario.lanes,
            });
            if let Some(item) = &item {
                let position = positions.entry(stream).or_insert(Position::START);
                let mut told = Told::new(item.clone(), *position, self.fate());
                told.is_before = self.scenario.options.start.is_some_and(|start| place < start);
                *position = position.next();
                self.truth.add(told);
            }
            self.store.log.insert(place, item);
            self.at(at, Event::Visible(place));
            let is_dense = self.scenario.unit == Unit::StreamPosition || self.random.chance(60);
            place += if is_dense { 1 } else { self.random.between(2, 5).into() };
        }
    }

    fn fate(&mut self) -> Fate {
        let faults = self.scenario.faults;
        if self.random.chance(faults.poison) {
            Fate::Poison
        } else if self.random.chance(faults.hopeless) {
            Fate::Hopeless
        } else if self.random.chance(faults.failing) {
            Fate::Failing(self.random.between(1, 3))
        } else {
            Fate::Fine
        }
    }

    pub(super) fn misfortunes(&mut self) {
        let faults = self.scenario.faults;
        let chaos = u32::try_from(self.scenario.chaos.as_millis()).unwrap_or(1000);
        for process in 0..self.processes.len() {
            let events = [
                (faults.crashes, Event::Crash(process)),
                (faults.stops, Event::Stop(process)),
                (faults.pauses, Event::Pause(process)),
            ];
            for (_, event) in events.into_iter().filter(|(is_on, _)| *is_on) {
                self.sometimes(&event, chaos);
            }
        }
        if faults.jumps {
            let at = self.after(0, chaos);
            self.at(at, Event::Jump);
        }
        self.at(ms(300), Event::Operator);
    }

    fn sometimes(&mut self, event: &Event, chaos: u32) {
        for _ in 0..self.random.between(1, 4) {
            let at = self.after(0, chaos);
            self.at(at, event.clone());
        }
    }
}
