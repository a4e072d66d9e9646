//! A union has no form that is written and read.

use evenfold::prelude::*;

#[derive(Shape)]
union Amount {
    cents: u64,
    bits: f64,
}

fn main() {}
