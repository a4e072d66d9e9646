use evenfold::prelude::*;

#[derive(Message)]
#[message(type = "")]
struct Deposit {
    amount: u64,
}

fn main() {}
