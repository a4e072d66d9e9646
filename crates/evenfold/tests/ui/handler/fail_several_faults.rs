use std::sync::atomic::{AtomicU64, Ordering};

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

#[handler(AccountEvent, name = Teller, skip)]
impl Teller {
    fn deposited(&mut self, _: Deposited) {}

    async fn closed(&self) {}
}

fn main() {}
