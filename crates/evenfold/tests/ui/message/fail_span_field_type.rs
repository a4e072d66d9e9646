use evenfold::prelude::*;

struct Money {
    cents: u64,
}

#[derive(Message)]
struct Deposited {
    amount: Money,
}

fn main() {}
