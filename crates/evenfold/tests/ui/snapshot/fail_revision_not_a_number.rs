//! A revision is counted.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Snapshot)]
#[snapshot(revision = "2")]
struct Account {
    balance: u64,
}

fn main() {}
