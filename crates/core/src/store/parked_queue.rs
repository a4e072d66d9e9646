//! What is parked of one stream: the notes on it, folded.
//!
//! Owns the order of what is parked, and who is next. The notes are in `parking.rs`.

use std::collections::VecDeque;

use time::OffsetDateTime;
use uuid::Uuid;

use super::Note;
use crate::error::Error;
use crate::message::Recorded;
use crate::{GlobalPosition, Position};

/// How many processes may end in the middle of a replay before it is given up.
const REPLAYS_BEGUN: u32 = 3;

/// A message that is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Whether it was handled before it came to be parked: by this subscriber before a reset, or by
    /// an earlier version of it.
    pub is_replay: bool,
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
                is_replay,
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
                        is_replay,
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
        self.due_to(None)
    }

    /// The same for a process that has begun to try the message at a position and lives: what it began
    /// itself it goes on with, for as often as the policy says.
    pub fn due_to(&self, begun: Option<Position>) -> Option<&ParkedMessage> {
        let is_wanted = |first: &&ParkedMessage| first.reason.is_none() || first.is_asked;
        let may_begin =
            |first: &&ParkedMessage| first.begun < REPLAYS_BEGUN || begun == Some(first.position);
        self.messages.front().filter(is_wanted).filter(may_begin)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parking::examples::{at, parked, recorded};
    use super::*;

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

    #[test]
    fn who_has_begun_a_replay_goes_on_with_it_beyond_the_limit() {
        let mut queue = ParkedQueue::default();
        queue.apply(&recorded(0, &parked(3, None))).unwrap();
        for version in 1..=3 {
            queue.apply(&recorded(version, &Note::ReplayBegun { position: at(3) })).unwrap();
        }
        assert_eq!(queue.due(), None);
        assert_eq!(queue.due_to(Some(at(2))), None, "it began another one");
        assert_eq!(queue.due_to(Some(at(3))).unwrap().position, at(3));
    }

    #[test]
    fn what_was_handled_before_it_was_parked_is_noted_so_and_else_nothing_is_said_of_it() {
        let message = Recorded::example();
        let note = Note::parked(&message, None, 0, true);
        assert!(recorded(0, &note).data().contains(r#""replay":true"#));
        assert_eq!(Note::of(&recorded(0, &note)).unwrap(), Some(note.clone()));
        let mut queue = ParkedQueue::default();
        queue.apply(&recorded(0, &note)).unwrap();
        assert!(queue.due().unwrap().is_replay);
        assert!(!recorded(0, &parked(3, None)).data().contains("replay"));
    }
}
