use evenfold::prelude::*;

#[derive(Message)]
#[message(alias = "PaidIn", alias = "PaidIn")]
struct Deposited {
    amount: u64,
}

fn main() {}
