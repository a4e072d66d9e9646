//! A batch of a hundred messages by hand, in each way that the store is measured against.
//!
//! What is written is made before time is taken, as in `bare.rs`.

use evenfold::{Ids, TimeOrderedIds};
use evenfold_tests::Outcome;
use sqlx::Connection;
use uuid::Uuid;

use super::server::{Backend, Database};

/// How many messages a batch has.
pub(crate) const MANY: usize = 100;

const APPEND: &str = "SELECT message_store.append_messages($1, $2, $3, $4, $5)";

const CALL: &str = "SELECT message_store.write_message(
    $1::uuid::varchar, $2::varchar, $3::varchar, $4::text::jsonb, $5::text::jsonb
)";

const PLAIN: &str = "
    INSERT INTO message_store.messages (id, stream_name, position, type, data, metadata)
    SELECT batch.id, $1, $6 + batch.number, batch.type, batch.data::jsonb, batch.metadata::jsonb
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[])
        WITH ORDINALITY AS batch (id, type, data, metadata, number)";

/// A batch but for its ids.
#[derive(Clone)]
pub(crate) struct Batch {
    types: Vec<&'static str>,
    data: Vec<&'static str>,
    metadata: Vec<Option<&'static str>>,
}

impl Batch {
    pub(crate) fn of(data: &'static str, metadata: Option<&'static str>) -> Self {
        let (types, data) = (vec!["Deposited"; MANY], vec![data; MANY]);
        Self { types, data, metadata: vec![metadata; MANY] }
    }

    pub(crate) fn ids() -> Vec<Uuid> {
        (0..MANY).map(|_| TimeOrderedIds.next()).collect()
    }
}

/// Writes the same batch again and again to one stream.
pub(crate) struct Writer {
    pub(crate) backend: Backend,
    stream: &'static str,
    version: i64,
    batch: Batch,
}

impl Writer {
    pub(crate) async fn new(on: &Database, stream: &'static str, batch: Batch) -> Outcome<Self> {
        let mut backend = on.backend().await?;
        let version = "SELECT coalesce(message_store.stream_version($1), -1)";
        let version =
            sqlx::query_scalar(version).bind(stream).fetch_one(&mut backend.connection).await?;
        Ok(Self { backend, stream, version, batch })
    }

    /// By our function.
    pub(crate) async fn append(&mut self, ids: &[Uuid]) -> Outcome {
        sqlx::query(APPEND)
            .bind(self.stream)
            .bind(ids)
            .bind(&self.batch.types)
            .bind(&self.batch.data)
            .bind(&self.batch.metadata)
            .execute(&mut self.backend.connection)
            .await?;
        Ok(())
    }

    /// By as many calls of `write_message` in one transaction.
    pub(crate) async fn call(&mut self, ids: &[Uuid]) -> Outcome {
        let mut transaction = self.backend.connection.begin().await?;
        let Batch { types, data, metadata } = &self.batch;
        for (((id, kind), data), metadata) in ids.iter().zip(types).zip(data).zip(metadata) {
            sqlx::query_scalar::<_, i64>(CALL)
                .bind(id)
                .bind(self.stream)
                .bind(kind)
                .bind(data)
                .bind(metadata)
                .fetch_one(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// By the bare insert of the rows, which takes no lock and is told the version.
    pub(crate) async fn plain(&mut self, ids: &[Uuid]) -> Outcome {
        sqlx::query(PLAIN)
            .bind(self.stream)
            .bind(ids)
            .bind(&self.batch.types)
            .bind(&self.batch.data)
            .bind(&self.batch.metadata)
            .bind(self.version)
            .execute(&mut self.backend.connection)
            .await?;
        self.version += i64::try_from(ids.len())?;
        Ok(())
    }
}
