//! A deterministic simulation of subscribers: small worlds in which everything goes wrong.
//!
//! Processes that run the [subscriber's machine](evenfold_core::subscriber) read a store whose
//! messages become visible late, whose answers are lost, whose leases run out. Messages fail, or bring
//! their process down; processes crash, stop, and are paused beyond their lease. Time is virtual and
//! every choice comes from one seed, so a breach of a [`Law`] comes again when the seed does.
//!
//! Only the machine is real: what an engine does with its actions is played in `engine.rs` and
//! `handling.rs`, and a [`Bug`] can be planted there to see that the laws bite. The scheduler is in
//! `world.rs`, what a seed draws in `scenario.rs`, the laws in `laws.rs`.
//!
//! # Examples
//!
//! How a policy behaves with a handler that fails for one account:
//!
//! ```
//! use evenfold_core::subscriber::ErrorPolicy;
//! use evenfold_testkit::simulation::{Simulation, Trial};
//!
//! for seed in 0..20 {
//!     let report = Simulation::new(seed)
//!         .members(3)
//!         .messages(30)
//!         .policy(ErrorPolicy::park().retries(2))
//!         .handler(|message| match message.stream.as_str() {
//!             "account-1" => Trial::Fail,
//!             _ => Trial::Done,
//!         })
//!         .run()?;
//!     assert!(report.tries > 0);
//! }
//! # Ok::<(), evenfold_testkit::simulation::Failure>(())
//! ```

mod bug;
mod engine;
mod handling;
mod laws;
mod lives;
mod making;
mod process;
mod pump;
mod scenario;
mod store;
mod world;

use std::fmt;

use evenfold_core::subscriber::{ErrorPolicy, Options};
use evenfold_core::{Position, StreamName};

pub use bug::Bug;
pub use laws::Law;

use crate::random::Random;
use scenario::{Scenario, ms};
use world::World;

type Handler = Box<dyn Fn(&SimulatedMessage<'_>) -> Trial>;

/// One world, made from a seed and what is laid down of it.
pub struct Simulation {
    seed: u64,
    scenario: Scenario,
    random: Random,
    bug: Option<Bug>,
    handler: Option<Handler>,
}

/// A message, as a simulated handler gets it.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedMessage<'a> {
    /// The stream it stands in.
    pub stream: &'a StreamName,
    /// Its place there.
    pub position: Position,
    /// How often it was tried, by any process, this time included.
    pub tries: u32,
}

/// What a simulated handler comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// The message is done with.
    Done,
    /// It failed.
    Fail,
    /// The process ends in the middle of it.
    Crash,
}

/// What happened in a world that kept every law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many things happened.
    pub steps: u64,
    /// How often a handler ran.
    pub tries: u64,
    /// How often a message was parked.
    pub parked: u64,
    /// How often a process ended in the middle of its work.
    pub crashes: u64,
}

type Tally = Report;

/// A law that was broken, and what led there.
#[derive(Clone, Debug)]
pub struct Failure {
    law: Law,
    what: String,
    seed: u64,
    scenario: Box<Scenario>,
    trace: Vec<String>,
}

impl Simulation {
    /// The world of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let scenario = Scenario::draw(&mut random);
        Self { seed, scenario, random, bug: None, handler: None }
    }

    /// Shares the work between so many processes, by leases.
    #[must_use]
    pub fn members(mut self, members: usize) -> Self {
        self.scenario.members = members.max(1);
        self.scenario.is_filtered = true;
        self.scenario.unit = evenfold_core::store::Unit::GlobalPosition;
        self.scenario.term.get_or_insert(ms(1000));
        self
    }

    /// Writes so many messages.
    #[must_use]
    pub fn messages(mut self, messages: u32) -> Self {
        self.scenario.messages = messages;
        self
    }

    /// Gives the subscriber these options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.scenario.options = options;
        self
    }

    /// Does this with a message that fails.
    #[must_use]
    pub fn policy(mut self, policy: ErrorPolicy) -> Self {
        self.scenario.policy = policy;
        self
    }

    /// Handles each message in this way until the faults cease; then all succeed.
    #[must_use]
    pub fn handler(mut self, handler: impl Fn(&SimulatedMessage<'_>) -> Trial + 'static) -> Self {
        self.handler = Some(Box::new(handler));
        self
    }

    /// Plants a fault in the engine.
    #[must_use]
    pub fn bug(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        self
    }

    /// Runs the world to its end.
    ///
    /// # Errors
    ///
    /// The first breach of a law, with the seed and what led there.
    pub fn run(&self) -> Result<Report, Failure> {
        let mut world = self.world();
        if world.run().is_ok() {
            return Ok(world.tally);
        }
        // The same again, written down this time.
        let mut world = self.world();
        world.trace = Some(Vec::new());
        match world.run() {
            Ok(()) => Ok(world.tally),
            Err(breach) => Err(Failure {
                law: breach.0,
                what: breach.1,
                seed: self.seed,
                scenario: Box::new(self.scenario.clone()),
                trace: world.trace.unwrap_or_default(),
            }),
        }
    }

    fn world(&self) -> World<'_> {
        let (scenario, random) = (self.scenario.clone(), self.random.clone());
        World::new(scenario, random, self.handler.as_ref(), self.bug)
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulation({}: {})", self.seed, self.scenario)
    }
}

impl Failure {
    /// The law that was broken.
    pub fn law(&self) -> Law {
        self.law
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, what, seed, scenario, trace } = self;
        writeln!(f, "EVENFOLD_SEED={seed} breaks the law `{law}`: {what}\n{scenario}")?;
        trace.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl std::error::Error for Failure {}
