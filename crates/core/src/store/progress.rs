//! Where a subscriber has got to, kept in the store itself.
//!
//! Owns the position stream of Eventide: its name, its record, and what is an error in it.

use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{ConsumerGroup, ReadStore, WriteStore};
use crate::error::{Error, Invalid};
use crate::message::{NewMessage, Recorded};
use crate::{Category, EntityId, ExpectedVersion, GlobalPosition, Position, StreamName};

/// The type of a progress record, as Eventide's clients write it.
const RECORD_TYPE: &str = "Recorded";

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
                Some(recorded) => of.place_in(&recorded).map(Some),
            }
        }
        .boxed()
    }

    /// Records where a subscriber has got to: the place of the last message it is done with.
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
            let record = of.record(place, id)?;
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
    fn key(self) -> &'static str {
        match self {
            Self::GlobalPosition => "position",
            Self::StreamPosition => "streamPosition",
        }
    }

    /// The place of a recorded message in this unit.
    pub fn place_of(self, recorded: &Recorded) -> Place {
        match self {
            Self::GlobalPosition => recorded.global_position.get(),
            Self::StreamPosition => recorded.position.get(),
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

/// The position stream of one subscriber, and the unit of what is recorded in it.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{ConsumerGroup, ProgressStream, SubscriberId};
///
/// let teller = SubscriberId::new("teller")?;
/// let of_category = ProgressStream::of_category(&"account:command".parse()?, &teller, None);
/// assert_eq!(of_category.stream().as_str(), "account:command+position-teller");
///
/// let of_member =
///     ProgressStream::of_category(&"account".parse()?, &teller, Some(ConsumerGroup::new(1, 4)?));
/// assert_eq!(of_member.stream().as_str(), "account:position-teller+1of4");
///
/// let filtered = of_category.correlated_with(&"transfer".parse()?);
/// assert_eq!(filtered.stream().as_str(), "account:command+position-teller+correlation:transfer");
///
/// let of_stream = ProgressStream::of_stream(&"account-123".parse()?, &teller)?;
/// assert_eq!(of_stream.stream().as_str(), "account:streamPosition-teller+123");
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProgressStream {
    stream: StreamName,
    unit: Unit,
}

impl ProgressStream {
    /// Of a subscriber of a category, or of one member of a group that shares it; the size of the
    /// group is part of the name, since another size gives each member other streams.
    pub fn of_category(
        category: &Category,
        subscriber: &SubscriberId,
        group: Option<ConsumerGroup>,
    ) -> Self {
        let id = match group {
            Some(group) => format!("{subscriber}+{group}"),
            None => subscriber.to_string(),
        };
        let stream = category.typed("position").stream(&EntityId::stored(&id));
        Self { stream, unit: Unit::GlobalPosition }
    }

    /// The same for a subscriber that reads only what is correlated with a category: what another
    /// filter let through says nothing of this one.
    #[must_use]
    pub fn correlated_with(self, category: &Category) -> Self {
        let stream = StreamName::stored(format!("{}+correlation:{category}", self.stream));
        Self { stream, ..self }
    }

    /// Of a subscriber of one stream.
    ///
    /// # Errors
    ///
    /// When the name is a category alone, which is not read as a stream.
    pub fn of_stream(stream: &StreamName, subscriber: &SubscriberId) -> Result<Self, Invalid> {
        let id = stream.require_id()?.entity_id().map(|id| id.to_string()).unwrap_or_default();
        let id = EntityId::stored(&format!("{subscriber}+{id}"));
        let stream = stream.category().typed("streamPosition").stream(&id);
        Ok(Self { stream, unit: Unit::StreamPosition })
    }

    /// The stream that the progress is recorded in.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// What the recorded numbers count.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    fn record(&self, place: Place, id: Uuid) -> Result<NewMessage, Error> {
        if place < 0 {
            return Err(Invalid::new("progress", place, "a place is not negative").into());
        }
        let data = format!(r#"{{"{}":{place}}}"#, self.unit.key());
        let data = RawValue::from_string(data).map_err(|e| Error::encode(RECORD_TYPE, e))?;
        Ok(NewMessage::new(id, RECORD_TYPE, &data)?)
    }

    fn place_in(&self, recorded: &Recorded) -> Result<Place, Error> {
        let fault = |what: String| Err(Error::unreadable_progress(&self.stream, what));
        if *recorded.message_type != *RECORD_TYPE {
            return fault(format!(
                "the last message is a `{}`, not a `{RECORD_TYPE}`",
                recorded.message_type
            ));
        }
        let data: Value = match serde_json::from_str(recorded.data()) {
            Ok(data) => data,
            Err(error) => return fault(format!("its data is not JSON: {error}")),
        };
        let key = self.unit.key();
        match data.get(key).and_then(Value::as_i64) {
            Some(place @ 0..) => Ok(place),
            Some(place) => fault(format!("`{key}` is {place}, which is negative")),
            None => fault(format!("`{key}` is not a whole number in {data}")),
        }
    }
}
