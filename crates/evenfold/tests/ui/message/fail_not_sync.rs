use std::cell::Cell;

use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    #[serde(skip)]
    amount: Cell<u64>,
}

fn main() {}
