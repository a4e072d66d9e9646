//! Reading a large category: into typed messages against the bytes of a `COPY`, and by a member of a
//! consumer group against Message DB's own function.

use std::time::{Duration, Instant};

use evenfold::prelude::*;
use evenfold::stores::{CategoryQuery, ConsumerGroup};
use evenfold::{GlobalPosition, Store};
use evenfold_tests::{AccountEvent, Outcome};
use futures::TryStreamExt;
use sqlx::Row as _;

use super::server::{Backend, Both, Database};
use super::{LONG_DATA, METADATA};
use crate::harness::{Comparison, Pace, compare_at};

const COPY: &str = "postgres replay: read_category and decode / COPY binary, the bytes alone";
const DATA: &str = "postgres replay: the same without metadata / COPY binary, whole rows";
const GROUP_4: &str = "postgres, consumer group 1 of 4, all its messages: ours / Message DB";
const GROUP_64: &str = "postgres, consumer group 3 of 64, all its messages: ours / Message DB";

pub(super) const NAMES: [&str; 4] = [COPY, DATA, GROUP_4, GROUP_64];

/// How many messages are in the category, in how many streams.
const MESSAGES: u32 = 40_000;
const STREAMS: u32 = 2000;

pub(super) async fn compare(name: &'static str, both: &Both) -> Outcome<Comparison> {
    let ours = Reader::of(&both.ours).await?;
    if name == COPY || name == DATA {
        let mut copy = Reader::of(&both.ours).await?;
        let all = CategoryQuery::new(AccountEvent::category());
        let (query, goal) = match name {
            COPY => (all, 0.95),
            _ => (all.without_metadata(), 1.4),
        };
        let ours = async || ours.typed(&query).await;
        return compare_at(Pace::Slow, name, Some(goal), ours, async || copy.copy().await).await;
    }
    let (member, size, goal) = if name == GROUP_4 { (1, 4, 4.0) } else { (3, 64, 6.0) };
    let mut theirs = Reader::of(&both.genuine).await?;
    let group = ConsumerGroup::new(member, size)?;
    let query = CategoryQuery::new(AccountEvent::category()).for_member(group);
    let ours = async || ours.drain(&query).await;
    let theirs = async || theirs.call(member, size).await;
    compare_at(Pace::Slow, name, Some(goal), ours, theirs).await
}

struct Reader {
    store: Store,
    backend: Backend,
}

impl Reader {
    async fn of(database: &Database) -> Outcome<Self> {
        let (store, mut backend) = (database.store().await?, database.backend().await?);
        let connection = &mut backend.connection;
        let count = "SELECT count(*) FROM message_store.messages WHERE stream_name ~ '^account-'";
        if sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *connection).await? == 0 {
            // Beside as much of another category.
            let fill = "SELECT count(message_store.write_message(
                gen_random_uuid()::varchar,
                CASE n % 2 WHEN 0 THEN 'account' ELSE 'other' END || '-' || n % $2,
                'Deposited', $3::jsonb, $4::jsonb
            )) FROM generate_series(1, $1::bigint) AS n";
            sqlx::query(fill)
                .bind(i64::from(MESSAGES) * 2)
                .bind(i64::from(STREAMS))
                .bind(LONG_DATA)
                .bind(METADATA)
                .execute(&mut *connection)
                .await?;
            sqlx::query("VACUUM ANALYZE message_store.messages").execute(&mut *connection).await?;
        }
        Ok(Self { store, backend })
    }

    /// How long a message took.
    async fn typed(&self, query: &CategoryQuery) -> Outcome<Duration> {
        let begin = Instant::now();
        let mut messages = std::pin::pin!(self.store.read_category(query, GlobalPosition::START));
        let mut count = 0;
        while let Some(recorded) = messages.try_next().await? {
            if let Some(AccountEvent::Deposited(event)) = AccountEvent::decode(&recorded)? {
                count += u32::from(event.amount == 5);
            }
        }
        all(count, MESSAGES)?;
        Ok(begin.elapsed() / MESSAGES)
    }

    async fn copy(&mut self) -> Outcome<Duration> {
        let copy = "COPY (
            SELECT id, stream_name, type, position, global_position, data, metadata, time
            FROM message_store.messages WHERE message_store.category(stream_name) = 'account'
            ORDER BY global_position
        ) TO STDOUT (FORMAT binary)";
        let begin = Instant::now();
        let mut bytes = 0;
        let mut chunks = self.backend.connection.copy_out_raw(copy).await?;
        while let Some(chunk) = chunks.try_next().await? {
            bytes += chunk.len();
        }
        let least = usize::try_from(MESSAGES)? * (LONG_DATA.len() + METADATA.len());
        all(u32::from(bytes > least), 1)?;
        Ok(begin.elapsed() / MESSAGES)
    }

    /// How long it takes to read all messages of a member, in pages.
    async fn drain(&self, query: &CategoryQuery) -> Outcome<Duration> {
        let begin = Instant::now();
        let mut messages = std::pin::pin!(self.store.read_category(query, GlobalPosition::START));
        let mut count = 0;
        while messages.try_next().await?.is_some() {
            count += 1;
        }
        some(count, query.group().map_or(1, |group| u32::from(group.size())))?;
        Ok(begin.elapsed())
    }

    async fn call(&mut self, member: i64, size: i64) -> Outcome<Duration> {
        let call = "SELECT * FROM message_store.get_category_messages(
            'account', $1, 1000, consumer_group_member => $2, consumer_group_size => $3
        )";
        let begin = Instant::now();
        let (mut count, mut from) = (0, 1_i64);
        loop {
            let page = sqlx::query(call).bind(from).bind(member).bind(size);
            let page = page.fetch_all(&mut self.backend.connection).await?;
            let Some(last) = page.last() else { break };
            from = last.try_get::<i64, _>("global_position")? + 1;
            count += u32::try_from(page.len())?;
        }
        some(count, u32::try_from(size)?)?;
        Ok(begin.elapsed())
    }
}

fn all(count: u32, of: u32) -> Outcome {
    if count == of { Ok(()) } else { Err(format!("{count} of {of} messages").into()) }
}

/// About as many as a member of so many has.
fn some(count: u32, members: u32) -> Outcome {
    let share = MESSAGES / members;
    let close = (share / 2..share * 2).contains(&count);
    if close { Ok(()) } else { Err(format!("{count} messages, not about {share}").into()) }
}
