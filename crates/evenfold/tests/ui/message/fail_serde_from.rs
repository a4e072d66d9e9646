use evenfold::prelude::*;

#[derive(Message)]
#[serde(from = "u64")]
struct Deposited {
    amount: u64,
}

fn main() {}
