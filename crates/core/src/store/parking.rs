//! Messages that a subscriber set aside: kept in the store itself, in the order of their stream.
//!
//! Owns the notes. How they fold into a queue is in `parked_queue.rs`, the stream they stand in in
//! `parking_stream.rs`.
//! Who parks and who replays is decided in `subscriber/`; a person lists, replays and discards with
//! the engine's `Parking`.

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::stored_reason;
use crate::error::{DecodeError, Error};
use crate::message::{Metadata, NewMessage, Recorded};
use crate::{GlobalPosition, Position};

/// The types of the notes.
const NAMES: [&str; 6] =
    ["Parked", "ReplayAsked", "ReplayBegun", "ReplayFailed", "Replayed", "Discarded"];

/// What is noted of a parked message; each is a message of the parking stream, named by its variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Note {
    /// It was set aside.
    Parked {
        /// Its place in its stream.
        position: Position,
        /// Its place in the store.
        global_position: GlobalPosition,
        /// Its id.
        message_id: Uuid,
        /// Its type.
        message_type: String,
        /// Why it failed; none when it waits behind one that did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How often it was tried.
        attempts: u32,
        /// Whether it was handled before it came to be parked, so that it comes again as a replay of
        /// the history.
        #[serde(rename = "replay", default, skip_serializing_if = "is_false")]
        is_replay: bool,
    },
    /// Somebody asks that it be tried again.
    ReplayAsked {
        /// Its place in its stream.
        position: Position,
    },
    /// A process begins to try it again; noted where crashes are counted.
    ReplayBegun {
        /// Its place in its stream.
        position: Position,
    },
    /// It was tried again, and failed.
    ReplayFailed {
        /// Its place in its stream.
        position: Position,
        /// Why it failed.
        reason: String,
        /// How often it was tried in all.
        attempts: u32,
    },
    /// It was tried again, and is done with.
    Replayed {
        /// Its place in its stream.
        position: Position,
    },
    /// Somebody gave it up.
    Discarded {
        /// Its place in its stream.
        position: Position,
        /// Why, if that was said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Note {
    /// That a message was set aside, after so many attempts; without a reason it waits behind one
    /// that failed. Whether it is a replay is noted with it, for the place up to which messages are
    /// replays may be forgotten before it is tried again.
    pub fn parked(
        message: &Recorded,
        reason: Option<String>,
        attempts: u32,
        is_replay: bool,
    ) -> Self {
        Self::Parked {
            position: message.position,
            global_position: message.global_position,
            message_id: message.id,
            message_type: message.message_type.to_string(),
            reason,
            attempts,
            is_replay,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Parked { .. } => "Parked",
            Self::ReplayAsked { .. } => "ReplayAsked",
            Self::ReplayBegun { .. } => "ReplayBegun",
            Self::ReplayFailed { .. } => "ReplayFailed",
            Self::Replayed { .. } => "Replayed",
            Self::Discarded { .. } => "Discarded",
        }
    }

    /// The message that is written to the parking stream. It follows the parked one, if that is
    /// given, so that it is found by its cause. A reason is written as
    /// [`stored_reason`] makes it.
    ///
    /// # Errors
    ///
    /// When a text cannot be written as JSON.
    pub fn message(&self, id: Uuid, of: Option<&Recorded>) -> Result<NewMessage, Error> {
        let failed = |error| Error::encode(self.name(), error);
        let mut value = serde_json::to_value(self).map_err(failed)?;
        if let Some(data) = value.as_object_mut() {
            // The variant is the type of the message, so it does not stand in its data.
            data.remove("note");
            if let Some(serde_json::Value::String(reason)) = data.get_mut("reason") {
                *reason = stored_reason(reason);
            }
        }
        let data = to_raw_value(&value).map_err(failed)?;
        let mut message = NewMessage::new(id, self.name(), &data)?;
        if let Some(of) = of {
            let mut metadata = Metadata::default();
            metadata.follow(of, &of.metadata().unwrap_or_default());
            metadata.take_reply();
            message = message.with_metadata(metadata);
        }
        Ok(message)
    }

    /// The note that a message of a parking stream holds; none when it is of a type that this release
    /// does not know.
    ///
    /// # Errors
    ///
    /// When it is of a known type and does not read.
    pub fn of(recorded: &Recorded) -> Result<Option<Self>, Error> {
        let name = &*recorded.message_type;
        if !NAMES.contains(&name) {
            return Ok(None);
        }
        let read = serde_json::from_str(recorded.data()).and_then(|mut data: serde_json::Value| {
            if let Some(data) = data.as_object_mut() {
                data.insert("note".to_owned(), name.into());
            }
            serde_json::from_value(data)
        });
        let fault = |error| DecodeError::new(recorded, "data", String::new(), error);
        read.map(Some).map_err(|error| fault(error).into())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Notes as the tests of a queue write them, too.
#[cfg(test)]
pub(super) mod examples {
    use super::*;

    pub(in super::super) fn at(position: i64) -> Position {
        Position::new(position).unwrap()
    }

    /// That the message at a position was set aside.
    pub(in super::super) fn parked(position: i64, reason: Option<&str>) -> Note {
        let message = Recorded { position: at(position), ..Recorded::example() };
        Note::parked(&message, reason.map(Into::into), 4, false)
    }

    /// A note as it is read back from a place in the parking stream.
    pub(in super::super) fn recorded(place: i64, note: &Note) -> Recorded {
        let message = note.message(Uuid::nil(), None).unwrap();
        Recorded {
            message_type: message.message_type().into(),
            data_json: message.stored_data().map(Into::into),
            position: at(place),
            ..Recorded::example()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{at, parked, recorded};
    use super::*;

    #[test]
    fn notes_come_back_as_they_were_written() {
        let discarded = Note::Discarded { position: at(1), reason: None };
        for note in [parked(3, None), parked(3, Some("no luck")), discarded] {
            assert_eq!(Note::of(&recorded(0, &note)).unwrap(), Some(note));
        }
        let other = Recorded { message_type: "Sealed".into(), ..Recorded::example() };
        assert_eq!(Note::of(&other).unwrap(), None);
        let broken = Recorded { message_type: "Replayed".into(), ..Recorded::example() };
        assert!(Note::of(&broken).unwrap_err().is_decode());
    }

    #[test]
    fn any_reason_can_be_noted() {
        let reason = format!("bad byte \0 in {}", "ü".repeat(5000));
        let noted = recorded(0, &parked(3, Some(&reason)));
        let Some(Note::Parked { reason: Some(noted), .. }) = Note::of(&noted).unwrap() else {
            panic!("{noted:?}")
        };
        assert_eq!(noted, stored_reason(&reason));
        assert!(noted.starts_with("bad byte \u{FFFD} in ü"), "{noted}");
    }
}
