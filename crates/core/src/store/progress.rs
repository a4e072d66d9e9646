//! Where a subscriber has got to, kept in the store itself.
//!
//! Owns the topic [`ProgressStore`], the id of a subscriber and what its numbers count. The position
//! stream and its record stand in `position_stream.rs`.

use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::{ParkedMessage, Progress, ProgressStream, ReadStore, WriteStore};
use crate::error::{Error, Invalid};
use crate::message::Recorded;
use crate::{ExpectedVersion, GlobalPosition, Position};

/// Keeps the progress of subscribers, as the last message of their position stream.
///
/// Laws:
/// - *Progress is read back.* What was recorded last is what is read, also after other records.
/// - *Absent is the start.* A position stream without a record means that nothing was handled yet.
/// - *Unreadable is an error.* A record of another type, without a number, with a negative number
///   or in another unit [is unreadable](Error::is_unreadable_progress), never a start at zero.
/// - *Eventide's record.* The last handled message's position is stored as
///   `Recorded {"position": n}`; a subscriber of one stream stores `{"streamPosition": n}` in a
///   stream of another category, so that the two cannot be taken for each other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep progress",
    note = "`ProgressStore` is one of the four topics of a `MessageStore`; \
            `impl ProgressStore for {Self} {{}}` keeps it by writing and reading"
)]
pub trait ProgressStore: ReadStore + WriteStore {
    /// Reads where a subscriber has got to; none when it has not begun.
    ///
    /// # Errors
    ///
    /// When the last record is not a progress record of this unit, or the store fails.
    fn read_progress<'a>(
        &'a self,
        of: &'a ProgressStream,
    ) -> BoxFuture<'a, Result<Option<Place>, Error>> {
        async move {
            match self.last_message(of.stream(), None).await? {
                None => Ok(None),
                Some(recorded) => Ok(of.progress_in(&recorded)?.done),
            }
        }
        .boxed()
    }

    /// Records where a subscriber has got to: the place of the last message it is done with.
    ///
    /// For tools and other clients. A subscriber itself expects a version of its position stream, so
    /// that one whose place was taken learns of it; see [`ProgressStream::record`].
    ///
    /// # Errors
    ///
    /// When the place is negative, or the store fails.
    fn record_progress<'a>(
        &'a self,
        of: &'a ProgressStream,
        place: Place,
        id: Uuid,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let record = of.record(&Progress::at(place), id)?;
            self.write(of.stream(), &[record], ExpectedVersion::Any).await?;
            Ok(())
        }
        .boxed()
    }
}

/// Where a message stands in what a subscriber reads: a global position of a category, or a
/// position of a stream. Which of the two, the subscriber's [`Unit`] says.
pub type Place = i64;

/// What the numbers of a subscriber count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A subscriber of a category counts by global position.
    GlobalPosition,
    /// A subscriber of one stream counts by the position in it.
    StreamPosition,
}

impl Unit {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::GlobalPosition => "position",
            Self::StreamPosition => "streamPosition",
        }
    }

    /// The place of a recorded message in this unit.
    pub fn place_of(self, recorded: &Recorded) -> Place {
        self.place(recorded.position, recorded.global_position)
    }

    /// The place of a parked message in this unit.
    pub(crate) fn place_of_parked(self, parked: &ParkedMessage) -> Place {
        self.place(parked.position, parked.global_position)
    }

    fn place(self, position: Position, global: GlobalPosition) -> Place {
        match self {
            Self::GlobalPosition => global.get(),
            Self::StreamPosition => position.get(),
        }
    }

    /// The first place there is to read in this unit.
    pub const fn start(self) -> Place {
        match self {
            Self::GlobalPosition => GlobalPosition::START.get(),
            Self::StreamPosition => Position::START.get(),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GlobalPosition => "global position",
            Self::StreamPosition => "stream position",
        })
    }
}

/// The name under which a subscriber keeps its progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId(Box<str>);

impl SubscriberId {
    /// Checks a text and takes it as the id of a subscriber.
    ///
    /// # Errors
    ///
    /// When the text is empty or holds a plus (it joins the id to a stream or a group member) or a
    /// NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        if text.is_empty() || text.contains(['+', '\0']) {
            let rule = "the id of a subscriber is not empty and holds no `+` and no NUL character";
            return Err(Invalid::new("subscriber id", text.escape_debug(), rule));
        }
        Ok(Self(text.into()))
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for SubscriberId {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
