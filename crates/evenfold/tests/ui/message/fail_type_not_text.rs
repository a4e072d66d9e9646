use evenfold::prelude::*;

#[derive(Message)]
#[message(type = Deposited)]
struct Deposit {
    amount: u64,
}

fn main() {}
