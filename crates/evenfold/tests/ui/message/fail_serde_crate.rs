use evenfold::prelude::*;

#[derive(Message)]
#[serde(crate = "other::serde")]
struct Deposited {
    amount: u64,
}

fn main() {}
