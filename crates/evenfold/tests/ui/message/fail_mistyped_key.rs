use evenfold::prelude::*;

#[derive(Message)]
#[message(alais = "PaidIn")]
struct Deposited {
    amount: u64,
}

fn main() {}
