use evenfold::prelude::*;

#[derive(Message)]
#[serde(rename = "PaidIn")]
struct Deposited {
    amount: u64,
}

fn main() {}
