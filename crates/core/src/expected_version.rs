//! What a writer believes of a stream before it writes.

use std::fmt;

use crate::Position;

/// What the writer believes the stream's version to be, the position of its last message.
///
/// Law: it is checked in the same atomic step as the write; when it does not hold, nothing is
/// written and the answer is a [`Conflict`](crate::error::Conflict).
///
/// # Examples
///
/// A version that was read is what the next write expects:
///
/// ```
/// use evenfold_core::{ExpectedVersion, Position};
///
/// assert_eq!(ExpectedVersion::from(None), ExpectedVersion::NoStream);
/// let third = Position::new(2)?;
/// assert_eq!(ExpectedVersion::from(Some(third)), ExpectedVersion::At(third));
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Nothing: write whatever is there. Two writers who both read first may then undo each other.
    #[default]
    Any,
    /// The stream has no message yet.
    NoStream,
    /// The last message of the stream stands here.
    At(Position),
}

impl ExpectedVersion {
    /// Whether a stream with this version (none when it has no message) is what was expected.
    pub fn holds(self, version: Option<Position>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version.is_none(),
            Self::At(position) => version == Some(position),
        }
    }

    /// The number that Message DB takes: none, -1 or the position.
    pub fn as_number(self) -> Option<i64> {
        match self {
            Self::Any => None,
            Self::NoStream => Some(-1),
            Self::At(position) => Some(position.get()),
        }
    }
}

impl From<Option<Position>> for ExpectedVersion {
    fn from(version: Option<Position>) -> Self {
        version.map_or(Self::NoStream, Self::At)
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::At(position) => write!(f, "version {position}"),
        }
    }
}
