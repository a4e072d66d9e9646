//! Looking around: which categories and streams there are, and a message by its id.

use futures::future::BoxFuture;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{BatchSize, CategoryQuery};
use crate::error::Error;
use crate::message::Recorded;
use crate::{Category, GlobalPosition, Position, StreamName};

/// Shows what is there. For people and tools; a program that must not miss anything reads a
/// category.
///
/// Laws:
/// - *Sorted listing.* Categories and streams come sorted by the bytes of their name, each once,
///   after the one given and up to the limit.
/// - *Counted listing.* A summary counts every message that was written before the call.
/// - *Found by id.* A message is found by its id, wherever it stands.
/// - *Counted backlog.* A backlog counts the messages of a query behind a place, and tells the time
///   of the oldest of them and where the last message of the category stands, matching or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be browsed",
    note = "`BrowseStore` is one of the topics of a `MessageStore`"
)]
pub trait BrowseStore: Send + Sync {
    /// Lists categories, those after the one given.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn categories<'a>(
        &'a self,
        after: Option<&'a Category>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<CategorySummary>, Error>>;

    /// Lists the streams of a category, those after the one given.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn streams<'a>(
        &'a self,
        category: &'a Category,
        after: Option<&'a StreamName>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<StreamSummary>, Error>>;

    /// Finds a message by its id.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn message(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Recorded>, Error>>;

    /// Counts what a subscriber with this query has before it: the messages behind the last place
    /// that it has done with, or all of them. It reads what it counts.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn backlog<'a>(
        &'a self,
        query: &'a CategoryQuery,
        after: Option<GlobalPosition>,
    ) -> BoxFuture<'a, Result<Backlog, Error>>;
}

/// How far a subscriber is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many messages it has before it.
    pub messages: u64,
    /// The time of the oldest of them; none where there is none.
    pub oldest: Option<OffsetDateTime>,
    /// Where the last message of the category stands, whether or not the query holds it.
    pub head: Option<GlobalPosition>,
}

/// How much there is of a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategorySummary {
    /// The category.
    pub category: Category,
    /// How many messages it has.
    pub messages: u64,
    /// Where its last message stands.
    pub last: GlobalPosition,
}

/// How much there is of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream.
    pub stream: StreamName,
    /// Its version, the position of its last message; it has one message more than that.
    pub version: Position,
    /// Where its last message stands in the store.
    pub last: GlobalPosition,
}
