use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    #[message(alias = "cents")]
    amount: u64,
}

fn main() {}
