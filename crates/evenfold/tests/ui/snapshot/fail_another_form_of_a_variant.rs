//! A variant that is written by a function, whose form the shape does not show.

use evenfold::prelude::*;
use serde::{Deserialize, Serialize};

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(of: D) -> Result<u64, D::Error> {
        String::deserialize(of)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize, Snapshot)]
enum Account {
    #[serde(with = "as_text")]
    Open(u64),
}

fn main() {}
