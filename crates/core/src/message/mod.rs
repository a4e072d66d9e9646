//! What a message is: one type, and the closed set of a category.
//!
//! Owns the [`Message`] and [`Messages`] traits and a message on its way into a store. How data
//! becomes JSON is in `codec.rs`, what travels beside it in `metadata.rs`, what comes back out in
//! `recorded.rs`.

mod codec;
mod convert;
mod metadata;
mod recorded;

use std::borrow::Cow;

use serde::{Deserializer, Serializer};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{DecodeError, Error, Invalid};
use crate::{Category, GlobalPosition, Position, StreamName};

pub use convert::Converters;
pub use metadata::Metadata;
pub use recorded::Recorded;

/// One type of message: an event, a command, or any other fact or request.
///
/// `#[derive(Message)]` writes it, with the wire form that Eventide's clients read: JSON data with
/// camelCase keys.
///
/// Laws:
/// - *The name is pinned.* [`TYPE`](Self::TYPE) is what is stored; renaming the Rust type must not
///   change it. A type that was renamed on the wire keeps its old names in
///   [`ALIASES`](Self::ALIASES), which are read and never written.
/// - *Round trip.* What [`to_data`](Self::to_data) wrote, [`from_data`](Self::from_data) reads as
///   an equal value; the data is a JSON object.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "this type is not a message",
    note = "add `#[derive(Message)]` to `{Self}`"
)]
pub trait Message: Sized + Send + Sync + 'static {
    /// The type name that is stored with each message.
    const TYPE: &'static str;

    /// Type names that are read as this type too.
    const ALIASES: &'static [&'static str] = &[];

    /// Writes the data.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    fn to_data<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads the data.
    ///
    /// # Errors
    ///
    /// Those of the deserializer, when the data is not of this type.
    fn from_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// The closed set of the messages of a category: what a reducer or a handler covers.
///
/// `#[derive(Messages)]` on an enum with one message in each variant writes it.
///
/// Laws:
/// - *Closed.* [`decode`](Self::decode) answers a type outside the set with none, and a type inside
///   it that does not read with an error; never the one for the other.
/// - *Distinct.* No type name, alias or not, stands for two messages of the set.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of messages",
    label = "this type is not a set of messages",
    note = "add `#[derive(Messages)]` and `#[messages(category = \"…\")]` to the enum that lists them"
)]
pub trait Messages: Encode + Sized + Send + Sync + 'static {
    /// The category that the messages of the set belong to.
    const CATEGORY: &'static str;

    /// Every type name of the set, the aliases too.
    const TYPES: &'static [&'static str];

    /// Reads a recorded message, if its type is in the set.
    ///
    /// # Errors
    ///
    /// When the type is in the set and the data is not of that type.
    fn decode(recorded: &Recorded) -> Result<Option<Self>, DecodeError>;

    /// The category as a value.
    fn category() -> Category {
        Category::stored(Self::CATEGORY)
    }
}

/// That a message belongs to a set; `#[derive(Messages)]` writes it for each variant.
#[diagnostic::on_unimplemented(
    message = "`{M}` is not a message of `{Self}`",
    label = "not a message of `{Self}`",
    note = "add a variant `{M}({M})` to `{Self}`, or take it out here"
)]
pub trait Includes<M>: Messages + From<M> {}

/// What can be written: a message, one of a set, or a [`NewMessage`] made before.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as a message",
    label = "not a message",
    note = "add `#[derive(Message)]` to a struct, or `#[derive(Messages)]` to the enum of a set"
)]
pub trait Encode {
    /// The message as it is handed to a store, under this id unless it has one.
    ///
    /// # Errors
    ///
    /// When the data cannot be written as a JSON object, or holds a NUL.
    fn encode(&self, id: Uuid) -> Result<NewMessage, Error>;
}

impl<M: Message> Encode for M {
    fn encode(&self, id: Uuid) -> Result<NewMessage, Error> {
        Ok(NewMessage {
            id,
            message_type: Cow::Borrowed(M::TYPE),
            data: codec::encode(self)?,
            metadata: Metadata::default(),
        })
    }
}

impl Encode for NewMessage {
    fn encode(&self, _: Uuid) -> Result<NewMessage, Error> {
        Ok(self.clone())
    }
}

/// A message on its way into a store: an id, a type, data and metadata, and no place yet.
///
/// # Examples
///
/// ```
/// use evenfold_core::message::NewMessage;
/// use uuid::Uuid;
///
/// let data = serde_json::value::to_raw_value(&serde_json::json!({ "amount": 5 })).unwrap();
/// let message = NewMessage::new(Uuid::nil(), "Deposited", &data)?;
/// assert_eq!(message.data(), r#"{"amount":5}"#);
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    id: Uuid,
    message_type: Cow<'static, str>,
    data: Option<Box<str>>,
    metadata: Metadata,
}

impl NewMessage {
    /// A message of any type with data that is JSON already; a Rust type is not needed for it.
    ///
    /// # Errors
    ///
    /// When the type is empty, the data is no JSON object, or one of them holds a NUL.
    pub fn new(
        id: Uuid,
        message_type: impl Into<Cow<'static, str>>,
        data: &RawValue,
    ) -> Result<Self, Invalid> {
        let message_type = message_type.into();
        if message_type.is_empty() || message_type.contains('\0') {
            let rule = "a message type is not empty and holds no NUL character";
            return Err(Invalid::new("message type", message_type.escape_debug(), rule));
        }
        codec::check_data(&message_type, data.get())?;
        let metadata = Metadata::default();
        Ok(Self { id, message_type, data: codec::stored_data(data.get().into()), metadata })
    }

    /// Puts the message under another id.
    pub fn set_id(&mut self, id: Uuid) {
        self.id = id;
    }

    /// The same message with this metadata in place of its own.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The type name.
    pub fn message_type(&self) -> &str {
        &self.message_type
    }

    /// The data as JSON text.
    pub fn data(&self) -> &str {
        self.data.as_deref().unwrap_or(codec::EMPTY)
    }

    /// The data as it is stored: nothing stands for `{}`, as Eventide's clients write it.
    pub fn stored_data(&self) -> Option<&str> {
        self.data.as_deref()
    }

    /// The metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The metadata, to be changed.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// The metadata as it is stored: nothing when it is empty.
    pub fn stored_metadata(&self) -> Option<String> {
        self.metadata.to_json()
    }

    /// Refuses metadata that not every store can hold.
    pub(crate) fn check_metadata(&self) -> Result<(), Invalid> {
        match self.stored_metadata() {
            Some(json) => codec::check_nul("metadata", &self.message_type, &json),
            None => Ok(()),
        }
    }

    /// Reads the message as one of a set before it is written to a stream: so that what a
    /// subscriber would stumble over is refused at the edge. None when its type is not in the set.
    ///
    /// # Errors
    ///
    /// When the type is in the set and the data is not of that type.
    pub fn read<S: Messages>(&self, stream: &StreamName) -> Result<Option<S>, DecodeError> {
        S::decode(&Recorded {
            id: self.id,
            stream_name: stream.clone(),
            message_type: self.message_type().into(),
            position: Position::START,
            global_position: GlobalPosition::START,
            time: OffsetDateTime::UNIX_EPOCH,
            data_json: self.data.clone(),
            metadata_json: None,
        })
    }

    /// Whether a recorded message has the content of this one: stream, type and data agree.
    ///
    /// Law: this is what makes a write with a known id a repetition instead of an error. Metadata
    /// tells how a message came about and may differ on a second try. Data is compared as JSON, so
    /// that a store may normalise its text.
    pub fn is_content_of(&self, stream: &StreamName, recorded: &Recorded) -> bool {
        recorded.stream_name == *stream
            && *recorded.message_type == *self.message_type
            && codec::same_json(recorded.data(), self.data())
    }
}
