//! A key that the macro does not know, on a field.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Snapshot)]
struct Account {
    #[snapshot(version = 1)]
    balance: u64,
}

fn main() {}
