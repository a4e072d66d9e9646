use evenfold::prelude::*;

#[derive(Message)]
#[message(verbatim_keys = true)]
struct Deposited {
    amount: u64,
}

fn main() {}
