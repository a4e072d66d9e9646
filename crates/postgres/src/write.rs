//! Writing: a batch is one statement, which locks the category, checks the version and inserts.
//!
//! Owns the two statements that any Message DB takes (a batch by our own function is in `own.rs`), and
//! what follows when one is refused: ids first, then the conflict. A statement of its own commits by
//! itself, so there is no transaction that a dropped future could leave open, and a write costs one
//! round trip, whatever its size.

use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{ReadStore, WriteStore, Written, check_batch};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::connections::{Connections, Way};
use crate::error::{Refusal, is_lost, refusal, while_doing};
use crate::row::{decode, query_messages};
use crate::{Postgres, own};

impl WriteStore for Postgres {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        self.write_batch(stream, messages, expected).boxed()
    }
}

pub(crate) fn writing(stream: &StreamName, messages: &[NewMessage], error: sqlx::Error) -> Error {
    match messages {
        [_] => while_doing(format_args!("writing a message to `{stream}`"), error),
        _ => while_doing(format_args!("writing {} messages to `{stream}`", messages.len()), error),
    }
}

/// Whether this store writes at all.
pub(crate) fn check_target(
    on: &Connections,
    stream: &StreamName,
    messages: &[NewMessage],
) -> Result<(), Error> {
    on.may_write().map_err(|error| writing(stream, messages, error))
}

/// How often a write is made that was refused for a reason that is gone when it is looked for. Once
/// more is enough, unless others write to the same stream all the time.
pub(crate) const GOES: u32 = 100;

pub(crate) fn never_late_enough(stream: &StreamName) -> Error {
    let reason = "the server wrote nothing, and the stream is at the expected version; is there a \
                  trigger or a rule on message_store.messages, or another acquire_lock?";
    Error::failed(format!("writing to `{stream}`, {GOES} times"), reason)
}

impl Postgres {
    async fn write_batch(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        check_target(&self.connections, stream, messages)?;
        self.check_inside(stream)?;
        for _ in 0..GOES {
            if let Some(written) = self.attempt(stream, messages, expected).await? {
                return Ok(written);
            }
        }
        Err(never_late_enough(stream))
    }

    /// Writes, or finds out why not; nothing when another writer has meanwhile brought the stream
    /// to the expected version, so that the reason is gone.
    async fn attempt(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Option<Written>, Error> {
        let refused = match self.insert_in_turn(stream, messages, expected).await {
            Ok(Some(last)) => return Ok(Some(Written::now(last))),
            Ok(None) => None,
            Err(error) => match refusal(&error) {
                Some(Refusal::Version | Refusal::Position) => None,
                Some(Refusal::Id) => Some(error),
                None if is_lost(&error) => return self.settle(stream, messages, error).await,
                None => return Err(writing(stream, messages, error)),
            },
        };
        let found =
            find(self.on(), messages).await.map_err(|error| writing(stream, messages, error))?;
        let version = self.stream_version(stream);
        match Written::after_refusal(stream, messages, expected, &found, version).await? {
            None => refused.map_or(Ok(None), |error| Err(writing(stream, messages, error))),
            written => Ok(written),
        }
    }

    /// The connection went away under a write: had it landed, its ids are known. Where they are not,
    /// the server may still be at it, so the outcome stays unknown.
    async fn settle(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        lost: sqlx::Error,
    ) -> Result<Option<Written>, Error> {
        if let Ok(found) = find(self.on(), messages).await
            && let Some(written) = Written::by_ids(stream, messages, &found)?
        {
            return Ok(Some(written.after_lost_reply()));
        }
        Err(writing(stream, messages, lost))
    }

    /// Inserts the messages and returns the position of the last, or nothing when the stream is not
    /// at the expected version.
    pub(crate) async fn insert(
        &self,
        on: Way<'_>,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Option<Position>, sqlx::Error> {
        match messages {
            [message] => insert_one(on, stream, message, expected).await,
            _ if self.schema.has_additions() => {
                let last = own::append_messages(on, stream, messages, expected).await?;
                Position::new(last).map(Some).map_err(decode)
            }
            _ => insert_all(on, stream, messages, expected).await,
        }
    }
}

/// A batch as it travels: an array for each column.
pub(crate) struct Columns<'a> {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) types: Vec<&'a str>,
    pub(crate) data: Vec<Option<&'a str>>,
    pub(crate) metadata: Vec<Option<String>>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(messages: &'a [NewMessage]) -> Self {
        Self {
            ids: messages.iter().map(NewMessage::id).collect(),
            types: messages.iter().map(NewMessage::message_type).collect(),
            data: messages.iter().map(NewMessage::stored_data).collect(),
            metadata: messages.iter().map(NewMessage::stored_metadata).collect(),
        }
    }
}

async fn insert_one(
    on: Way<'_>,
    stream: &StreamName,
    message: &NewMessage,
    expected: ExpectedVersion,
) -> Result<Option<Position>, sqlx::Error> {
    let position = sqlx::query_scalar!(
        r#"
        SELECT message_store.write_message(
            $1::uuid::varchar, $2::varchar, $3::varchar, $4::text::jsonb, $5::text::jsonb,
            $6::bigint
        ) AS "position!"
        "#,
        message.id(),
        stream.as_str(),
        message.message_type(),
        message.stored_data(),
        message.stored_metadata(),
        expected.as_number(),
    )
    // It reads to the end of the answer, and so hears of a commit that failed.
    .fetch_one(on)
    .await?;
    Position::new(position).map(Some).map_err(decode)
}

/// As `write_message` does it, for all messages at once, with nothing installed. The version is read
/// by a volatile function from a row that exists when the lock is had, so it sees what was committed
/// until then, which the statement's own snapshot does not. Text is cast row by row: arrays of jsonb
/// cost a third more.
async fn insert_all(
    on: Way<'_>,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<Option<Position>, sqlx::Error> {
    let Columns { ids, types, data, metadata } = Columns::of(messages);
    let last = sqlx::query_scalar!(
        r#"
        WITH locked AS MATERIALIZED (
            SELECT message_store.acquire_lock($1::varchar) AS key
        ),
        stream AS MATERIALIZED (
            SELECT coalesce(message_store.stream_version($1::varchar), -1) AS version
            FROM locked
        ),
        inserted AS (
            INSERT INTO message_store.messages
                (id, stream_name, type, position, data, metadata)
            SELECT
                batch.id, $1, batch.type, stream.version + batch.number,
                batch.data::jsonb, batch.metadata::jsonb
            FROM stream, unnest($2::uuid[], $3::text[], $4::text[], $5::text[])
                WITH ORDINALITY AS batch (id, type, data, metadata, number)
            WHERE $6::bigint IS NULL OR stream.version = $6
            ORDER BY batch.number
            RETURNING position
        )
        SELECT max(inserted.position) AS position FROM inserted
        "#,
        stream.as_str(),
        &ids,
        types as _,
        data as _,
        metadata as _,
        expected.as_number(),
    )
    .fetch_one(on)
    .await?;
    last.map(Position::new).transpose().map_err(decode)
}

/// The messages under the ids of these.
pub(crate) async fn find(
    on: Way<'_>,
    messages: &[NewMessage],
) -> Result<Vec<Recorded>, sqlx::Error> {
    let ids: Vec<_> = messages.iter().map(NewMessage::id).collect();
    query_messages!("WHERE m.id = ANY ($1)", &ids).fetch_all(on).await
}
