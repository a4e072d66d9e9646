use evenfold::prelude::*;

#[derive(Message)]
#[message(alias("PaidIn", "MoneyIn"))]
struct Deposited {
    amount: u64,
}

fn main() {}
