//! Data into JSON and back.
//!
//! The path to a field at fault costs time, so it is looked for only when reading has failed.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Deserializer, Serializer};

use super::{Message, Recorded};
use crate::error::{DecodeError, Error, Invalid};

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
    check_data(M::TYPE, &json)?;
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

/// Refuses data that is no JSON object, or that not every store can hold.
pub(super) fn check_data(message_type: &str, json: &str) -> Result<(), Invalid> {
    if !json.trim_start().starts_with('{') {
        let rule = "its data is not a JSON object";
        return Err(Invalid::new("message", message_type, rule));
    }
    check_nul("data", message_type, json)
}

/// Refuses the character NUL, which Postgres' jsonb cannot hold.
pub(super) fn check_nul(part: &str, message_type: &str, json: &str) -> Result<(), Invalid> {
    let is_escape = |(at, _): (usize, &str)| {
        let slashes = json.as_bytes().iter().take(at).rev().take_while(|byte| **byte == b'\\');
        slashes.count() % 2 == 0
    };
    if json.match_indices("\\u0000").any(is_escape) {
        let rule = format!("its {part} holds the character NUL (\\u0000), as not every store can");
        return Err(Invalid::new("message", message_type, rule));
    }
    Ok(())
}

/// Whether two texts mean the same JSON: a store may write keys in another order, other white
/// space, and `1e16` as `10000000000000000`, as Postgres does. Numbers are compared digit by digit,
/// however many there are.
pub(super) fn same_json(one: &str, other: &str) -> bool {
    is_same(one, other, MAX_DEPTH)
}

/// As deep as `serde_json` reads; what is nested deeper no message can be read from.
const MAX_DEPTH: u8 = 128;

fn is_same(one: &str, other: &str, depth: u8) -> bool {
    if one == other {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    match (one.trim_start().as_bytes().first(), other.trim_start().as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => same_object(one, other, depth).unwrap_or(false),
        (Some(b'['), Some(b'[')) => same_array(one, other, depth).unwrap_or(false),
        (Some(b'"'), Some(b'"')) => {
            let text = serde_json::from_str::<String>;
            matches!((text(one), text(other)), (Ok(one), Ok(other)) if one == other)
        }
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => {
            Decimal::of(one.trim()) == Decimal::of(other.trim())
        }
        _ => one.trim() == other.trim(),
    }
}

fn same_object(one: &str, other: &str, depth: u8) -> serde_json::Result<bool> {
    let one: HashMap<String, &RawValue> = serde_json::from_str(one)?;
    let other: HashMap<String, &RawValue> = serde_json::from_str(other)?;
    let same = |(key, value): (&String, &&RawValue)| {
        other.get(key).is_some_and(|theirs| is_same(value.get(), theirs.get(), depth))
    };
    Ok(one.len() == other.len() && one.iter().all(same))
}

fn same_array(one: &str, other: &str, depth: u8) -> serde_json::Result<bool> {
    let one: Vec<&RawValue> = serde_json::from_str(one)?;
    let other: Vec<&RawValue> = serde_json::from_str(other)?;
    let mut pairs = one.iter().zip(&other);
    Ok(one.len() == other.len() && pairs.all(|(one, other)| is_same(one.get(), other.get(), depth)))
}

/// A number by its digits without zeros at either end, and where the point stands behind them.
#[derive(PartialEq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(number: &str) -> Self {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_negative = whole.starts_with('-');
        let all = format!("{}{fraction}", whole.trim_start_matches('-'));
        let digits = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - digits.len()).unwrap_or(i64::MAX);
        let behind_point = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        let digits = digits.trim_start_matches('0').to_owned();
        // An exponent that no number has is as good as any other that the two might share.
        let exponent = exponent.trim_start_matches('+').parse().unwrap_or(i64::MAX);
        let exponent = if digits.is_empty() {
            0
        } else {
            zeros.saturating_sub(behind_point).saturating_add(exponent)
        };
        Self { is_negative: is_negative && !digits.is_empty(), digits, exponent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_json_in_other_words_is_the_same() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b" : [ true , null ], "a" : 1 }"#),
            ("1e16", "10000000000000000"),
            ("1.10", "1.1"),
            ("-0.0", "0"),
            ("1.2E-3", "0.0012"),
            (r#""\u0041""#, r#""A""#),
            ("12345678901234567890123", "12345678901234567890123"),
        ] {
            assert!(same_json(one, other), "{one} {other}");
        }
    }

    #[test]
    fn other_json_is_not_the_same() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1,"b":1}"#, r#"{"a":1}"#),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("1", "10"),
            ("1", "-1"),
            ("1", r#""1""#),
            ("12345678901234567890123", "12345678901234567890124"),
            ("true", "false"),
            ("{}", "[]"),
        ] {
            assert!(!same_json(one, other), "{one} {other}");
        }
    }

    #[test]
    fn json_that_is_nested_without_end_is_told_apart_and_not_followed() {
        let deep = |space: &str| format!("{}{space}{}", "[".repeat(9_000), "]".repeat(9_000));
        assert!(same_json(&deep(""), &deep("")));
        assert!(!same_json(&deep(""), &deep(" ")));
    }

    #[test]
    fn the_character_nul_is_refused_and_its_spelling_is_not() {
        assert!(check_data("Noted", r#"{"text":"a\u0000b"}"#).is_err());
        assert!(check_data("Noted", r#"{"text":"\\\u0000"}"#).is_err());
        assert!(check_data("Noted", r#"{"text":"\\u0000"}"#).is_ok());
    }
}
