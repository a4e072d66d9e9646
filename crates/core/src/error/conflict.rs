//! What a refused write tells: a version that was not the expected one, an id that is taken.

use std::fmt;

use uuid::Uuid;

use crate::{ExpectedVersion, Position, StreamName};

/// The stream was not at the version that the writer expected; nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    stream: StreamName,
    expected: ExpectedVersion,
    actual: Option<Position>,
}

impl Conflict {
    /// The stream, what was expected of it, and its version (none when it has no message).
    pub fn new(stream: StreamName, expected: ExpectedVersion, actual: Option<Position>) -> Self {
        Self { stream, expected, actual }
    }

    /// The stream that was to be written.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// What the writer expected.
    pub fn expected(&self) -> ExpectedVersion {
        self.expected
    }

    /// The position of the stream's last message; none when it has no message.
    pub fn actual(&self) -> Option<Position> {
        self.actual
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actual = ExpectedVersion::from(self.actual);
        write!(
            f,
            "stream `{}` was expected to be at {} and is at {actual}",
            self.stream, self.expected
        )
    }
}

impl std::error::Error for Conflict {}

/// The id of a message belongs to another message already; nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateId {
    id: Uuid,
    stream: StreamName,
    position: Position,
}

impl DuplicateId {
    /// The id, and where the message stands that has it.
    pub fn new(id: Uuid, stream: StreamName, position: Position) -> Self {
        Self { id, stream, position }
    }

    /// The id that is taken.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The stream of the message that has it.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The position of the message that has it.
    pub fn position(&self) -> Position {
        self.position
    }
}

impl fmt::Display for DuplicateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "message id `{}` is taken by a message of other content, at position {} of `{}`",
            self.id, self.position, self.stream
        )
    }
}

impl std::error::Error for DuplicateId {}
