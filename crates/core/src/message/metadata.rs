//! What travels beside the data: where a message comes from and whom it answers.
//!
//! Owns the keys of Eventide's metadata and how one message follows another.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::Recorded;
use crate::{GlobalPosition, Position, StreamName};

/// How a message came about, under the keys that Eventide's clients write and read.
///
/// Law: an absent value is not written, and empty metadata is not stored at all. Keys of other
/// clients are kept in [`other`](Self::other).
///
/// # Examples
///
/// ```
/// use evenfold_core::StreamName;
/// use evenfold_core::message::Metadata;
///
/// let metadata = Metadata {
///     correlation_stream_name: Some(StreamName::new("transfer-7")?),
///     ..Metadata::default()
/// };
/// assert_eq!(metadata.to_json().unwrap(), r#"{"correlationStreamName":"transfer-7"}"#);
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The stream of the message that this one follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_message_stream_name: Option<StreamName>,
    /// The position of the message that this one follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_message_position: Option<Position>,
    /// The global position of the message that this one follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_message_global_position: Option<GlobalPosition>,
    /// The stream that began the work this message is part of; a category can be read by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_stream_name: Option<StreamName>,
    /// The stream to which a reply is to be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_stream_name: Option<StreamName>,
    /// Values that every following message takes over.
    #[serde(skip_serializing_if = "Map::is_empty", deserialize_with = "null_is_empty")]
    pub properties: Map<String, Value>,
    /// Values of this message alone.
    #[serde(skip_serializing_if = "Map::is_empty", deserialize_with = "null_is_empty")]
    pub local_properties: Map<String, Value>,
    /// The version of the data's shape, as its writer counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,
    /// Keys that are none of the above.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Metadata {
    /// Makes this the metadata of a message that follows `preceding`, whose metadata is `its`.
    ///
    /// Law: causation is where `preceding` stands; correlation and reply are its own, even when it
    /// has none, so set your own correlation afterwards; its properties are merged into these, key
    /// by key, and win; local properties and schema version are left.
    /// Source: `follow` of Eventide's message metadata.
    pub fn follow(&mut self, preceding: &Recorded, its: &Self) {
        self.causation_message_stream_name = Some(preceding.stream_name.clone());
        self.causation_message_position = Some(preceding.position);
        self.causation_message_global_position = Some(preceding.global_position);
        self.correlation_stream_name.clone_from(&its.correlation_stream_name);
        self.reply_stream_name.clone_from(&its.reply_stream_name);
        self.properties
            .extend(its.properties.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// Whether this is the metadata of a message that follows `preceding`, whose metadata is `its`.
    ///
    /// Correlation and reply count only where `preceding` has them.
    pub fn follows(&self, preceding: &Recorded, its: &Self) -> bool {
        let same = |theirs: &Option<StreamName>, ours: &Option<StreamName>| {
            theirs.is_none() || theirs == ours
        };
        self.causation_message_stream_name.as_ref() == Some(&preceding.stream_name)
            && self.causation_message_position == Some(preceding.position)
            && self.causation_message_global_position == Some(preceding.global_position)
            && same(&its.correlation_stream_name, &self.correlation_stream_name)
            && same(&its.reply_stream_name, &self.reply_stream_name)
    }

    /// Takes the stream to reply to out of the metadata, so that a reply does not ask for another.
    pub fn take_reply(&mut self) -> Option<StreamName> {
        self.reply_stream_name.take()
    }

    /// Whether the message belongs to the work that began in `stream`; a category alone stands for
    /// all its streams.
    pub fn is_correlated_with(&self, stream: &StreamName) -> bool {
        self.correlation_stream_name.as_ref().is_some_and(|ours| {
            if stream.is_category() {
                ours.category_str() == stream.category_str()
            } else {
                ours == stream
            }
        })
    }

    /// The JSON text that is stored, or nothing when there is nothing to say.
    pub fn to_json(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        // Strings, numbers and JSON values always have a JSON text.
        serde_json::to_string(self).ok()
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(of: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(of)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recorded() -> Recorded {
        Recorded {
            stream_name: StreamName::stored("account:command-1"),
            position: Position::new(3).unwrap(),
            global_position: GlobalPosition::new(9).unwrap(),
            ..Recorded::example()
        }
    }

    fn properties(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_follower_takes_causation_correlation_reply_and_properties() {
        let its = Metadata {
            correlation_stream_name: Some(StreamName::stored("transfer-7")),
            properties: properties(&json!({"user": "ann", "trace": 1})),
            local_properties: properties(&json!({"private": true})),
            schema_version: Some("2".into()),
            ..Metadata::default()
        };
        let mut metadata = Metadata {
            reply_stream_name: Some(StreamName::stored("mine-1")),
            properties: properties(&json!({"trace": 0, "own": 1})),
            ..Metadata::default()
        };
        metadata.follow(&recorded(), &its);
        assert_eq!(
            serde_json::to_value(&metadata).unwrap(),
            json!({
                "causationMessageStreamName": "account:command-1",
                "causationMessagePosition": 3,
                "causationMessageGlobalPosition": 9,
                "correlationStreamName": "transfer-7",
                "properties": {"user": "ann", "trace": 1, "own": 1},
            })
        );
        assert!(metadata.follows(&recorded(), &its));
        assert!(!Metadata::default().follows(&recorded(), &Metadata::default()));
    }

    #[test]
    fn keys_of_other_clients_are_kept() {
        let json = r#"{"schemaVersion":"1","streamVersion":4}"#;
        let metadata: Metadata = serde_json::from_str(json).unwrap();
        assert_eq!(metadata.other["streamVersion"], 4);
        assert_eq!(metadata.to_json().unwrap(), json);
    }

    #[test]
    fn null_is_absence() {
        let metadata: Metadata = serde_json::from_str(
            r#"{"replyStreamName":null,"causationMessagePosition":null,"properties":null}"#,
        )
        .unwrap();
        assert_eq!(metadata, Metadata::default());
        assert_eq!(metadata.to_json(), None);
    }

    #[test]
    fn correlation_with_a_category_means_all_its_streams() {
        let metadata = Metadata {
            correlation_stream_name: Some(StreamName::stored("transfer-7")),
            ..Metadata::default()
        };
        assert!(metadata.is_correlated_with(&StreamName::stored("transfer")));
        assert!(metadata.is_correlated_with(&StreamName::stored("transfer-7")));
        assert!(!metadata.is_correlated_with(&StreamName::stored("transfer-8")));
    }
}
