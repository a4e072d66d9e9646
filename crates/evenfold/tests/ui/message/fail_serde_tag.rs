use evenfold::prelude::*;

#[derive(Message)]
#[serde(tag = "kind")]
struct Deposited {
    amount: u64,
}

fn main() {}
