use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Message)]
struct Closed;

#[derive(Message)]
#[message(type = "Deposited")]
struct PaidIn {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
    Closed(Closed),
    PaidIn(PaidIn),
}

fn main() {}
