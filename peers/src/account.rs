//! The same data for every peer: an account that money is paid into, its events and their state.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Events of the two accounts that are loaded.
pub const SHORT: usize = 100;
pub const LONG: usize = 10_000;

/// Accounts whose events make the log that is replayed.
pub const LOG_ACCOUNTS: usize = 1_000;

/// Events of one batch.
pub const BATCH: usize = 100;

/// Makes the JSON of a deposit about 190 bytes long.
pub const NOTE: &str = "salary for the month of November, paid by the usual standing order; \
                        see the agreement of last year, page 12, line 4";

/// For peers whose events are plain `serde` types. The others declare the same fields by their macros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    Deposited { account: String, amount: u64, note: String },
    Withdrawn { account: String, amount: u64 },
}

/// The state of an account; how many events made it is there to be checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub balance: u64,
    pub events: u64,
}

impl Account {
    pub fn deposit(&mut self, amount: u64) {
        self.balance += amount;
        self.events += 1;
    }

    pub fn withdraw(&mut self, amount: u64) {
        self.balance -= amount;
        self.events += 1;
    }

    pub fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { amount, .. } => self.deposit(*amount),
            AccountEvent::Withdrawn { amount, .. } => self.withdraw(*amount),
        }
    }
}

/// One deposit, of which each peer makes its own event.
#[derive(Debug, Clone)]
pub struct Deposit {
    pub account: String,
    pub amount: u64,
    pub note: String,
}

impl Deposit {
    /// The deposit at a position, from 0, of an account's stream.
    pub fn of(account: &str, position: usize) -> Self {
        let account = account.to_owned();
        Self { account, amount: amount(position), note: NOTE.to_owned() }
    }

    pub fn event(self) -> AccountEvent {
        let Self { account, amount, note } = self;
        AccountEvent::Deposited { account, amount, note }
    }
}

fn amount(position: usize) -> u64 {
    100 + (position % 900) as u64
}

/// The account of so many events.
pub fn expected(events: usize) -> Account {
    Account { balance: (0..events).map(amount).sum(), events: events as u64 }
}

/// An account that nobody wrote to yet.
pub fn fresh() -> String {
    Uuid::new_v4().to_string()
}

/// Deposits of one fresh account.
pub fn deposits(count: usize) -> (String, Vec<Deposit>) {
    let account = fresh();
    let deposits = (0..count).map(|position| Deposit::of(&account, position)).collect();
    (account, deposits)
}

/// The account of [`SHORT`] or of [`LONG`] events.
pub fn loaded(events: usize) -> String {
    scattered(1_000_000 + events)
}

fn scattered(number: usize) -> String {
    let number = number as u128 + 1;
    Uuid::from_u128(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).to_string()
}

/// An event of the data that is there before anything is measured.
#[derive(Debug)]
pub struct Seed {
    /// Of the log, or else of an account that is loaded.
    pub log: bool,
    /// In its stream, from 0.
    pub position: usize,
    pub deposit: Deposit,
}

/// All that is to be there: the log, whose accounts take turns, then the two accounts.
pub fn seeds(replay: usize) -> impl Iterator<Item = Seed> {
    let accounts: Vec<_> = (0..LOG_ACCOUNTS).map(scattered).collect();
    let log = (0..replay).map(move |number| {
        let position = number / LOG_ACCOUNTS;
        let deposit = Deposit::of(&accounts[number % LOG_ACCOUNTS], position);
        Seed { log: true, position, deposit }
    });
    let loaded = [SHORT, LONG].into_iter().flat_map(|events| {
        let account = loaded(events);
        (0..events).map(move |position| Seed {
            log: false,
            position,
            deposit: Deposit::of(&account, position),
        })
    });
    log.chain(loaded)
}
