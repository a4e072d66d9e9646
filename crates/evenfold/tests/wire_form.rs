//! The wire form that `#[derive(Message)]` gives: keys, empty data, names, serde attributes.

#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod raw;

use std::collections::BTreeMap;
use std::marker::PhantomData;

use evenfold::message::Encode;
use evenfold::prelude::*;
use raw::{data, recorded};
use serde::Serialize;
use uuid::Uuid;

#[derive(Message, Debug, PartialEq)]
#[message(type = "Deposited", alias = "MoneyIn", alias = "PaidIn")]
struct Deposit {
    amount_in_cents: u64,
    r#type: String,
}

#[derive(Message, Debug, PartialEq)]
struct Closed;

#[derive(Message, Debug, PartialEq)]
struct Frozen {}

#[test]
fn keys_are_camel_case_and_the_type_is_pinned() {
    let message = Deposit { amount_in_cents: 5, r#type: "cash".to_owned() };
    let written = message.encode(Uuid::nil()).unwrap();
    assert_eq!(written.data(), r#"{"amountInCents":5,"type":"cash"}"#);
    assert_eq!(written.message_type(), "Deposited");
    assert_eq!(recorded("PaidIn", written.data()).decode::<Deposit>().unwrap(), message);
}

#[test]
fn a_message_without_fields_is_an_empty_object() {
    assert_eq!((data(&Closed), data(&Frozen {})), ("{}".to_owned(), "{}".to_owned()));
    assert_eq!(recorded("Closed", r#"{"more":1}"#).decode::<Closed>().unwrap(), Closed);
    assert_eq!(recorded("Frozen", "{}").decode::<Frozen>().unwrap(), Frozen {});
    assert!(recorded("Closed", "5").decode::<Closed>().is_err());
}

#[derive(Message)]
#[message(verbatim_keys)]
struct Verbatim {
    amount_in_cents: u64,
}

#[derive(Message)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Screaming {
    amount_in_cents: u64,
}

#[test]
fn keys_can_be_kept_as_they_are_or_cased_otherwise() {
    assert_eq!(data(&Verbatim { amount_in_cents: 5 }), r#"{"amount_in_cents":5}"#);
    assert_eq!(data(&Screaming { amount_in_cents: 5 }), r#"{"AMOUNT_IN_CENTS":5}"#);
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(n: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{n:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
        let text = String::deserialize(reader)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

#[derive(Message, Debug, Default, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Noted {
    #[serde(rename = "TEXT")]
    note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(with = "hex")]
    colour: u64,
    #[serde(skip)]
    seen: bool,
}

#[test]
fn the_attributes_of_serde_are_passed_on() {
    let message = Noted { note: "a".to_owned(), by: None, colour: 255, seen: true };
    assert_eq!(data(&message), r#"{"TEXT":"a","colour":"ff"}"#);
    let read = recorded("Noted", r#"{"colour":"ff"}"#).decode::<Noted>().unwrap();
    assert_eq!(read, Noted { colour: 255, ..Noted::default() });
    assert!(recorded("Noted", r#"{"other":1}"#).decode::<Noted>().is_err());
}

#[derive(Message)]
struct Tagged {
    id: u64,
    #[serde(flatten)]
    more: BTreeMap<String, u64>,
}

#[test]
fn a_field_can_be_flattened() {
    let message = Tagged { id: 1, more: BTreeMap::from([("other".to_owned(), 2)]) };
    assert_eq!(data(&message), r#"{"id":1,"other":2}"#);
    let read = recorded("Tagged", r#"{"id":1,"other":2}"#).decode::<Tagged>().unwrap();
    assert_eq!((read.id, read.more), (1, message.more));
}

trait Unit {
    type Amount;
}

struct Cents;

impl Unit for Cents {
    type Amount = u64;
}

#[derive(Message)]
struct Counted<T: Clone, U: Unit, const N: usize>
where
    T: PartialEq,
{
    what: Vec<T>,
    #[serde(skip)]
    unit: PhantomData<U>,
    amount: U::Amount,
}

#[derive(Message)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: serde::Deserialize<'de>"))]
struct Bound<T> {
    what: T,
}

#[test]
fn a_message_may_be_generic() {
    let unit = PhantomData::<Cents>;
    let message = Counted::<_, _, 2> { what: vec!["a".to_owned()], unit, amount: 5 };
    assert_eq!(data(&message), r#"{"what":["a"],"amount":5}"#);
    let read = recorded("Counted", &data(&message)).decode::<Counted<String, Cents, 2>>();
    assert_eq!(read.unwrap().what, ["a"]);
    assert_eq!(data(&Bound { what: 5 }), r#"{"what":5}"#);
    assert_eq!(recorded("Bound", r#"{"what":5}"#).decode::<Bound<u8>>().unwrap().what, 5);
}

#[test]
fn data_that_does_not_read_names_the_field() {
    let fault = recorded("Deposited", r#"{"amountInCents":"much","type":""}"#);
    let fault = fault.decode::<Deposit>().unwrap_err().to_string();
    assert!(fault.contains("amountInCents"), "{fault}");
}
