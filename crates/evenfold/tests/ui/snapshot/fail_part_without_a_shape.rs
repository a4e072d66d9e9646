//! A part whose shape is not known.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Amount(u64);

#[derive(Serialize, Deserialize, Snapshot)]
struct Account {
    amounts: Vec<Amount>,
}

fn main() {}
