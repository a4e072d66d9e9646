use evenfold::prelude::*;

#[derive(Message)]
#[message(crate = "evenfold")]
struct Deposited {
    amount: u64,
}

fn main() {}
