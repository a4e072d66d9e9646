//! The numbers of one subscriber, and when they are told.
//!
//! Owns the handles, which are looked up once: without a recorder each is a test of a pointer. What
//! each number means stands in the table of `mod.rs`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use evenfold_core::store::Place;
use metrics::{Counter, Gauge, Histogram, IntoF64, Label, counter, gauge, histogram};
use tokio::time::Instant;

use super::names::{
    FAILED_TOTAL, HANDLED_TOTAL, HANDLING_SECONDS, IN_FLIGHT, LAG_MESSAGES, LAG_SECONDS, LANES,
    OLDEST_IN_FLIGHT_SECONDS, PARKED_NOW, PARKED_TOTAL, PASSED_OVER_TOTAL, READ_AHEAD,
    REJECTED_TOTAL, REPLAYED_TOTAL, RETRYING, SKIPPED_TOTAL,
};
use crate::subscriber::{Lag, Polled};

/// How often the gauges are told.
const EVERY: Duration = Duration::from_secs(1);

/// How often the lag is measured, at most.
const SELDOM: Duration = Duration::from_secs(10);

/// How many times as long as the last measure of the lag took the next one waits, at least.
const REST: u32 = 10;

/// Whose numbers they are.
pub(crate) struct Labels {
    pub(crate) subscriber: String,
    pub(crate) reads: String,
    pub(crate) progress: String,
}

/// What the gauges say.
#[derive(Clone, Copy)]
pub(crate) struct State {
    pub(crate) in_flight: usize,
    pub(crate) read_ahead: usize,
    pub(crate) retrying: usize,
    pub(crate) parked: usize,
    pub(crate) lanes: usize,
}

/// The numbers of one subscriber.
pub(crate) struct Meters {
    /// Whether there is a recorder.
    is_heard: bool,
    pub(crate) failed: Counter,
    counters: [Counter; 6],
    handling: Histogram,
    oldest_in_flight: Gauge,
    gauges: [Gauge; 5],
    lag_messages: Gauge,
    lag_seconds: Gauge,
    begun: BTreeMap<Place, Instant>,
    /// What of the present call is counted.
    counted: Polled,
    tell_at: Instant,
    /// When the lag is to be measured; none while it is.
    measure_at: Option<Instant>,
}

impl Meters {
    pub(crate) fn new(labels: Labels) -> Self {
        let Labels { subscriber, reads, progress } = labels;
        let labels = vec![
            Label::new("subscriber", subscriber),
            Label::new("reads", reads),
            Label::new("progress", progress),
        ];
        let counter = |name: &'static str| counter!(name, labels.clone());
        let gauge = |name: &'static str| gauge!(name, labels.clone());
        let handling = histogram!(HANDLING_SECONDS, labels.clone());
        let oldest_in_flight = gauge(OLDEST_IN_FLIGHT_SECONDS);
        let now = Instant::now();
        Self {
            is_heard: is_heard(&oldest_in_flight),
            failed: counter(FAILED_TOTAL),
            counters: [
                HANDLED_TOTAL,
                PASSED_OVER_TOTAL,
                REJECTED_TOTAL,
                SKIPPED_TOTAL,
                PARKED_TOTAL,
                REPLAYED_TOTAL,
            ]
            .map(counter),
            handling,
            oldest_in_flight,
            gauges: [IN_FLIGHT, READ_AHEAD, RETRYING, PARKED_NOW, LANES].map(gauge),
            lag_messages: gauge(LAG_MESSAGES),
            lag_seconds: gauge(LAG_SECONDS),
            begun: BTreeMap::new(),
            counted: Polled::default(),
            tell_at: now,
            measure_at: Some(now),
        }
    }

    /// A new call begins, which counts from nothing.
    pub(crate) fn restart(&mut self) {
        self.counted = Polled::default();
    }

    /// Counts what the present call has done since it was counted last.
    pub(crate) fn count(&mut self, polled: &Polled) {
        let numbers = |it: &Polled| {
            [it.handled, it.passed_over, it.rejected, it.skipped, it.parked, it.replayed]
        };
        let news = numbers(polled).into_iter().zip(numbers(&self.counted));
        for (counter, (now, before)) in self.counters.iter().zip(news) {
            if now > before {
                counter.increment(now - before);
            }
        }
        self.counted = *polled;
    }

    /// An attempt of the message at this place begins.
    pub(crate) fn begin(&mut self, place: Place) {
        if self.is_heard {
            self.begun.insert(place, Instant::now());
        }
    }

    /// It has ended.
    pub(crate) fn end(&mut self, place: Place) {
        if let Some(begun) = self.begun.remove(&place) {
            self.handling.record(begun.elapsed());
        }
    }

    /// When there is something to tell, if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.is_heard.then_some(self.tell_at)
    }

    /// Tells the gauges, if it is time.
    pub(crate) fn tell(&mut self, state: impl FnOnce() -> State) {
        if self.is_heard && Instant::now() >= self.tell_at {
            self.tell_now(state);
        }
    }

    /// Tells the gauges.
    pub(crate) fn tell_now(&mut self, state: impl FnOnce() -> State) {
        if !self.is_heard {
            return;
        }
        let State { in_flight, read_ahead, retrying, parked, lanes } = state();
        let numbers = [in_flight, read_ahead, retrying, parked, lanes];
        for (gauge, number) in self.gauges.iter().zip(numbers) {
            gauge.set(u32::try_from(number).unwrap_or(u32::MAX));
        }
        let now = Instant::now();
        let oldest = self.begun.values().min().map(|begun| now.duration_since(*begun));
        self.oldest_in_flight.set(oldest.unwrap_or_default());
        self.tell_at = now + EVERY;
    }

    /// Whether it is time to measure the lag.
    pub(crate) fn is_measure_due(&self) -> bool {
        self.is_heard && self.measure_at.is_some_and(|at| Instant::now() >= at)
    }

    /// The lag is being measured from now on.
    pub(crate) fn measure(&mut self) {
        self.measure_at = None;
    }

    /// The lag was measured, or could not be, which took so long.
    pub(crate) fn measured(&mut self, lag: Option<Lag>, took: Duration) {
        if let Some(lag) = lag {
            self.lag_messages.set(u32::try_from(lag.messages).unwrap_or(u32::MAX));
            self.lag_seconds.set(lag.time);
        }
        self.measure_at = Some(Instant::now() + took.saturating_mul(REST).max(SELDOM));
    }
}

/// A number is asked for only where somebody records it.
fn is_heard(gauge: &Gauge) -> bool {
    struct Asked<'a>(&'a Cell<bool>);

    impl IntoF64 for Asked<'_> {
        fn into_f64(self) -> f64 {
            self.0.set(true);
            0.0
        }
    }

    let is_heard = Cell::new(false);
    gauge.set(Asked(&is_heard));
    is_heard.get()
}
