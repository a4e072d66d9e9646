use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    #[serde(renam = "cents")]
    amount: u64,
}

fn main() {}
