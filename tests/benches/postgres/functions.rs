//! The functions of our schema against Message DB's, by the processor time of the server.
//!
//! One connection to each database, the same calls from the same client, in turns. What a call costs
//! beside the function (protocol, transaction) is the same on both sides and counts on both.

use std::time::Duration;

use evenfold::{Ids, TimeOrderedIds};
use evenfold_tests::Outcome;

use super::batch::{Batch, Writer};
use super::server::{Backend, Both, Database};
use super::{LONG_DATA, METADATA};
use crate::harness::{self, Comparison};

const WRITE: &str = "postgres CPU, write_message: ours / Message DB";
const LAST: &str = "postgres CPU, get_last_stream_message: ours / Message DB";
const VERSION: &str = "postgres CPU, stream_version: ours / Message DB";
const GROUP: &str = "postgres CPU, consumer group 1 of 4: ours / Message DB";
const BATCH: &str = "postgres CPU, append_messages of 100: ours / plain INSERT";
const CATEGORY: &str = "postgres CPU, get_category_messages: ours / Message DB";

pub(crate) const NAMES: [&str; 6] = [WRITE, BATCH, LAST, VERSION, GROUP, CATEGORY];

pub(crate) async fn compare(name: &'static str, both: &Both) -> Outcome<Comparison> {
    if name == BATCH {
        return batches(name, &both.ours).await;
    }
    let (mut ours, mut theirs) = (filled(&both.ours).await?, filled(&both.genuine).await?);
    let goal = match name {
        WRITE => Some(1.1),
        LAST => Some(2.0),
        VERSION => Some(1.2),
        GROUP => Some(3.0),
        _ => None,
    };
    let ours = async || turn(name, &mut ours).await;
    harness::compare(name, goal, ours, async || turn(name, &mut theirs).await).await
}

/// How many messages stand in the category that is read, in how many streams.
///
/// A member of four gets all that is its own in one page, so both sides look at all of them: in a
/// larger category Message DB would sort it where ours stops at the end of the page.
const MESSAGES: i64 = 3600;
const STREAMS: i64 = 600;

/// Written by the database's own function, so that each is as it would be.
async fn filled(database: &Database) -> Outcome<Backend> {
    let mut backend = database.backend().await?;
    let count = "SELECT count(*) FROM message_store.messages WHERE stream_name LIKE 'read-%'";
    if sqlx::query_scalar::<_, i64>(count).fetch_one(&mut backend.connection).await? == 0 {
        let fill = "SELECT count(message_store.write_message(
            gen_random_uuid()::varchar, 'read-' || n % $2, 'Deposited', $3::jsonb, $4::jsonb
        )) FROM generate_series(1, $1::bigint) AS n";
        sqlx::query(fill)
            .bind(MESSAGES)
            .bind(STREAMS)
            .bind(LONG_DATA)
            .bind(METADATA)
            .execute(&mut backend.connection)
            .await?;
        sqlx::query("VACUUM ANALYZE message_store.messages")
            .execute(&mut backend.connection)
            .await?;
    }
    Ok(backend)
}

async fn turn(name: &str, backend: &mut Backend) -> Outcome<Duration> {
    match name {
        WRITE => writes(backend).await,
        LAST => calls("SELECT * FROM message_store.get_last_stream_message($1)", backend).await,
        VERSION => calls("SELECT message_store.stream_version($1)", backend).await,
        GROUP => {
            let call = "SELECT * FROM message_store.get_category_messages(
                'read', $1, 1000, consumer_group_member => 1, consumer_group_size => 4
            )";
            pages(call, backend).await
        }
        _ => pages("SELECT * FROM message_store.get_category_messages('read', $1)", backend).await,
    }
}

/// How many calls of a function that is quick are in a turn.
const CALLS: u32 = 500;

async fn writes(backend: &mut Backend) -> Outcome<Duration> {
    let before = backend.cpu()?;
    for n in 0..CALLS {
        sqlx::query_scalar::<_, i64>(
            "SELECT message_store.write_message(
                $1::uuid::varchar, $2::varchar, 'Deposited', $3::text::jsonb, $4::text::jsonb
            )",
        )
        .bind(TimeOrderedIds.next())
        .bind(format!("written-{}", n % 100))
        .bind(LONG_DATA)
        .bind(METADATA)
        .fetch_one(&mut backend.connection)
        .await?;
    }
    Ok(backend.cpu()?.saturating_sub(before) / CALLS)
}

async fn calls(call: &'static str, backend: &mut Backend) -> Outcome<Duration> {
    let before = backend.cpu()?;
    for n in 0..CALLS {
        let stream = format!("read-{n}");
        sqlx::query(call).bind(stream).fetch_one(&mut backend.connection).await?;
    }
    Ok(backend.cpu()?.saturating_sub(before) / CALLS)
}

/// How many pages are read in a turn.
const PAGES: u32 = 5;

async fn pages(call: &'static str, backend: &mut Backend) -> Outcome<Duration> {
    let before = backend.cpu()?;
    for _ in 0..PAGES {
        let page = sqlx::query(call).bind(1_i64).fetch_all(&mut backend.connection).await?;
        if !(700..=1000).contains(&page.len()) {
            return Err(format!("{} messages in a page", page.len()).into());
        }
    }
    Ok(backend.cpu()?.saturating_sub(before) / PAGES)
}

/// How many batches are in a turn.
const BATCHES: u32 = 5;

async fn batches(name: &'static str, on: &Database) -> Outcome<Comparison> {
    let batch = Batch::of(LONG_DATA, Some(METADATA));
    let mut append = Writer::new(on, "batch-1", batch.clone()).await?;
    let mut plain = Writer::new(on, "batch-2", batch).await?;
    let ours = async || {
        let before = append.backend.cpu()?;
        for _ in 0..BATCHES {
            append.append(&Batch::ids()).await?;
        }
        Ok(append.backend.cpu()?.saturating_sub(before) / BATCHES)
    };
    let theirs = async || {
        let before = plain.backend.cpu()?;
        for _ in 0..BATCHES {
            plain.plain(&Batch::ids()).await?;
        }
        Ok(plain.backend.cpu()?.saturating_sub(before) / BATCHES)
    };
    harness::compare(name, Some(0.9), ours, theirs).await
}
