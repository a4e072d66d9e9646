//! The world that a seed makes: how many processes and messages, what is asked of the subscriber, and
//! what goes wrong.
//!
//! Owns what is drawn before anything happens. What happens then is drawn by the scheduler in
//! `world.rs`.

use std::fmt;
use std::time::Duration;

use evenfold_core::store::{BatchSize, Unit};
use evenfold_core::subscriber::{ErrorPolicy, Options, Sharing};

use crate::random::Random;

pub(super) fn ms(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

/// What a world is like.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) options: Options,
    pub(super) policy: ErrorPolicy,
    pub(super) unit: Unit,
    /// The term of a lease where members share the work.
    pub(super) term: Option<Duration>,
    pub(super) lanes: u16,
    pub(super) members: usize,
    pub(super) streams: u32,
    pub(super) messages: u32,
    /// Whether the store looks at messages that it does not hand out.
    pub(super) is_filtered: bool,
    /// Whether what is not visible yet holds it up, as it does who reads several categories.
    pub(super) is_merged: bool,
    pub(super) faults: Faults,
    /// How long things go wrong.
    pub(super) chaos: Duration,
}

/// What goes wrong, and how often in a hundred cases.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct Faults {
    /// A call of the store fails; half of those were carried out.
    pub(super) lost: u32,
    /// A message fails a few times.
    pub(super) failing: u32,
    /// A message fails always.
    pub(super) hopeless: u32,
    /// A message brings the process down.
    pub(super) poison: u32,
    /// A process ends by itself, stops in order, or is paused, every so often.
    pub(super) crashes: bool,
    pub(super) stops: bool,
    pub(super) pauses: bool,
    /// The clock of the store is set.
    pub(super) jumps: bool,
}

impl Scenario {
    pub(super) fn draw(random: &mut Random) -> Self {
        let is_leased = random.chance(60);
        let is_stream = !is_leased && random.chance(25);
        let members = if is_leased { random.between(1, 4) } else { 1 };
        let then = match random.below(5) {
            0 => ErrorPolicy::stop(),
            1 => ErrorPolicy::skip(),
            _ => ErrorPolicy::park(),
        };
        let policy = then
            .retries(random.between(0, 3))
            .delays(ms(random.between(1, 100)), ms(random.between(100, 500)));
        let is_transactional = random.chance(30);
        let crashes = if random.chance(50) { Some(random.between(1, 3)) } else { None };
        let options = Options {
            poll_interval: ms(random.between(100, 1500)),
            heard_interval: ms(1000),
            error_delay: ms(random.between(50, 800)),
            batch_size: BatchSize::new(random.between(1, 7).into()).unwrap_or(BatchSize::DEFAULT),
            progress_interval: random.between(1, 9),
            progress_pause: if random.chance(50) { ms(random.between(1, 200)) } else { ms(0) },
            progress_time: ms(random.between(100, 3000)),
            records_passed: false,
            concurrency: if is_transactional { 1 } else { random.between(1, 16) },
            transactional: is_transactional,
            crashes,
            parked_limit: random.between(1, 5),
            start: None,
        };
        let often = |random: &mut Random, most| {
            if random.chance(60) { random.between(1, most) } else { 0 }
        };
        let faults = Faults {
            lost: often(random, 15),
            failing: often(random, 30),
            hopeless: often(random, 20),
            poison: if crashes.is_some() { often(random, 15) } else { 0 },
            crashes: random.chance(40),
            stops: random.chance(40),
            pauses: is_leased && random.chance(40),
            jumps: is_leased && random.chance(15),
        };
        let messages = random.between(3, 40);
        let start = random.chance(25).then(|| random.between(0, messages).into());
        let options = Options { start, ..options };
        let mut drawn = Self {
            options,
            policy,
            unit: if is_stream { Unit::StreamPosition } else { Unit::GlobalPosition },
            term: is_leased.then(|| ms(random.between(500, 3000))),
            lanes: if is_leased { u16::try_from(random.between(1, 8)).unwrap_or(1) } else { 1 },
            members: usize::try_from(members).unwrap_or(1),
            streams: if is_stream { 1 } else { random.between(1, 6) },
            messages,
            is_filtered: is_leased || !is_stream && random.chance(30),
            is_merged: !is_leased && !is_stream && random.chance(50),
            faults,
            chaos: ms(random.between(2000, 8000)),
        };
        drawn.options.records_passed = !drawn.is_merged && !is_leased;
        drawn
    }

    pub(super) fn sharing(&self) -> Sharing {
        self.term.map_or(Sharing::Alone, Sharing::Leased)
    }

    /// Whether nothing but a message brings a process down or takes its lanes.
    pub(super) fn is_only_poison(&self) -> bool {
        let faults = self.faults;
        !(faults.crashes || faults.pauses || faults.jumps) && self.members == 1
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, faults, .. } = self;
        let then = self.policy.then();
        let sharing = self.term.map_or("alone".to_owned(), |term| {
            format!("{} lanes leased for {term:?} to {} members", self.lanes, self.members)
        });
        writeln!(f, "{sharing}, by {}, policy {then:?}", self.unit)?;
        writeln!(
            f,
            "{} messages in {} streams, {}, faults for {:?}",
            self.messages,
            self.streams,
            if self.is_filtered { "filtered" } else { "unfiltered" },
            self.chaos
        )?;
        writeln!(f, "{options:?}")?;
        write!(f, "{faults:?}")
    }
}
