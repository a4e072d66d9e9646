use evenfold::prelude::*;

#[derive(Message)]
enum AccountEvent {
    Deposited { amount: u64 },
}

fn main() {}
