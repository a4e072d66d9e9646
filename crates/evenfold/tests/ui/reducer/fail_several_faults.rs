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

#[reducer(AccountEvent, skp(Closed), skip())]
impl Account {
    const LIMIT: u64 = 5;

    async fn deposited(&self, _: Deposited) {}

    fn closed(&mut self) {}
}

fn main() {}
