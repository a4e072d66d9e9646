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

type Answer = Result<AccountEvent, &'static str>;

/// What an account is asked, it answers with what happens, or with why not.
impl Account {
    pub(crate) fn open(&self, owner: &str) -> Answer {
        let opened = Opened { owner: owner.into() }.into();
        if self.open { Err("the account is open already") } else { Ok(opened) }
    }

    pub(crate) fn deposit(&self, amount: u64) -> Answer {
        self.check_takes(amount).map(|()| Deposited { amount }.into())
    }

    pub(crate) fn withdraw(&self, amount: u64) -> Answer {
        self.check_covers(amount).map(|()| Withdrawn { amount }.into())
    }

    pub(crate) fn send(&self, to: &str, amount: u64) -> Answer {
        EntityId::new(to).map_err(|_| "no account has such a name")?;
        self.check_covers(amount).map(|()| TransferSent { to: to.into(), amount }.into())
    }

    pub(crate) fn receive(&self, from: String, amount: u64) -> AccountEvent {
        match self.check_takes(amount) {
            Ok(()) => TransferReceived { from, amount }.into(),
            Err(reason) => TransferDeclined { from, amount, reason: reason.into() }.into(),
        }
    }

    pub(crate) fn close(&self) -> Answer {
        self.check_open()?;
        if self.balance > 0 { Err("there is money in the account") } else { Ok(Closed.into()) }
    }

    fn check_open(&self) -> Result<(), &'static str> {
        if self.open { Ok(()) } else { Err("the account is not open") }
    }

    fn check_takes(&self, amount: u64) -> Result<(), &'static str> {
        self.check_open()?;
        self.balance.checked_add(amount).map(drop).ok_or("the balance would be too high")
    }

    fn check_covers(&self, amount: u64) -> Result<(), &'static str> {
        self.check_open()?;
        if self.balance < amount { Err("the balance is too low") } else { Ok(()) }
    }
}
