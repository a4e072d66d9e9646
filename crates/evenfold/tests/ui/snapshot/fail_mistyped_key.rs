//! A key that the macro does not know.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Snapshot)]
#[snapshot(nam = "account")]
struct Account {
    balance: u64,
}

fn main() {}
