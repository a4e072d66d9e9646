//! Metadata: with every key, with none, with keys of other clients.
//!
//! What the keys mean is in `evenfold_core::message::Metadata`.

use evenfold_core::error::Invalid;
use evenfold_core::message::Metadata;
use evenfold_core::{GlobalPosition, Position, StreamName};
use serde_json::{Map, Value, json};

/// Metadata with a value under every key that Eventide knows.
///
/// # Errors
///
/// None; the type has them.
pub fn complete() -> Result<Metadata, Invalid> {
    Ok(Metadata {
        causation_message_stream_name: Some(StreamName::new("account:command-123+abc")?),
        causation_message_position: Some(Position::new(11)?),
        causation_message_global_position: Some(GlobalPosition::new(i64::MAX)?),
        correlation_stream_name: Some(StreamName::new("transfer:v1-7")?),
        reply_stream_name: Some(StreamName::new("transfer:reply-7")?),
        properties: properties(),
        local_properties: map(&json!({"private": true, "empty": {}})),
        schema_version: Some("1.2".into()),
        other: Map::new(),
    })
}

/// The JSON of [`complete`], as it is stored.
pub fn complete_json() -> Value {
    json!({
        "causationMessageStreamName": "account:command-123+abc",
        "causationMessagePosition": 11,
        "causationMessageGlobalPosition": i64::MAX,
        "correlationStreamName": "transfer:v1-7",
        "replyStreamName": "transfer:reply-7",
        "properties": properties(),
        "localProperties": {"private": true, "empty": {}},
        "schemaVersion": "1.2",
    })
}

/// Metadata with keys that are not ours, beside one that is.
pub fn unknown_keys() -> Metadata {
    Metadata {
        schema_version: Some("2".into()),
        other: map(&json!({
            "streamVersion": 4,
            "$traceId": "00-4bf92f3577b34da6-01",
            "snake_case": {"nested": [1, 2.5, null]},
            "ünïcode 😀": "'\"\\",
        })),
        ..Metadata::default()
    }
}

/// Metadata of a message that belongs to the work that began in this stream.
///
/// # Errors
///
/// When the text is not a stream name.
pub fn correlated_with(stream: &str) -> Result<Metadata, Invalid> {
    let correlation_stream_name = Some(StreamName::new(stream)?);
    Ok(Metadata { correlation_stream_name, ..Metadata::default() })
}

fn properties() -> Map<String, Value> {
    map(&json!({"user": "ann", "trace": {"id": "😀", "depth": 3}, "": null, "rate": 1.5}))
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
