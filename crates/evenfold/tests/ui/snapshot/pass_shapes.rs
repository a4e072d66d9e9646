//! Everything that a state may be made of.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

use evenfold::prelude::*;
use evenfold::Position;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Snapshot)]
#[serde(rename_all = "camelCase")]
#[snapshot(name = "ledger", revision = 3)]
struct Ledger<T: Clone> {
    r#type: String,
    amounts: Vec<Amount>,
    by_day: BTreeMap<i32, [u64; 2]>,
    last: Option<(Position, EntityId)>,
    held: HashMap<String, Box<T>>,
    #[snapshot(revision = 1)]
    nested: Nested,
    #[serde(skip)]
    seen: PhantomData<std::cell::Cell<u8>>,
}

#[derive(Serialize, Deserialize, Shape)]
enum Amount {
    Nothing,
    Cents(u64),
    Foreign { currency: String, units: i64 },
}

#[derive(Serialize, Deserialize, Shape)]
struct Nested {
    #[snapshot(revision = 1)]
    within: Vec<Nested>,
}

#[derive(Serialize, Deserialize, Snapshot)]
enum Account {
    Open { balance: u64 },
    Closed,
}

#[derive(Serialize, Deserialize, Snapshot)]
struct Unit;

fn is_kept<S: Snapshot>() -> &'static str {
    S::NAME
}

fn main() {
    assert_eq!(is_kept::<Ledger<u8>>(), "ledger");
    assert_eq!(is_kept::<Account>(), "account");
    assert_eq!(is_kept::<Unit>(), "unit");
    assert_ne!(Ledger::<u8>::SHAPE, Ledger::<u16>::SHAPE);
}
