//! Everything that a state may be made of.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::num::NonZeroI64;
use std::sync::Arc;

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
    #[serde(with = "as_text")]
    #[snapshot(revision = 1)]
    number: u64,
    #[serde(default = "nothing", skip)]
    seen: PhantomData<std::cell::Cell<u8>>,
}

fn nothing<T>() -> PhantomData<T> {
    PhantomData
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(of: D) -> Result<u64, D::Error> {
        String::deserialize(of)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize, Shape)]
enum Amount {
    Nothing,
    Cents(u64),
    Foreign { currency: Currency, units: NonZeroI64 },
}

#[derive(Clone, Serialize, Deserialize, Shape)]
#[serde(from = "String", into = "String")]
#[snapshot(revision = 1)]
struct Currency {
    code: Arc<str>,
}

impl From<String> for Currency {
    fn from(code: String) -> Self {
        Self { code: code.into() }
    }
}

impl From<Currency> for String {
    fn from(Currency { code }: Currency) -> Self {
        code.to_string()
    }
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

#[derive(Serialize, Deserialize, Snapshot)]
struct Window<const SIZE: usize, const LETTER: char, const OPEN: bool, const BELOW: i8>;

fn is_kept<S: Snapshot>() -> &'static str {
    S::NAME
}

fn main() {
    assert_eq!(is_kept::<Ledger<u8>>(), "ledger");
    assert_eq!(is_kept::<Account>(), "account");
    assert_eq!(is_kept::<Unit>(), "unit");
    assert_ne!(Ledger::<u8>::SHAPE, Ledger::<u16>::SHAPE);
    assert_ne!(Window::<1, 'a', true, -1>::SHAPE, Window::<1, 'a', true, -2>::SHAPE);
}
