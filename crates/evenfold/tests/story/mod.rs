//! The account that the tests of the engines tell their story with.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::allow_attributes,
    reason = "each test file is a crate of its own and uses a part of the story"
)]

use std::sync::{Arc, Mutex};

use evenfold::prelude::*;
use evenfold::stores::MessageStore;
use evenfold::{Entities, Failure, Memory, Store};
use evenfold_testkit::Recording;
use serde::{Deserialize, Serialize};

#[derive(Message, Clone, Copy, Debug, PartialEq)]
pub struct Deposit {
    pub amount: u64,
}
#[derive(Message, Clone, Copy, Debug, PartialEq)]
pub struct Deposited {
    pub amount: u64,
}
#[derive(Message, Clone, Copy, Debug, PartialEq)]
pub struct Withdrawn {
    pub amount: u64,
}

#[derive(Messages, Debug, PartialEq)]
#[messages(category = "account:command")]
pub enum AccountCommand {
    Deposit(Deposit),
}

#[derive(Messages, Debug, PartialEq)]
#[messages(category = "account")]
pub enum AccountEvent {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
}

#[derive(Clone, Default, Debug, PartialEq, Serialize, Deserialize, Snapshot)]
pub struct Account {
    pub balance: u64,
}

#[reducer(AccountEvent)]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
    fn withdrawn(&mut self, event: &Withdrawn) -> Result<(), &'static str> {
        self.balance = self.balance.checked_sub(event.amount).ok_or("more than there is")?;
        Ok(())
    }
}

/// A store that remembers writes and can be told to fail, and the handle to tell it.
pub fn recording() -> (Store, Arc<Recording>) {
    let recording = Arc::new(Recording::default());
    let messages: Arc<dyn MessageStore> = recording.clone();
    (Store::shared(messages), recording)
}

/// A handler that notes what it gets, and fails as often as it is told to.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    seen: Arc<Mutex<Vec<u64>>>,
    failures: Arc<Mutex<Vec<u64>>>,
}

impl Notes {
    pub fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }

    /// The next deposit of this amount fails, once for each time this is said.
    pub fn fail_on(&self, amount: u64) {
        self.failures.lock().unwrap().push(amount);
    }

    fn note(&self, amount: u64) -> Result<(), HandlerError> {
        let mut failures = self.failures.lock().unwrap();
        if let Some(at) = failures.iter().position(|failing| *failing == amount) {
            failures.remove(at);
            return Err(format!("no luck with {amount}").into());
        }
        self.seen.lock().unwrap().push(amount);
        Ok(())
    }
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Notes {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        self.note(event.amount)
    }
}

/// Writes deposits of these amounts to the stream of an account.
pub async fn deposit(store: &Store, id: &str, amounts: &[u64]) {
    for amount in amounts {
        let event = Deposited { amount: *amount };
        store.send::<AccountEvent>(id, event).await.unwrap();
    }
}

/// Writes deposits of these amounts to the stream of account 1, all at once.
pub async fn deposit_at_once(store: &Store, amounts: impl IntoIterator<Item = u64>) {
    let events = amounts.into_iter().map(|amount| Deposited { amount });
    store.write_all("account-1", events).await.unwrap();
}

/// What account 1 comes to.
pub async fn balance(accounts: &Entities<Account>) -> u64 {
    accounts.load("1").await.unwrap().state.balance
}

pub fn memory() -> Store {
    Store::new(Memory::new())
}

/// What a position stream holds last.
pub async fn progress(store: &Store, stream: &str) -> Option<String> {
    let stream = StreamName::new(stream).unwrap();
    let last = store.messages().last_message(&stream, None).await.unwrap()?;
    assert_eq!(&*last.message_type, "Recorded");
    Some(last.data().to_owned())
}

pub type Heard = Arc<Mutex<Vec<(u32, String)>>>;

/// What `on_error` or `on_rejection` was told: which attempt, and the text.
pub fn ear() -> (Heard, impl Fn(&Failure<'_>) + Send + Sync + 'static) {
    let heard = Heard::default();
    let into = Arc::clone(&heard);
    let hear = move |failure: &Failure<'_>| {
        into.lock().unwrap().push((failure.attempt, failure.error.to_string()));
    };
    (heard, hear)
}
