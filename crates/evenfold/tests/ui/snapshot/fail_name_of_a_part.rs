//! A part of a state has no name.

use evenfold::prelude::*;

#[derive(Shape)]
#[snapshot(name = "amount")]
struct Amount {
    cents: u64,
}

fn main() {}
