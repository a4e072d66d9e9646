//! Data into JSON and back.
//!
//! The path to a field at fault costs time, so it is looked for only when reading has failed.

use serde_json::{Deserializer, Serializer, Value};

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
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
