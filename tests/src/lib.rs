//! What the tests and the benchmarks share: the messages of an account, and the account.
//!
//! How memory is measured is in `peak.rs`, how time is in `benches/harness`; processes that tests start
//! are in `bin/`.

pub mod asked;
pub mod figures;
pub mod peak;

use std::error::Error;

use evenfold::Position;
use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

/// The result of a test or a benchmark.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Money came in.
#[derive(Clone, Debug, Message, PartialEq, Eq)]
pub struct Deposited {
    /// Who deposited it.
    pub account_id: String,
    /// How much.
    pub amount: u64,
    /// When, as the domain sees it.
    pub time: String,
}

/// Money went out.
#[derive(Clone, Debug, Message, PartialEq, Eq)]
pub struct Withdrawn {
    /// Who withdrew it.
    pub account_id: String,
    /// How much.
    pub amount: u64,
    /// When, as the domain sees it.
    pub time: String,
}

/// Everything that happens to an account.
#[derive(Debug, Messages)]
#[messages(category = "account")]
pub enum AccountEvent {
    /// Money came in.
    Deposited(Deposited),
    /// Money went out.
    Withdrawn(Withdrawn),
}

/// An account by its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Snapshot)]
pub struct Account {
    /// What is in it, as it came in.
    pub balance: u64,
    /// How many events there were.
    pub events: u64,
}

#[reducer(AccountEvent)]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
        self.events += 1;
    }

    fn withdrawn(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
        self.events += 1;
    }
}

impl Deposited {
    /// A deposit of this amount, as long as a real one.
    pub fn of(amount: u64) -> Self {
        let (account_id, time) = ("a3f0c2d4e5b6".into(), "2026-11-23T14:15:16.123Z".into());
        Self { account_id, amount, time }
    }
}

impl Withdrawn {
    /// A withdrawal of this amount, as long as a real one.
    pub fn of(amount: u64) -> Self {
        let Deposited { account_id, amount, time } = Deposited::of(amount);
        Self { account_id, amount, time }
    }
}

/// Whether a message is poison to a handler that is not mended yet: one of each 50 in its stream,
/// another one in another stream.
pub fn poisoned(stream: &StreamName, position: Position) -> bool {
    let offset = stream.cardinal_hash().unwrap_or_default().unsigned_abs() % 50;
    position.get().unsigned_abs() % 50 == offset
}
