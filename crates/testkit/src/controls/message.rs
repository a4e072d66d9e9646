//! Messages of an account, and data that a backend might spoil.
//!
//! The message types are written by hand, as the derive would write them: testkit knows no macros.

use evenfold_core::Error;
use evenfold_core::message::{Encode, Message, NewMessage};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Money came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposited {
    /// How much.
    pub amount: i64,
}

/// Money went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// How much.
    pub amount: i64,
}

/// The account is closed; a message without data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {}

macro_rules! message {
    ($($name:ident),+) => {$(
        impl Message for $name {
            const TYPE: &'static str = stringify!($name);

            fn to_data<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn from_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )+};
}

message!(Deposited, Withdrawn, Closed);

/// A deposit of the amount `number`, under the id of that number.
///
/// # Errors
///
/// None; the type has them.
pub fn deposited(number: u32) -> Result<NewMessage, Error> {
    Deposited { amount: i64::from(number) }.encode(super::id(number.into()))
}

/// A withdrawal of the amount `number`, under the id of that number.
///
/// # Errors
///
/// None; the type has them.
pub fn withdrawn(number: u32) -> Result<NewMessage, Error> {
    Withdrawn { amount: i64::from(number) }.encode(super::id(number.into()))
}

/// A closing, a message with empty data, under the id of that number.
///
/// # Errors
///
/// None; the type has them.
pub fn closed(number: u32) -> Result<NewMessage, Error> {
    Closed {}.encode(super::id(number.into()))
}

/// A message of any type with any JSON text as its data, under the id of that number.
///
/// # Errors
///
/// When the text is not JSON, or the type not a message type.
pub fn raw(
    number: u32,
    message_type: impl Into<String>,
    json: impl Into<String>,
) -> Result<NewMessage, Error> {
    let message_type = message_type.into();
    let data = RawValue::from_string(json.into())
        .map_err(|fault| Error::encode(message_type.clone(), fault))?;
    Ok(NewMessage::new(super::id(number.into()), message_type, &data)?)
}

/// JSON texts that a backend might spoil, each with what is awkward about it.
pub fn awkward_data() -> Vec<(&'static str, String)> {
    let mut awkward: Vec<_> = AWKWARD.iter().map(|(what, json)| (*what, (*json).into())).collect();
    awkward.push(("deep nesting", nested(100)));
    awkward.push(("a very long string", long_text(1_000_000)));
    awkward.push(("many keys", many_keys(2_000)));
    awkward
}

const AWKWARD: [(&str, &str); 20] = [
    ("an empty object", "{}"),
    ("an empty object with a space", "{ }"),
    ("a null value", r#"{"nothing":null}"#),
    ("an array of all kinds", r#"{"all":[1,"two",{"three":3},[],null]}"#),
    ("white space", "{ \"b\" : 1 ,\n\t\"a\" : [ 2 , 3 ] }"),
    ("keys out of order", r#"{"b":1,"a":2,"aa":3,"B":4}"#),
    ("letters of many scripts", r#"{"text":"Grüße, 你好, שלום, Ελλάδα, ‏مرحبا"}"#),
    ("emoji of several code points", r#"{"text":"👩‍👩‍👧‍👦 🏳️‍🌈 🇨🇭 e\u0301"}"#),
    ("a surrogate pair, escaped", r#"{"text":"\ud83d\ude00"}"#),
    ("quotes and backslashes", r#"{"text":"\"it's\" C:\\dir\\ '' -- ; $1 ?1 :a @b %s {}"}"#),
    ("control characters", r#"{"text":"\u0001\b\f\n\r\t\u001f\u007f\u2028"}"#),
    ("the largest whole numbers", r#"{"max":9223372036854775807,"min":-9223372036854775808}"#),
    ("a whole number above i64", r#"{"amount":18446744073709551615}"#),
    ("a number of 23 digits", r#"{"amount":12345678901234567890123}"#),
    ("a price with a zero behind it", r#"{"price":1.10,"rate":0.1,"none":0.0}"#),
    ("numbers with exponents", r#"{"large":1e16,"tiny":1.5e-7,"hundred":1E2,"minus":-2.5e+3}"#),
    ("booleans and words alike", r#"{"yes":true,"no":false,"word":"true","number":"1"}"#),
    ("odd keys", r#"{"":1,"a.b":2,"a b":3,"$ref":4,"ключ":5,"\"":6,"a'b":7,"[0]":8,"😀":9}"#),
    ("keys in snake case", r#"{"account_id":"1","accountId":"2"}"#),
    ("text that looks like a time", r#"{"time":"2000-01-01T00:00:00.001Z","date":"2000-01-01"}"#),
];

/// Objects in one another, this many; a reader of JSON gives up at 128.
fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"in":"#.repeat(depth), "}".repeat(depth))
}

/// Data with one text of at least so many bytes, not all of one byte a letter.
pub fn long_text(bytes: usize) -> String {
    format!(r#"{{"text":"{}"}}"#, "long ünd ".repeat(bytes / 10 + 1))
}

fn many_keys(count: usize) -> String {
    let keys: Vec<_> = (0..count).map(|key| format!(r#""key{key}":{key}"#)).collect();
    format!("{{{}}}", keys.join(","))
}

/// Names of message types that a backend might spoil.
pub fn awkward_types() -> Vec<String> {
    let mut types: Vec<String> =
        ["Deposited", "deposited", "With Space", "Überwiesen", "o'Brien\"s; --", "a%_b", "😀", "1"]
            .map(Into::into)
            .into();
    types.push("Long".repeat(100));
    types
}
