use evenfold::prelude::*;

#[derive(Message)]
union Deposited {
    amount: u64,
    cents: u64,
}

fn main() {}
