//! One count is enough.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Snapshot)]
#[snapshot(revision = 2, revision = 3)]
struct Account {
    balance: u64,
}

fn main() {}
