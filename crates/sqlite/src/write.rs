//! Writing: a batch is one statement, which checks the version and inserts, whole or not at all.
//!
//! Owns the two statements and what follows when one is refused: ids first, then the conflict. A
//! statement of its own commits by itself, so there is no transaction that a dropped future could
//! leave open; it begins with SQLite's write lock, so nobody writes between check and insert.
//!
//! `LIMIT 1` keeps the condition on the version out of the search for it: with it inside, SQLite
//! walks the whole stream to find its last position.

use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{WriteStore, Written, check_batch};
use evenfold_core::{Clock, Error, ExpectedVersion, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;

use crate::Sqlite;
use crate::error::{is_unique_violation, while_doing};
use crate::read::version;
use crate::row::{decode, microseconds, query_messages};

impl WriteStore for Sqlite {
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
    while_doing(doing(stream, messages), error)
}

fn doing(stream: &StreamName, messages: &[NewMessage]) -> String {
    match messages {
        [_] => format!("writing a message to `{stream}`"),
        _ => format!("writing {} messages to `{stream}`", messages.len()),
    }
}

impl Sqlite {
    async fn write_batch(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        let mut writer = self.turn(|| doing(stream, messages)).await?;
        loop {
            if let Some(written) =
                attempt(&mut writer, &*self.clock, stream, messages, expected).await?
            {
                return Ok(written);
            }
        }
    }
}

/// Writes, or finds out why not; nothing when another writer has meanwhile brought the stream
/// to the expected version, so that the reason is gone.
pub(crate) async fn attempt(
    on: &mut SqliteConnection,
    clock: &dyn Clock,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<Option<Written>, Error> {
    let refused = match insert(on, clock, stream, messages, expected).await {
        Ok(Some(last)) => return Ok(Some(Written::now(last))),
        Ok(None) => None,
        Err(error) if is_unique_violation(&error) => Some(error),
        Err(error) => return Err(writing(stream, messages, error)),
    };
    let found = find(on, messages).await.map_err(|error| writing(stream, messages, error))?;
    let version = version(&mut *on, stream);
    match Written::after_refusal(stream, messages, expected, &found, version).await? {
        None => refused.map_or(Ok(None), |error| Err(writing(stream, messages, error))),
        written => Ok(written),
    }
}

/// Inserts the messages and returns the position of the last, or nothing when the stream is not
/// at the expected version.
async fn insert(
    on: &mut SqliteConnection,
    clock: &dyn Clock,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<Option<Position>, sqlx::Error> {
    match messages {
        [message] => insert_one(on, clock, stream, message, expected).await,
        _ => insert_all(on, clock, stream, messages, expected).await,
    }
}

async fn insert_one(
    on: &mut SqliteConnection,
    clock: &dyn Clock,
    stream: &StreamName,
    message: &NewMessage,
    expected: ExpectedVersion,
) -> Result<Option<Position>, sqlx::Error> {
    let positions = sqlx::query_scalar!(
        r#"
        INSERT INTO messages
            (id, stream_name, category, type, position, time, cardinal_hash, metadata, data)
        SELECT ?1, ?2, ?3, ?4, stream.version + 1, ?5, ?6, ?7, ?8
        FROM (
            SELECT coalesce(max(position), -1) AS version FROM messages WHERE stream_name = ?2
            LIMIT 1
        ) AS stream
        WHERE ?9 IS NULL OR stream.version = ?9
        RETURNING position AS "position!: i64"
        "#,
        message.id(),
        stream.as_str(),
        stream.category_str(),
        message.message_type(),
        microseconds(clock.now()),
        stream.cardinal_hash(),
        message.stored_metadata(),
        message.stored_data(),
        expected.as_number(),
    )
    // To its end: SQLite commits when the statement is done, and `fetch_optional` would take
    // the row without hearing of a commit that failed.
    .fetch_all(on)
    .await?;
    positions.last().copied().map(Position::new).transpose().map_err(decode)
}

/// The messages travel as one JSON array, `[[id, type, metadata, data], …]`.
async fn insert_all(
    on: &mut SqliteConnection,
    clock: &dyn Clock,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<Option<Position>, sqlx::Error> {
    let batch: Vec<_> = messages
        .iter()
        .map(|message| {
            let id = message.id().simple().to_string();
            (id, message.message_type(), message.stored_metadata(), message.stored_data())
        })
        .collect();
    let batch = serde_json::to_string(&batch).map_err(|e| sqlx::Error::Encode(e.into()))?;
    let inserted = sqlx::query!(
        r#"
        INSERT INTO messages
            (id, stream_name, category, type, position, time, cardinal_hash, metadata, data)
        SELECT
            unhex(batch.value ->> 0), ?2, ?3, batch.value ->> 1,
            stream.version + 1 + batch.key, ?4, ?5, batch.value ->> 2, batch.value ->> 3
        FROM json_each(?1) AS batch, (
            SELECT coalesce(max(position), -1) AS version FROM messages WHERE stream_name = ?2
            LIMIT 1
        ) AS stream
        WHERE ?6 IS NULL OR stream.version = ?6
        ORDER BY batch.key
        "#,
        batch,
        stream.as_str(),
        stream.category_str(),
        microseconds(clock.now()),
        stream.cardinal_hash(),
        expected.as_number(),
    )
    .execute(&mut *on)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(None);
    }
    let Some(last) = messages.last() else { return Ok(None) };
    let position = sqlx::query_scalar!(
        r#"SELECT position AS "position!: i64" FROM messages WHERE id = ?1"#,
        last.id(),
    )
    .fetch_one(on)
    .await?;
    Position::new(position).map(Some).map_err(decode)
}

/// The messages under the ids of these.
async fn find(
    on: &mut SqliteConnection,
    messages: &[NewMessage],
) -> Result<Vec<Recorded>, sqlx::Error> {
    let ids: Vec<String> = messages.iter().map(|m| m.id().simple().to_string()).collect();
    let ids = serde_json::to_string(&ids).map_err(|e| sqlx::Error::Encode(e.into()))?;
    query_messages!("WHERE id IN (SELECT unhex(value) FROM json_each(?1))", ids).fetch_all(on).await
}
