//! What bare sqlx does on a file of the same schema: the statements of `evenfold-sqlite` by hand.
//!
//! The parameters are made before time is taken, so that everything evenfold does beside the
//! statement counts against it. How a store opens its file is copied from `install.rs` there.

use std::path::Path;
use std::time::Duration;

use evenfold::{Ids, StreamName, TimeOrderedIds};
use evenfold_tests::Outcome;
use serde::Deserialize;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use uuid::Uuid;

/// As in `crates/sqlite/src/write.rs`.
pub(crate) const INSERT: &str = r#"
        INSERT INTO messages
            (id, stream_name, category, type, position, time, cardinal_hash, metadata, data)
        SELECT ?1, ?2, ?3, ?4, stream.version + 1, ?5, ?6, ?7, ?8
        FROM (
            SELECT coalesce(max(position), -1) AS version FROM messages WHERE stream_name = ?2
            LIMIT 1
        ) AS stream
        WHERE ?9 IS NULL OR stream.version = ?9
        RETURNING position AS "position!: i64"
        "#;

/// As in `crates/sqlite/src/write.rs`.
pub(crate) const INSERT_ALL: &str = r"
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
        ";

/// As in `crates/sqlite/src/row.rs` and `read.rs`.
pub(crate) const CATEGORY_PAGE: &str = r#"
            SELECT
                id AS "id!: uuid::Uuid", stream_name AS "stream_name!", type AS "message_type!",
                position AS "position!", global_position AS "global_position!", time AS "time!",
                metadata, data
            FROM messages
            INDEXED BY messages_category
                     WHERE category = ?1 AND global_position >= ?2
                     ORDER BY global_position LIMIT ?3"#;

/// As in `crates/sqlite/src/row.rs` and `read.rs`.
pub(crate) const STREAM_PAGE: &str = r#"
            SELECT
                id AS "id!: uuid::Uuid", stream_name AS "stream_name!", type AS "message_type!",
                position AS "position!", global_position AS "global_position!", time AS "time!",
                metadata, data
            FROM messages
            WHERE stream_name = ?1 AND position >= ?2 ORDER BY position LIMIT ?3"#;

/// Fails when the store has come to write by other statements than these.
pub(crate) fn are_current() -> Outcome {
    let written = include_str!("../../crates/sqlite/src/write.rs");
    if [INSERT, INSERT_ALL].into_iter().all(|statement| written.contains(statement)) {
        return Ok(());
    }
    Err("copy the statements of crates/sqlite/src/write.rs to tests/benches/bare.rs".into())
}

/// Any time; the store asks its clock.
const NOW: i64 = 1_795_443_316_123_456;

/// The data of `Deposited` and `Withdrawn`, read by serde alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read as a whole, as the message is")]
pub(crate) struct Moved {
    pub(crate) account_id: String,
    pub(crate) amount: u64,
    pub(crate) time: String,
}

/// A row as `query_as` makes one.
#[derive(Debug, sqlx::FromRow)]
#[expect(dead_code, reason = "read as a whole, as the store does")]
pub(crate) struct Row {
    #[sqlx(rename = "id!: uuid::Uuid")]
    pub(crate) id: Uuid,
    #[sqlx(rename = "stream_name!")]
    pub(crate) stream_name: String,
    #[sqlx(rename = "message_type!")]
    pub(crate) message_type: String,
    #[sqlx(rename = "position!")]
    pub(crate) position: i64,
    #[sqlx(rename = "global_position!")]
    pub(crate) global_position: i64,
    #[sqlx(rename = "time!")]
    pub(crate) time: i64,
    pub(crate) metadata: Option<String>,
    pub(crate) data: Option<String>,
}

/// The pools of a store, one connection that writes beside four that read.
pub(crate) struct Bare {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Bare {
    /// Opens a file that a store has made.
    pub(crate) async fn open(path: &Path, synchronous: SqliteSynchronous) -> Outcome<Self> {
        let connection = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(5))
            .synchronous(synchronous);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .test_before_acquire(false)
                .max_lifetime(None)
                .idle_timeout(None)
        };
        let writing = connection.clone().journal_mode(SqliteJournalMode::Wal);
        Ok(Self {
            writer: pool(1).connect_with(writing).await?,
            readers: pool(4).connect_lazy_with(connection),
        })
    }

    /// The one statement of a write of one message.
    pub(crate) async fn insert(&self, new: &Parameters) -> Outcome<i64> {
        let positions = sqlx::query_scalar(INSERT)
            .bind(new.id)
            .bind(new.stream.as_str())
            .bind(new.stream.category_str())
            .bind("Deposited")
            .bind(NOW)
            .bind(new.cardinal_hash)
            .bind(None::<&str>)
            .bind(new.data)
            .bind(new.expected)
            .fetch_all(&self.writer)
            .await?;
        Ok(positions.last().copied().ok_or("a conflict")?)
    }

    /// The one statement of a write of many.
    pub(crate) async fn insert_all(&self, batch: &str, stream: &StreamName) -> Outcome {
        sqlx::query(INSERT_ALL)
            .bind(batch)
            .bind(stream.as_str())
            .bind(stream.category_str())
            .bind(NOW)
            .bind(stream.cardinal_hash())
            .bind(None::<i64>)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Many writes of one message in a transaction, as one would do without the other statement.
    pub(crate) async fn insert_each(&self, all: &[Parameters]) -> Outcome {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for new in all {
            sqlx::query_scalar::<_, i64>(INSERT)
                .bind(new.id)
                .bind(new.stream.as_str())
                .bind(new.stream.category_str())
                .bind("Deposited")
                .bind(NOW)
                .bind(new.cardinal_hash)
                .bind(None::<&str>)
                .bind(new.data)
                .bind(new.expected)
                .fetch_all(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// The parameters of one message, ready to be sent.
pub(crate) struct Parameters {
    pub(crate) id: Uuid,
    pub(crate) stream: StreamName,
    pub(crate) cardinal_hash: Option<i64>,
    pub(crate) data: &'static str,
    pub(crate) expected: Option<i64>,
}

impl Parameters {
    pub(crate) fn of(stream: StreamName) -> Self {
        let cardinal_hash = stream.cardinal_hash();
        Self { id: TimeOrderedIds.next(), stream, cardinal_hash, data: DATA, expected: None }
    }
}

/// `Deposited::of(5)` as it is stored.
pub(crate) const DATA: &str =
    r#"{"accountId":"a3f0c2d4e5b6","amount":5,"time":"2026-11-23T14:15:16.123Z"}"#;
