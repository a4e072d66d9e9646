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

struct Account {
    balance: u64,
}

#[reducer(AccountEvent, skip(Deposited, Closed))]
impl Account {
    fn new() -> Self {
        Self { balance: 0 }
    }
}

fn main() {}
