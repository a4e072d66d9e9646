//! A message as a store gives it back.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Message, Metadata, codec};
use crate::error::DecodeError;
use crate::private::is_named;
use crate::{GlobalPosition, Position, StreamName};

/// A message as it was read back: what was written, and where and when it came to stand.
///
/// Data and metadata are kept as JSON text and read when they are asked for, so that a message
/// nobody wants costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id.
    pub id: Uuid,
    /// The stream it stands in.
    pub stream_name: StreamName,
    /// The name of its type.
    pub message_type: Box<str>,
    /// Its place in the stream.
    pub position: Position,
    /// Its place in the store.
    pub global_position: GlobalPosition,
    /// When the store took it in, in UTC. For people; not an order, and not a time of the domain.
    pub time: OffsetDateTime,
    /// The data as it is stored; nothing stands for an empty object.
    pub data_json: Option<Box<str>>,
    /// The metadata as it is stored; nothing stands for an empty object.
    pub metadata_json: Option<Box<str>>,
}

impl Recorded {
    /// The data as JSON text.
    pub fn data(&self) -> &str {
        self.data_json.as_deref().unwrap_or(codec::EMPTY)
    }

    /// The same message as if no metadata had been stored with it.
    #[must_use]
    pub fn without_metadata(self) -> Self {
        Self { metadata_json: None, ..self }
    }

    /// Where the message stands, for error texts.
    pub fn place(&self) -> String {
        let Self { message_type, position, stream_name, global_position, .. } = self;
        format!(
            "`{message_type}` at position {position} of `{stream_name}` \
             (global position {global_position})"
        )
    }

    /// Whether the message is of this type, by its name or an alias.
    pub fn is<M: Message>(&self) -> bool {
        is_named::<M>(&self.message_type)
    }

    /// The data as a value of this type, whatever the type name says.
    ///
    /// # Errors
    ///
    /// When the data does not read as `M`; the error names message, place and field.
    pub fn decode<M: Message>(&self) -> Result<M, DecodeError> {
        codec::decode(self)
    }

    /// The metadata.
    ///
    /// # Errors
    ///
    /// When it is not metadata of a message; the error names message, place and key.
    pub fn metadata(&self) -> Result<Metadata, DecodeError> {
        let Some(json) = self.metadata_json.as_deref() else { return Ok(Metadata::default()) };
        // A client may store the JSON value null where it has nothing to say.
        if let Ok(read) = serde_json::from_str::<Option<Metadata>>(json) {
            return Ok(read.unwrap_or_default());
        }
        // Once more for the path of the key at fault, which is dear to keep track of.
        let mut reader = serde_json::Deserializer::from_str(json);
        let read: Result<Option<Metadata>, _> = serde_path_to_error::deserialize(&mut reader);
        read.map(Option::unwrap_or_default).map_err(|fault| {
            DecodeError::new(self, "metadata", fault.path().to_string(), fault.into_inner())
        })
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            id: Uuid::nil(),
            stream_name: StreamName::stored("account-1"),
            message_type: "Deposited".into(),
            position: Position::START,
            global_position: GlobalPosition::START.next(),
            time: OffsetDateTime::UNIX_EPOCH,
            data_json: None,
            metadata_json: None,
        }
    }
}
