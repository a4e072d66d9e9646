use evenfold::prelude::*;

#[derive(Message)]
#[message(category = "account")]
struct Deposited {
    amount: u64,
}

fn main() {}
