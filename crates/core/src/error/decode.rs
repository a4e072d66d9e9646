//! A recorded message that cannot be read as the type it says it is.

use std::fmt;

use crate::message::Recorded;
use crate::{GlobalPosition, Position, StreamName};

/// Which message could not be read, and the path of the field at fault.
#[derive(Debug)]
pub struct DecodeError(Box<Fault>);

#[derive(Debug)]
struct Fault {
    stream: StreamName,
    position: Position,
    global_position: GlobalPosition,
    message_type: Box<str>,
    part: &'static str,
    path: String,
    source: serde_json::Error,
}

impl DecodeError {
    /// `part` is `data` or `metadata`, `path` leads into it, as in `lines[2].amount`.
    pub fn new(
        recorded: &Recorded,
        part: &'static str,
        path: String,
        source: serde_json::Error,
    ) -> Self {
        Self(Box::new(Fault {
            stream: recorded.stream_name.clone(),
            position: recorded.position,
            global_position: recorded.global_position,
            message_type: recorded.message_type.clone(),
            part,
            path,
            source,
        }))
    }

    /// The stream of the message.
    pub fn stream(&self) -> &StreamName {
        &self.0.stream
    }

    /// The position of the message in its stream.
    pub fn position(&self) -> Position {
        self.0.position
    }

    /// The position of the message in the store.
    pub fn global_position(&self) -> GlobalPosition {
        self.0.global_position
    }

    /// The type of the message.
    pub fn message_type(&self) -> &str {
        &self.0.message_type
    }

    /// The path of the field at fault, from `data` or `metadata` on, as in `data.lines[2].amount`.
    pub fn path(&self) -> String {
        match self.0.path.as_str() {
            "." | "" => self.0.part.to_owned(),
            path => format!("{}.{path}", self.0.part),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "message `{}` at position {} of `{}` (global position {}) cannot be read at `{}`",
            self.0.message_type,
            self.0.position,
            self.0.stream,
            self.0.global_position,
            self.path()
        )
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.source)
    }
}
