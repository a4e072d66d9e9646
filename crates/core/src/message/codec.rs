//! Data into JSON and back.
//!
//! The path to a field at fault costs time, so it is looked for only when reading has failed.

use serde_json::{Deserializer, Number, Serializer, Value};

use super::{Message, Recorded};
use crate::error::{DecodeError, Error};

/// What nothing stands for: Eventide's clients store an empty object as NULL.
pub(super) const EMPTY: &str = "{}";

pub(super) fn stored_data(json: Box<str>) -> Option<Box<str>> {
    (&*json != EMPTY).then_some(json)
}

pub(super) fn encode<M: Message>(message: &M) -> Result<Option<Box<str>>, Error> {
    let mut json = Vec::with_capacity(128);
    message
        .to_data(&mut Serializer::new(&mut json))
        .map_err(|source| Error::encode(M::TYPE, source))?;
    let json = String::from_utf8(json).map_err(|source| Error::failed("writing JSON", source))?;
    Ok(stored_data(json.into()))
}

pub(super) fn decode<M: Message>(recorded: &Recorded) -> Result<M, DecodeError> {
    read(recorded.data()).map_err(|fault| match at_path::<M>(recorded.data()) {
        Some((path, fault)) => DecodeError::new(recorded, "data", path, fault),
        None => DecodeError::new(recorded, "data", String::new(), fault),
    })
}

fn read<M: Message>(json: &str) -> Result<M, serde_json::Error> {
    let mut reader = Deserializer::from_str(json);
    let message = M::from_data(&mut reader)?;
    reader.end()?;
    Ok(message)
}

fn at_path<M: Message>(json: &str) -> Option<(String, serde_json::Error)> {
    let mut track = serde_path_to_error::Track::new();
    let mut reader = Deserializer::from_str(json);
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let fault = M::from_data(tracked).err()?;
    Some((track.path().to_string(), fault))
}

pub(super) fn same_json(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)) {
        (Ok(one), Ok(other)) => same_value(&one, &other),
        _ => false,
    }
}

/// Equality of what is meant: a store may write `1e16` as `10000000000000000`, as Postgres does.
fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, a)| other.get(key).is_some_and(|b| same_value(a, b)))
        }
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.is_f64() != other.is_f64() && plain(one) == plain(other))
        }
        _ => one == other,
    }
}

/// The digits of a number without an exponent, and without a point where it is whole.
fn plain(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}
