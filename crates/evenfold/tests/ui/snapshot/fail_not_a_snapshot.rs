//! Snapshots of a state that cannot be kept.

use evenfold::prelude::*;
use evenfold::{Snapshots, Store};

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
}

#[derive(Default)]
struct Account {
    balance: u64,
}

#[reducer(AccountEvent)]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

fn accounts(store: &Store) {
    let _accounts = store.entities::<Account>().snapshots(Snapshots::every(100));
}

fn main() {}
