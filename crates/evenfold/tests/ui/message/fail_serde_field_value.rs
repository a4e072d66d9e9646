use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    #[serde(with = cents)]
    amount: u64,
}

fn main() {}
