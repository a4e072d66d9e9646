use evenfold::prelude::*;

#[derive(Message)]
#[message(type = "Deposited")]
#[message(type = "PaidIn")]
struct Deposit {
    amount: u64,
}

fn main() {}
