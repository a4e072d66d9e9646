//! What a variant is made of are its fields.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Snapshot)]
enum Account {
    #[snapshot(revision = 2)]
    Open { balance: u64 },
    Closed,
}

fn main() {}
