//! An account: how events change it, and what it agrees to.

use crate::messages::*;
use evenfold::prelude::*;

#[derive(Default)]
pub(crate) struct Account {
    open: bool,
    balance: u64,
}

#[reducer(AccountEvent, skip(TransferDeclined, Refused))]
impl Account {
    fn opened(&mut self, _: &Opened) {
        self.open = true;
    }
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
    fn withdrawn(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
    }
    fn transfer_sent(&mut self, event: &TransferSent) {
        self.balance -= event.amount;
    }
    fn transfer_received(&mut self, event: &TransferReceived) {
        self.balance += event.amount;
    }
    fn transfer_returned(&mut self, event: &TransferReturned) {
        self.balance += event.amount;
    }
    fn closed(&mut self, _: &Closed) {
        self.open = false;
    }
}

/// What an account is asked, it answers with what happens, or with why not.
impl Account {
    pub(crate) fn open(&self, command: &Open) -> Result<AccountEvent, &'static str> {
        if self.open {
            return Err("the account is open already");
        }
        Ok(Opened { owner: command.owner.clone() }.into())
    }

    pub(crate) fn deposit(&self, amount: u64) -> Result<AccountEvent, &'static str> {
        self.check_open().map(|()| Deposited { amount }.into())
    }

    pub(crate) fn withdraw(&self, amount: u64) -> Result<AccountEvent, &'static str> {
        self.check_covers(amount).map(|()| Withdrawn { amount }.into())
    }

    pub(crate) fn send(&self, command: &Transfer) -> Result<AccountEvent, &'static str> {
        let Transfer { to, amount } = command;
        self.check_covers(*amount).map(|()| TransferSent { to: to.clone(), amount: *amount }.into())
    }

    pub(crate) fn receive(&self, from: String, amount: u64) -> AccountEvent {
        match self.check_open() {
            Ok(()) => TransferReceived { from, amount }.into(),
            Err(reason) => TransferDeclined { from, amount, reason: reason.into() }.into(),
        }
    }

    pub(crate) fn close(&self) -> Result<AccountEvent, &'static str> {
        self.check_open()?;
        if self.balance > 0 { Err("there is money in the account") } else { Ok(Closed.into()) }
    }

    fn check_open(&self) -> Result<(), &'static str> {
        if self.open { Ok(()) } else { Err("the account is not open") }
    }

    fn check_covers(&self, amount: u64) -> Result<(), &'static str> {
        self.check_open()?;
        if self.balance < amount { Err("the balance is too low") } else { Ok(()) }
    }
}
