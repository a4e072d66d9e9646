//! A state that is written as another type, which the shape does not show.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Kept {
    balance: u64,
}

#[derive(Clone, Serialize, Deserialize, Snapshot)]
#[serde(from = "Kept", into = "Kept")]
struct Account {
    balance: u64,
}

impl From<Kept> for Account {
    fn from(Kept { balance }: Kept) -> Self {
        Self { balance }
    }
}

impl From<Account> for Kept {
    fn from(Account { balance }: Account) -> Self {
        Self { balance }
    }
}

fn main() {}
