//! A name that would end in the middle of a stream's name.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Snapshot)]
#[snapshot(name = "loyal-account")]
struct Account {
    balance: u64,
}

fn main() {}
