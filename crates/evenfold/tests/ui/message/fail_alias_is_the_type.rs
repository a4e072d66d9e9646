use evenfold::prelude::*;

#[derive(Message)]
#[message(alias = "Deposited")]
struct Deposited {
    amount: u64,
}

fn main() {}
