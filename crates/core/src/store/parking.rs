//! Messages that a subscriber set aside: kept in the store itself, in the order of their stream.
//!
//! Owns the notes and how they fold into a queue. The stream they stand in is in `parking_stream.rs`.
//! Who parks and who replays is decided in `subscriber/`; a person lists, replays and discards with
//! the engine's `Parking`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{DecodeError, Error};
use crate::message::{Metadata, NewMessage, Recorded};
use crate::{GlobalPosition, Position};

/// The types of the notes.
const NAMES: [&str; 6] =
    ["Parked", "ReplayAsked", "ReplayBegun", "ReplayFailed", "Replayed", "Discarded"];

/// How many processes may end in the middle of a replay before it is given up.
const REPLAYS_BEGUN: u32 = 3;

/// What is noted of a parked message; each is a message of the parking stream, named by its variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all_fields = "camelCase")]
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
    /// that failed.
    pub fn parked(message: &Recorded, reason: Option<String>, attempts: u32) -> Self {
        Self::Parked {
            position: message.position,
            global_position: message.global_position,
            message_id: message.id,
            message_type: message.message_type.to_string(),
            reason,
            attempts,
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
    /// given, so that it is found by its cause.
    ///
    /// # Errors
    ///
    /// When a text cannot be written as JSON.
    pub fn message(&self, id: Uuid, of: Option<&Recorded>) -> Result<NewMessage, Error> {
        let failed = |error| Error::encode(self.name(), error);
        let mut value = serde_json::to_value(self).map_err(failed)?;
        // The variant is the type of the message, so it does not stand in its data.
        if let Some(data) = value.as_object_mut() {
            data.remove("note");
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

/// A message that is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Its place in its stream.
    pub position: Position,
    /// Its place in the store.
    pub global_position: GlobalPosition,
    /// Its id.
    pub message_id: Uuid,
    /// Its type.
    pub message_type: String,
    /// Why it failed; none while it waits behind one that did.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether somebody asked that it be tried again.
    pub is_asked: bool,
    /// How many processes began to try it again since then, and came to no end with it.
    pub begun: u32,
    /// When it was parked.
    pub since: OffsetDateTime,
}

/// What is parked of one stream, in its order, and the version of the parking stream at which that
/// was so.
///
/// Laws:
/// - *Parked order.* The messages come by their position, and the first is replayed first; what waits
///   behind it is due when it is gone.
/// - *Known notes.* A note at or below the version changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParkedQueue {
    version: Option<Position>,
    messages: VecDeque<ParkedMessage>,
}

impl ParkedQueue {
    /// Takes in the next message of the parking stream.
    ///
    /// # Errors
    ///
    /// When it does not read.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), Error> {
        if self.version.is_some_and(|version| recorded.position <= version) {
            return Ok(());
        }
        if let Some(note) = Note::of(recorded)? {
            self.take(note, recorded.time);
        }
        self.version = Some(recorded.position);
        Ok(())
    }

    /// Takes in a note that was written just now, at this version of the parking stream. The time of
    /// it is known to who reads it back.
    pub fn noted(&mut self, note: Note, version: Position) {
        self.take(note, OffsetDateTime::UNIX_EPOCH);
        self.version = Some(version);
    }

    fn take(&mut self, note: Note, since: OffsetDateTime) {
        match note {
            Note::Parked {
                position,
                global_position,
                message_id,
                message_type,
                reason,
                attempts,
            } => {
                let at = self.messages.partition_point(|parked| parked.position < position);
                if self.messages.get(at).is_none_or(|parked| parked.position != position) {
                    let parked = ParkedMessage {
                        position,
                        global_position,
                        message_id,
                        message_type,
                        reason,
                        attempts,
                        is_asked: false,
                        begun: 0,
                        since,
                    };
                    self.messages.insert(at, parked);
                }
            }
            Note::ReplayAsked { position } => {
                if let Some(parked) = self.at_mut(position) {
                    (parked.is_asked, parked.begun) = (true, 0);
                }
            }
            Note::ReplayBegun { position } => {
                if let Some(parked) = self.at_mut(position) {
                    parked.begun = parked.begun.saturating_add(1);
                }
            }
            Note::ReplayFailed { position, reason, attempts } => {
                if let Some(parked) = self.at_mut(position) {
                    (parked.reason, parked.attempts) = (Some(reason), attempts);
                    (parked.is_asked, parked.begun) = (false, 0);
                }
            }
            Note::Replayed { position } | Note::Discarded { position, .. } => {
                self.messages.retain(|parked| parked.position != position);
            }
        }
    }

    fn at_mut(&mut self, position: Position) -> Option<&mut ParkedMessage> {
        self.messages.iter_mut().find(|parked| parked.position == position)
    }

    /// The message at this position of its stream, if it is parked.
    pub fn at(&self, position: Position) -> Option<&ParkedMessage> {
        self.messages.iter().find(|parked| parked.position == position)
    }

    /// The version of the parking stream up to which the notes are taken in.
    pub fn version(&self) -> Option<Position> {
        self.version
    }

    /// The parked messages, in the order of their stream.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = &ParkedMessage> {
        self.messages.iter()
    }

    /// Whether nothing is parked.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages are parked.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// The message that may be tried again now: the first, unless it failed and nobody asked for it, or
    /// it brought down three processes that tried.
    pub fn due(&self) -> Option<&ParkedMessage> {
        let is_wanted = |first: &&ParkedMessage| first.reason.is_none() || first.is_asked;
        self.messages.front().filter(is_wanted).filter(|first| first.begun < REPLAYS_BEGUN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(at: i64, note: &Note) -> Recorded {
        let message = note.message(Uuid::nil(), None).unwrap();
        Recorded {
            message_type: message.message_type().into(),
            data_json: message.stored_data().map(Into::into),
            position: Position::new(at).unwrap(),
            ..Recorded::example()
        }
    }

    fn parked(position: i64, reason: Option<&str>) -> Note {
        let message = Recorded { position: at(position), ..Recorded::example() };
        Note::parked(&message, reason.map(Into::into), 4)
    }

    fn at(position: i64) -> Position {
        Position::new(position).unwrap()
    }

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
    fn a_replay_that_is_begun_three_times_is_due_when_it_is_asked_for_anew() {
        let asked = Note::ReplayAsked { position: at(3) };
        let begun = Note::ReplayBegun { position: at(3) };
        let mut queue = ParkedQueue::default();
        let notes = [&parked(3, Some("no luck")), &asked, &begun, &begun];
        for (version, note) in (0..).zip(notes) {
            queue.apply(&recorded(version, note)).unwrap();
        }
        assert!(queue.due().is_some());
        queue.apply(&recorded(4, &begun)).unwrap();
        assert!(queue.due().is_none());
        queue.apply(&recorded(5, &asked)).unwrap();
        assert_eq!(queue.due().unwrap().begun, 0);
    }

    #[test]
    fn what_waits_behind_is_due_when_the_one_before_it_is_gone() {
        let mut queue = ParkedQueue::default();
        let mut next = 0;
        let mut note = |queue: &mut ParkedQueue, note: Note| {
            queue.apply(&recorded(next, &note)).unwrap();
            next += 1;
        };
        note(&mut queue, parked(3, Some("no luck")));
        note(&mut queue, parked(4, None));
        assert_eq!((queue.due(), queue.len()), (None, 2));
        note(&mut queue, Note::ReplayAsked { position: at(3) });
        assert_eq!(queue.due().unwrap().position, at(3));
        note(
            &mut queue,
            Note::ReplayFailed { position: at(3), reason: "still".into(), attempts: 5 },
        );
        assert_eq!(queue.due(), None);
        assert_eq!(queue.at(at(3)).unwrap().reason.as_deref(), Some("still"));
        note(&mut queue, Note::Discarded { position: at(3), reason: None });
        assert_eq!(queue.due().unwrap().position, at(4));
        note(&mut queue, Note::Replayed { position: at(4) });
        assert!(queue.is_empty());
    }

    #[test]
    fn a_note_that_is_known_changes_nothing() {
        let mut queue = ParkedQueue::default();
        let first = recorded(0, &parked(3, None));
        queue.apply(&first).unwrap();
        queue.apply(&recorded(1, &Note::Replayed { position: at(3) })).unwrap();
        queue.apply(&first).unwrap();
        assert!(queue.is_empty());
        assert_eq!(queue.version(), Some(at(1)));
    }
}
