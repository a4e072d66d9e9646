use std::sync::atomic::{AtomicU64, Ordering};

use evenfold::handler::Handler;
use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Message)]
struct Closed;

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
    Closed(Closed),
}

struct Teller {
    balance: AtomicU64,
}

impl Teller {
    fn add(&self, amount: u64) {
        self.balance.fetch_add(amount, Ordering::Relaxed);
    }
}

fn subscribe(_: impl Handler) {}

fn main() {
    subscribe(Teller { balance: AtomicU64::new(0) });
}
