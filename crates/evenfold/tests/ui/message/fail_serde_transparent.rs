use evenfold::prelude::*;

#[derive(Message)]
#[serde(transparent)]
struct Deposited {
    amount: u64,
}

fn main() {}
