use evenfold::prelude::*;

#[derive(Message)]
#[serde(defualt)]
struct Deposited {
    amount: u64,
}

fn main() {}
