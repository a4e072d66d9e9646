//! What a person reads in the end: accounts, balances, what was refused and why.
//!
//! Projected from the events of the category alone, so it is the same after any number of runs.

use std::collections::BTreeMap;
use std::fmt;

use evenfold::prelude::*;
use evenfold::projector::Projector;
use evenfold::{GlobalPosition, Store};
use futures::TryStreamExt;

use crate::messages::*;

#[derive(Default)]
pub(crate) struct Ledger {
    accounts: BTreeMap<String, Line>,
    refused: BTreeMap<String, BTreeMap<String, u64>>,
    returned: u128,
    events: u64,
}

#[derive(Default)]
struct Line {
    owner: String,
    balance: u64,
    is_closed: bool,
}

#[reducer(AccountEvent)]
impl Ledger {
    fn opened(&mut self, event: &Opened, recorded: &Recorded) {
        let line = self.line(recorded);
        line.owner.clone_from(&event.owner);
        line.is_closed = false;
    }
    fn deposited(&mut self, event: &Deposited, recorded: &Recorded) {
        self.line(recorded).balance += event.amount;
    }
    fn withdrawn(&mut self, event: &Withdrawn, recorded: &Recorded) {
        self.line(recorded).balance -= event.amount;
    }
    fn transfer_sent(&mut self, event: &TransferSent, recorded: &Recorded) {
        self.line(recorded).balance -= event.amount;
    }
    fn transfer_received(&mut self, event: &TransferReceived, recorded: &Recorded) {
        self.line(recorded).balance += event.amount;
    }
    fn transfer_declined(&mut self, event: &TransferDeclined) {
        self.refuse("Transfer", &format!("the other side: {}", event.reason));
    }
    fn transfer_returned(&mut self, event: &TransferReturned, recorded: &Recorded) {
        self.line(recorded).balance += event.amount;
        self.returned += u128::from(event.amount);
    }
    fn closed(&mut self, _: &Closed, recorded: &Recorded) {
        self.line(recorded).is_closed = true;
    }
    fn refused(&mut self, event: &Refused) {
        self.refuse(&event.command, &event.reason);
    }
}

impl Ledger {
    /// Folds the whole category, a page at a time.
    pub(crate) async fn read(store: &Store) -> Result<Self, Error> {
        let projector = Projector::<Self>::of_reducer();
        let mut messages = store.read_category(AccountEvent::category(), GlobalPosition::START);
        let mut ledger = projector.start();
        while let Some(recorded) = messages.try_next().await? {
            projector.step(&mut ledger, &recorded)?;
            ledger.events += 1;
        }
        Ok(ledger)
    }

    /// How many events there are.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    fn line(&mut self, recorded: &Recorded) -> &mut Line {
        let id = recorded.stream_name.entity_id().map(|id| id.to_string()).unwrap_or_default();
        self.accounts.entry(id).or_default()
    }

    fn refuse(&mut self, command: &str, reason: &str) {
        let reasons = self.refused.entry(command.to_owned()).or_default();
        *reasons.entry(reason.to_owned()).or_default() += 1;
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nAccounts\n  {:<12} {:<20} {:>10}", "account", "owner", "balance")?;
        for (id, line) in &self.accounts {
            let note = if line.is_closed { "  closed" } else { "" };
            writeln!(f, "  {id:<12} {:<20} {:>10}{note}", line.owner, line.balance)?;
        }
        let total: u128 = self.accounts.values().map(|line| u128::from(line.balance)).sum();
        writeln!(f, "  {:<33} {total:>10}", "all money in the bank")?;
        writeln!(f, "\nRefused")?;
        for (command, reasons) in &self.refused {
            for (reason, times) in reasons {
                writeln!(f, "  {times:>5} × {command:<9} {reason}")?;
            }
        }
        writeln!(f, "\n{} went back to the senders of declined transfers", self.returned)
    }
}
