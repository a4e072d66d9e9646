use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "bank-account", name = "account")]
enum AccountEvent {
    Deposited(Deposited),
    PaidIn(Deposited),
    Closed,
}

fn main() {}
