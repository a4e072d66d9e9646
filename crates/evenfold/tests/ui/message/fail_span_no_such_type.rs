use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: Mony,
}

fn main() {}
