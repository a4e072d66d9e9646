//! Writing: one batch to one stream, all or nothing.

use std::borrow::Borrow;
use std::collections::HashMap;

use futures::future::BoxFuture;

use crate::error::{Conflict, DuplicateId, Error, Invalid};
use crate::message::{NewMessage, Recorded};
use crate::{ExpectedVersion, Position, StreamName};

/// Writes messages.
///
/// Laws:
/// - *Atomic batch.* The messages of one call come to stand at consecutive positions of the stream,
///   in the order given, or none of them does.
/// - *Gapless stream.* The first message of a stream stands at position 0, and each next one at the
///   position after the last.
/// - *Expected version.* The expectation is checked in the same atomic step as the write. Where it
///   does not hold nothing is written and the error
///   [is a conflict](Error::is_conflict) that names stream, expected and actual version.
/// - *Idempotent id.* A call whose messages are all written already, with the same ids and content,
///   to the same stream, one after another, is success with the original positions and
///   [is a repetition](Written::is_repetition), whatever version it expects. An id that belongs to
///   a message of other content is an error that
///   [is a duplicate id](Error::is_duplicate_id), and nothing is written. Ids are looked up before
///   a conflict is reported, so that a writer who lost the reply learns that it had written.
/// - *One writer at a time.* Of writers who expect the same version of a stream, one succeeds.
/// - *Commit order.* In one category, a message with a higher global position never becomes visible
///   before one with a lower.
/// - *Refused at the edge.* An empty batch, a batch that holds an id twice, and one whose metadata
///   holds the character NUL, are invalid before any I/O.
///
/// # Examples
///
/// A lost update: both writers read the balance, and the second does not say so.
///
/// ```
/// use evenfold_core::store::{ReadStore, WriteStore};
/// use evenfold_core::{ExpectedVersion, Memory, StreamName};
///
/// # use evenfold_core::message::NewMessage;
/// # fn deposited(id: u128) -> NewMessage {
/// #     let data = serde_json::value::to_raw_value(&serde_json::json!({ "amount": 5 })).unwrap();
/// #     NewMessage::new(uuid::Uuid::from_u128(id), "Deposited", &data).unwrap()
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evenfold_core::Error> {
/// let store = Memory::new();
/// let stream = StreamName::new("account-123")?;
/// let version = store.stream_version(&stream).await?; // both writers read: no stream yet
///
/// store.write(&stream, &[deposited(1)], ExpectedVersion::from(version)).await?;
///
/// // Wrong: `Any` writes over a decision that was made in between.
/// store.write(&stream, &[deposited(2)], ExpectedVersion::Any).await?;
///
/// // Right: say what was read, and the store says that it is so no more.
/// let late = store.write(&stream, &[deposited(3)], ExpectedVersion::from(version)).await;
/// assert!(late.unwrap_err().is_conflict());
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot write messages",
    note = "`WriteStore` is one of the topics of a `MessageStore`"
)]
pub trait WriteStore: Send + Sync {
    /// Writes messages to the end of a stream if it is at the expected version.
    ///
    /// # Errors
    ///
    /// A conflict, a duplicate id, an invalid batch; or the store is unavailable, and then the
    /// outcome is unknown and settled by the same call with the same ids.
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>>;
}

/// Where a batch came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    last: Position,
    by: By,
}

/// Which call wrote a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    This,
    Earlier,
    /// The reply was lost, and then the messages were found.
    Either,
}

impl Written {
    /// Messages that were written now, the last of them here.
    pub fn now(last: Position) -> Self {
        Self { last, by: By::This }
    }

    /// Messages that stood there already, the last of them here.
    pub fn before(last: Position) -> Self {
        Self { last, by: By::Earlier }
    }

    /// The same, found when the reply to this call was lost: for the authors of a store.
    #[must_use]
    pub fn after_lost_reply(self) -> Self {
        Self { by: By::Either, ..self }
    }

    /// Settles by their ids whether the messages of a batch had been written before: for the
    /// authors of a store, who look up `found`, the messages under these ids, in any order.
    ///
    /// None when no id is known yet.
    ///
    /// # Errors
    ///
    /// When an id is taken by a message of other content or another stream, when only some of the
    /// messages are there, or when they do not stand one after another.
    pub fn by_ids<R: Borrow<Recorded>>(
        stream: &StreamName,
        messages: &[NewMessage],
        found: &[R],
    ) -> Result<Option<Self>, Error> {
        let found: HashMap<_, _> = found.iter().map(R::borrow).map(|it| (it.id, it)).collect();
        let mut known = messages.iter().filter_map(|message| found.get(&message.id()).copied());
        let Some(first) = known.next() else { return Ok(None) };
        let taken = |by: &Recorded| {
            Err(DuplicateId::new(by.id, by.stream_name.clone(), by.position).into())
        };
        let mut next = first.position;
        let mut last = first;
        for message in messages {
            // A batch lands as a whole, so a message that is missing means another batch did.
            let Some(found) = found.get(&message.id()).copied() else { return taken(first) };
            if found.position != next || !message.is_content_of(stream, found) {
                return taken(found);
            }
            next = next.next();
            last = found;
        }
        Ok(Some(Self::before(last.position)))
    }

    /// What a write came to that the database refused, for the authors of a store: ids before the
    /// conflict. The version is read only where no id is known.
    ///
    /// None when neither is the reason, or it is gone meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`by_ids`](Self::by_ids); a conflict when the stream is not at the expected version;
    /// when the version cannot be read.
    pub async fn after_refusal<R: Borrow<Recorded>>(
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
        found: &[R],
        version: impl Future<Output = Result<Option<Position>, Error>>,
    ) -> Result<Option<Self>, Error> {
        if let Some(written) = Self::by_ids(stream, messages, found)? {
            return Ok(Some(written));
        }
        let version = version.await?;
        if !expected.holds(version) {
            return Err(Conflict::new(stream.clone(), expected, version).into());
        }
        Ok(None)
    }

    /// The position of the last message of the batch.
    pub fn last(&self) -> Position {
        self.last
    }

    /// Whether the messages had been written before and this call changed nothing; or that may be so,
    /// for it [is uncertain](Self::is_uncertain) which call it was.
    pub fn is_repetition(&self) -> bool {
        self.by != By::This
    }

    /// Whether the reply to this call was lost, and the messages were found then: written by it, or by
    /// one before it with the same ids.
    pub fn is_uncertain(&self) -> bool {
        self.by == By::Either
    }
}

/// Refuses, before any I/O, a batch that no store may write: for the authors of a store.
///
/// # Errors
///
/// When the batch is empty, holds an id twice, or a NUL in its metadata.
pub fn check_batch(messages: &[NewMessage]) -> Result<(), Invalid> {
    if messages.is_empty() {
        return Err(Invalid::new("batch", "[]", "there is no message in it to write"));
    }
    messages.iter().try_for_each(NewMessage::check_metadata)?;
    if messages.len() > 1 {
        let mut ids: Vec<_> = messages.iter().map(NewMessage::id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair.first() == pair.last()) {
            let twice = pair.first().map(ToString::to_string).unwrap_or_default();
            return Err(Invalid::new("batch", twice, "two of its messages have this id"));
        }
    }
    Ok(())
}
