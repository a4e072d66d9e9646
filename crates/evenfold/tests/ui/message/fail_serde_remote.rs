use evenfold::prelude::*;

#[derive(Message)]
#[serde(remote = "Other")]
struct Deposited {
    amount: u64,
}

fn main() {}
