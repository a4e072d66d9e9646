use evenfold::prelude::*;

#[derive(Message)]
#[message = "Deposited"]
struct Deposited {
    amount: u64,
}

fn main() {}
