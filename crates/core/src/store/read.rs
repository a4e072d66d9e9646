//! Reading: a stream by position, a category by global position, the last message, the version.

use std::fmt;

use futures::future::{BoxFuture, FutureExt, TryFutureExt};

use crate::error::{Error, Invalid};
use crate::message::Recorded;
use crate::{Category, GlobalPosition, Position, StreamName};

/// Reads messages, a page at a time.
///
/// Laws:
/// - *Stream page.* A page of a stream begins at the position asked for, or after it where none is,
///   rises by one, and ends at the limit or the end of the stream.
/// - *Category page.* A page of a category begins at the global position asked for, or after it,
///   rises, and holds every message of the category between its first and its last, and no other.
///   A category is matched whole: `account` is not `account:command`.
/// - *Correlation filter.* A query with a correlation holds the messages whose metadata names a
///   stream of that category as their correlation.
/// - *Consumer group filter.* The members of a group share a category by the hash of the cardinal
///   id: each stream with an id falls to exactly one member; a stream without one falls to none.
/// - *Type filter.* A query with types holds the messages of these types, by their names as stored.
/// - *Without metadata.* Who asks for none gets the same messages with none, whatever was stored.
/// - *Last message.* The last of a stream, or the last of a type in it, or none. A stream that is
///   named by a category alone has a last message too.
/// - *Content.* What was written comes back: id, type, metadata, and data that means the same JSON,
///   though its text may be another.
/// - *Stream version.* The position of the last message, or none when there is no message.
/// - *Category head.* The global position of the last message of a category that is visible, or none.
///   Every message of the category at or below it is there for whoever reads after that.
/// - *Category is no stream.* Reading a stream by the name of a category is invalid.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read messages",
    note = "`ReadStore` is one of the topics of a `MessageStore`"
)]
pub trait ReadStore: Send + Sync {
    /// Reads a page of a stream, from a position on (that one too).
    ///
    /// # Errors
    ///
    /// When the name is a category alone, or the store fails.
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>>;

    /// Reads a page of a stream as [`read_stream`](Self::read_stream) does, without the metadata: a
    /// document less to print, to send and to keep. A store that reads it all the same leaves this as
    /// it is.
    ///
    /// # Errors
    ///
    /// As [`read_stream`](Self::read_stream).
    fn read_stream_data<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        let page = self.read_stream(stream, from, limit);
        page.map_ok(|page| page.into_iter().map(Recorded::without_metadata).collect()).boxed()
    }

    /// Reads a page of a category, from a global position on (that one too).
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn read_category<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>>;

    /// Reads the last message of a stream, or the last one of a type.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn last_message<'a>(
        &'a self,
        stream: &'a StreamName,
        message_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Recorded>, Error>>;

    /// Reads the position of the last message of a stream.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn stream_version<'a>(
        &'a self,
        stream: &'a StreamName,
    ) -> BoxFuture<'a, Result<Option<Position>, Error>>;

    /// Reads the global position of the last message of a category.
    ///
    /// Asked before a page is read, it says how far a reader of the category has come when that page
    /// is empty, whatever filters it has.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn category_head<'a>(
        &'a self,
        category: &'a Category,
    ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>>;
}

/// How many messages a page holds at most; 1,000 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchSize(u32);

impl BatchSize {
    /// The default, 1,000 messages, as in Message DB.
    pub const DEFAULT: Self = Self(1000);

    /// Checks a number and takes it as a batch size.
    ///
    /// # Errors
    ///
    /// When the number is below 1 or above 1,000,000: a page is held in memory.
    pub fn new(number: i64) -> Result<Self, Invalid> {
        match u32::try_from(number) {
            Ok(size @ 1..=1_000_000) => Ok(Self(size)),
            _ => Err(Invalid::new("batch size", number, "a page holds 1 to 1000000 messages")),
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// One message more, where a page may hold so many.
    pub(crate) fn one_more(self) -> Self {
        Self(self.0.saturating_add(1).min(1_000_000))
    }

    /// The number as a length in memory.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Default for BatchSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which messages of a category are read: all of them, unless a filter is added.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{CategoryQuery, ConsumerGroup};
///
/// let query = CategoryQuery::new("account".parse()?)
///     .correlated_with("transfer".parse()?)
///     .for_member(ConsumerGroup::new(0, 4)?);
/// assert_eq!(query.category().as_str(), "account");
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryQuery {
    category: Category,
    correlation: Option<Category>,
    group: Option<ConsumerGroup>,
    types: Option<Vec<Box<str>>>,
    has_metadata: bool,
}

impl CategoryQuery {
    /// All messages of a category.
    pub fn new(category: Category) -> Self {
        Self { category, correlation: None, group: None, types: None, has_metadata: true }
    }

    /// Only messages whose correlation stream is of this category.
    #[must_use]
    pub fn correlated_with(mut self, category: Category) -> Self {
        self.correlation = Some(category);
        self
    }

    /// Only the streams that fall to this member of a consumer group.
    #[must_use]
    pub fn for_member(mut self, group: ConsumerGroup) -> Self {
        self.group = Some(group);
        self
    }

    /// Only messages of these types, by their names as stored. A message set has them all, aliases too,
    /// in [`Messages::TYPES`](crate::message::Messages::TYPES).
    #[must_use]
    pub fn of_types<T: Into<Box<str>>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// The messages without their metadata: a document less to print, to send and to keep. Theirs then
    /// reads as if none had been stored.
    #[must_use]
    pub fn without_metadata(mut self) -> Self {
        self.has_metadata = false;
        self
    }

    /// The category.
    pub fn category(&self) -> &Category {
        &self.category
    }

    /// The category of the correlation stream, if that is asked for.
    pub fn correlation(&self) -> Option<&Category> {
        self.correlation.as_ref()
    }

    /// The member of a consumer group, if one is asked for.
    pub fn group(&self) -> Option<ConsumerGroup> {
        self.group
    }

    /// The types, if some are asked for.
    pub fn types(&self) -> Option<&[Box<str>]> {
        self.types.as_deref()
    }

    /// Whether the messages come with their metadata.
    pub fn has_metadata(&self) -> bool {
        self.has_metadata
    }

    /// Whether not every message of the category is in it.
    pub fn is_filtered(&self) -> bool {
        self.correlation.is_some() || self.group.is_some() || self.types.is_some()
    }
}

impl From<Category> for CategoryQuery {
    fn from(category: Category) -> Self {
        Self::new(category)
    }
}

impl From<&Self> for CategoryQuery {
    fn from(query: &Self) -> Self {
        query.clone()
    }
}

/// One member of a group that shares a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    member: u16,
    size: u16,
}

impl ConsumerGroup {
    /// Member `member`, counted from 0, of a group of `size`.
    ///
    /// # Errors
    ///
    /// When the size is not 1 to 32,767 (the limit of Message DB), or the member not 0 to size - 1.
    pub fn new(member: i64, size: i64) -> Result<Self, Invalid> {
        let Ok(count @ 1..=32_767) = u16::try_from(size) else {
            let rule = "a consumer group has 1 to 32767 members";
            return Err(Invalid::new("consumer group size", size, rule));
        };
        match u16::try_from(member) {
            Ok(member) if member < count => Ok(Self { member, size: count }),
            _ => {
                let rule = format!("the members of a group of {size} are 0 to {}", count - 1);
                Err(Invalid::new("consumer group member", member, rule))
            }
        }
    }

    /// The member, counted from 0.
    pub const fn member(self) -> u16 {
        self.member
    }

    /// How many members the group has.
    pub const fn size(self) -> u16 {
        self.size
    }

    /// Whether a stream falls to this member, by the hash of its cardinal id.
    ///
    /// Source: `MOD(@hash_64(cardinal_id(stream_name)), size) = member` of Message DB.
    pub fn holds(self, stream: &StreamName) -> bool {
        stream.cardinal_hash().is_some_and(|hash| {
            hash.unsigned_abs() % u64::from(self.size) == u64::from(self.member)
        })
    }
}

impl fmt::Display for ConsumerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}of{}", self.member, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_members_out_of_range_are_refused_by_name() {
        for (refused, said) in [
            (BatchSize::new(0).err(), "batch size `0`: a page holds 1 to 1000000 messages"),
            (
                ConsumerGroup::new(0, 0).err(),
                "consumer group size `0`: a consumer group has 1 to 32767 members",
            ),
            (
                ConsumerGroup::new(0, 32_768).err(),
                "consumer group size `32768`: a consumer group has 1 to 32767 members",
            ),
            (
                ConsumerGroup::new(3, 3).err(),
                "consumer group member `3`: the members of a group of 3 are 0 to 2",
            ),
            (
                ConsumerGroup::new(-1, 3).err(),
                "consumer group member `-1`: the members of a group of 3 are 0 to 2",
            ),
        ] {
            assert_eq!(refused.unwrap().to_string(), said);
        }
    }

    /// Golden values measured on Message DB 1.3.0.
    #[test]
    fn a_stream_falls_to_the_member_that_message_db_gives_it_to() {
        for (id, size, member) in [
            ("123", 2, 1),
            ("123", 3, 1),
            ("123", 4, 3),
            ("123+abc", 4, 3),
            ("a11e9022-e741-4450-bf9c-c4cc5ddb6ea3", 2, 0),
            ("a11e9022-e741-4450-bf9c-c4cc5ddb6ea3", 3, 2),
            ("a11e9022-e741-4450-bf9c-c4cc5ddb6ea3", 4, 0),
        ] {
            let stream = StreamName::new(format!("account-{id}")).unwrap();
            assert!(ConsumerGroup::new(member, size).unwrap().holds(&stream), "{id} of {size}");
        }
        assert!(!ConsumerGroup::new(0, 1).unwrap().holds(&StreamName::stored("account")));
    }
}
