use evenfold::prelude::*;
use evenfold::reducer::Reducer;

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

fn load<S: Reducer>() {}

fn main() {
    load::<Account>();
}
