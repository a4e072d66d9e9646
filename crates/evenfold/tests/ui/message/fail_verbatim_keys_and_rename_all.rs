use evenfold::prelude::*;

#[derive(Message)]
#[message(verbatim_keys)]
#[serde(rename_all = "snake_case")]
struct Deposited {
    amount: u64,
}

fn main() {}
