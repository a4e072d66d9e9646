//! Writing through the framework, by the clock: one message against pgbench, a batch against calls.
//!
//! Statements by hand get their parameters made before time is taken, as in `bare.rs`.

use std::time::{Duration, Instant};

use evenfold::{Ids, Store, TimeOrderedIds};
use evenfold_tests::{Deposited, Outcome};
use sqlx::Connection;
use uuid::Uuid;

use super::pgbench::Pgbench;
use super::server::{Backend, Both, Database};
use super::{LONG_DATA, METADATA};
use crate::bare::DATA;
use crate::harness::{self, Comparison};

const WRITE: &str = "postgres append, Message DB: store.write / pgbench";
const WRITE_OURS: &str = "postgres append, ours: store.write / pgbench on Message DB";
const BATCH: &str = "postgres append 100, Message DB: write_all / 100 calls";
const BATCH_OURS: &str = "postgres append 100, ours: write_all / 100 calls";
const BATCH_PLAIN: &str = "postgres append 100, ours: write_all / plain INSERT";
const FUNCTION: &str = "postgres append 100, ours: append_messages / plain INSERT";

pub(crate) const NAMES: [&str; 6] = [WRITE, WRITE_OURS, BATCH, BATCH_OURS, BATCH_PLAIN, FUNCTION];

pub(crate) async fn compare(name: &'static str, both: &Both) -> Outcome<Comparison> {
    let Both { genuine, ours } = both;
    match name {
        WRITE => singles(name, genuine, genuine).await,
        WRITE_OURS => singles(name, ours, genuine).await,
        BATCH => batches(name, Some(3.0), genuine, Rival::Calls).await,
        BATCH_OURS => batches(name, Some(4.0), ours, Rival::Calls).await,
        BATCH_PLAIN => batches(name, None, ours, Rival::Plain).await,
        _ => function(name, ours).await,
    }
}

async fn singles(name: &'static str, on: &Database, pgbench: &Database) -> Outcome<Comparison> {
    let (store, pgbench) = (on.store().await?, Pgbench::new(pgbench.url())?);
    let ours = async || singly(&store).await;
    harness::compare(name, Some(0.9), ours, async || pgbench.turn()).await
}

/// How many messages are written singly in a turn, to how many streams.
const SINGLES: u32 = 500;
const STREAMS: u32 = 100;

async fn singly(store: &Store) -> Outcome<Duration> {
    let writes: Vec<_> =
        (0..SINGLES).map(|n| (format!("account-{}", n % STREAMS), Deposited::of(5))).collect();
    let begin = Instant::now();
    for (stream, event) in writes {
        store.write(stream.as_str(), event).await?;
    }
    Ok(begin.elapsed() / SINGLES)
}

/// What a batch is measured against.
#[derive(Clone, Copy)]
enum Rival {
    /// As many calls of `write_message` in one transaction.
    Calls,
    /// The bare insert of the rows, which takes no lock and is told the version.
    Plain,
}

/// How many messages a batch has, and how many batches a turn.
const MANY: usize = 100;
const BATCHES: u32 = 5;

async fn batches(
    name: &'static str,
    goal: Option<f64>,
    on: &Database,
    rival: Rival,
) -> Outcome<Comparison> {
    let store = on.store().await?;
    let (mut rivals, columns) = (Rivals::new(on).await?, columns(DATA, None));
    let ours = async || {
        let batches: Vec<Vec<_>> =
            (0..BATCHES).map(|_| (0..MANY).map(|_| Deposited::of(5)).collect()).collect();
        let begin = Instant::now();
        for batch in batches {
            store.write_all("account-ours", batch).await?;
        }
        Ok(begin.elapsed() / BATCHES)
    };
    harness::compare(name, goal, ours, async || rivals.turn(rival, &columns).await).await
}

/// The function that the store calls, with its parameters made before, as those of the rival are.
async fn function(name: &'static str, on: &Database) -> Outcome<Comparison> {
    let mut backend = on.backend().await?;
    let (mut rivals, columns) = (Rivals::new(on).await?, columns(LONG_DATA, Some(METADATA)));
    let ours = async || {
        let batches: Vec<_> = (0..BATCHES).map(|_| ids()).collect();
        let (types, data, metadata) = &columns;
        let begin = Instant::now();
        for ids in &batches {
            sqlx::query_scalar::<_, i64>(APPEND)
                .bind("account-ours")
                .bind(ids)
                .bind(types)
                .bind(data)
                .bind(metadata)
                .fetch_one(&mut backend.connection)
                .await?;
        }
        Ok(begin.elapsed() / BATCHES)
    };
    harness::compare(name, Some(0.9), ours, async || rivals.turn(Rival::Plain, &columns).await)
        .await
}

const APPEND: &str = "SELECT message_store.append_messages($1, $2, $3, $4, $5)";

const CALL: &str = "SELECT message_store.write_message(
    $1::uuid::varchar, $2::varchar, $3::varchar, $4::text::jsonb, $5::text::jsonb, $6::bigint
)";

const PLAIN: &str = "
    INSERT INTO message_store.messages (id, stream_name, position, type, data, metadata)
    SELECT batch.id, $1, $2 + batch.number, batch.type, batch.data::jsonb, batch.metadata::jsonb
    FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[])
        WITH ORDINALITY AS batch (id, type, data, metadata, number)";

fn ids() -> Vec<Uuid> {
    (0..MANY).map(|_| TimeOrderedIds.next()).collect()
}

/// The types, the data and the metadata of a batch.
type Columns = (Vec<&'static str>, Vec<&'static str>, Vec<Option<&'static str>>);

fn columns(data: &'static str, metadata: Option<&'static str>) -> Columns {
    (vec!["Deposited"; MANY], vec![data; MANY], vec![metadata; MANY])
}

struct Rivals {
    backend: Backend,
    version: i64,
}

impl Rivals {
    async fn new(on: &Database) -> Outcome<Self> {
        let mut backend = on.backend().await?;
        let version = "SELECT coalesce(message_store.stream_version('account-theirs'), -1)";
        let version = sqlx::query_scalar(version).fetch_one(&mut backend.connection).await?;
        Ok(Self { backend, version })
    }

    async fn turn(&mut self, rival: Rival, columns: &Columns) -> Outcome<Duration> {
        let batches: Vec<_> = (0..BATCHES).map(|_| ids()).collect();
        let begin = Instant::now();
        for ids in &batches {
            match rival {
                Rival::Calls => self.calls(ids).await?,
                Rival::Plain => self.plain(ids, columns).await?,
            }
        }
        Ok(begin.elapsed() / BATCHES)
    }

    async fn calls(&mut self, ids: &[Uuid]) -> Outcome {
        let mut transaction = self.backend.connection.begin().await?;
        for id in ids {
            sqlx::query_scalar::<_, i64>(CALL)
                .bind(id)
                .bind("account-theirs")
                .bind("Deposited")
                .bind(DATA)
                .bind(None::<&str>)
                .bind(None::<i64>)
                .fetch_one(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn plain(&mut self, ids: &[Uuid], (types, data, metadata): &Columns) -> Outcome {
        sqlx::query(PLAIN)
            .bind("account-theirs")
            .bind(self.version)
            .bind(ids)
            .bind(types)
            .bind(data)
            .bind(metadata)
            .execute(&mut self.backend.connection)
            .await?;
        self.version += i64::try_from(ids.len())?;
        Ok(())
    }
}
