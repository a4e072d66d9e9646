//! Writing through the framework and by hand, each to a file of its own on the same disk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use evenfold::prelude::*;
use evenfold::{Entities, Position, Store};
use evenfold_tests::{Account, Deposited, Outcome, peak};
use sqlx::sqlite::SqliteSynchronous;
use tempfile::TempDir;

use crate::bare::{Bare, DATA, Moved, Parameters, Row, STREAM_PAGE};
use crate::harness::{self, Comparison};
use crate::url;

const APPEND: &str = "append: store.write / the same INSERT";
const DURABLE: &str = "append, each on the disk at once: store.write / the same INSERT";
const BATCH: &str = "append 100: store.write_all / the same INSERT";
const BATCH_EACH: &str = "append 100: store.write_all / 100 INSERTs, one transaction";
const LONG: &str = "append: to a stream of 50,000 / to short streams";
const TRANSACT: &str = "transact: load 10 to 115, decide, write / the same by hand";

pub(crate) const NAMES: [&str; 6] = [APPEND, DURABLE, LONG, BATCH, BATCH_EACH, TRANSACT];

/// How many streams are written to in turns.
const STREAMS: u32 = 100;
/// How many messages a batch has.
const MANY: u32 = 100;

pub(crate) async fn compare(name: &'static str, folder: &TempDir) -> Outcome<Comparison> {
    let (durability, synchronous) = match name {
        DURABLE => ("full", SqliteSynchronous::Full),
        _ => ("normal", SqliteSynchronous::Normal),
    };
    let ours = url(folder, "ours.db") + "?durability=" + durability;
    let store = evenfold::connect(&ours).await?;
    evenfold::connect(&url(folder, "theirs.db")).await?;
    let bare = Bare::open(&folder.path().join("theirs.db"), synchronous).await?;
    match name {
        APPEND | DURABLE => {
            harness::compare(
                name,
                Some(0.9),
                async || append(&store, |n| format!("account-{n}")).await,
                async || bare_append(&bare).await,
            )
            .await
        }
        LONG => {
            peak::fill(&store, &StreamName::new("account-long")?, 50_000).await?;
            let ours = async || append(&store, |_| "account-long".to_owned()).await;
            let theirs = async || append(&store, |n| format!("account-{n}")).await;
            harness::compare(name, Some(0.8), ours, theirs).await
        }
        BATCH => {
            let ours = async || batches(&store).await;
            harness::compare(name, None, ours, async || bare_batches(&bare).await).await
        }
        BATCH_EACH => {
            let ours = async || batches(&store).await;
            harness::compare(name, None, ours, async || bare_each(&bare).await).await
        }
        _ => {
            prefill(&store).await?;
            prefill(&evenfold::connect(&url(folder, "theirs.db")).await?).await?;
            let accounts = store.entities::<Account>();
            let ours = async || transact(&accounts).await;
            harness::compare(name, None, ours, async || bare_transact(&bare).await).await
        }
    }
}

async fn append(store: &Store, stream: impl Fn(u32) -> String) -> Outcome<Duration> {
    let writes: Vec<_> = (0..STREAMS).map(|n| (stream(n), Deposited::of(5))).collect();
    let begin = Instant::now();
    for (stream, event) in writes {
        store.write(stream.as_str(), event).await?;
    }
    Ok(begin.elapsed() / STREAMS)
}

async fn bare_append(bare: &Bare) -> Outcome<Duration> {
    let all = parameters(STREAMS)?;
    let begin = Instant::now();
    for new in &all {
        bare.insert(new).await?;
    }
    Ok(begin.elapsed() / STREAMS)
}

fn parameters(count: u32) -> Outcome<Vec<Parameters>> {
    (0..count).map(|n| Ok(Parameters::of(StreamName::new(format!("account-{n}"))?))).collect()
}

/// How many batches a turn has.
const BATCHES: u32 = 2;

async fn batches(store: &Store) -> Outcome<Duration> {
    let batches: Vec<Vec<_>> =
        (0..BATCHES).map(|_| (0..MANY).map(|_| Deposited::of(5)).collect()).collect();
    let begin = Instant::now();
    for batch in batches {
        store.write_all("account-1", batch).await?;
    }
    Ok(begin.elapsed() / BATCHES)
}

async fn bare_batches(bare: &Bare) -> Outcome<Duration> {
    let stream = StreamName::new("account-1")?;
    let batch = || -> Outcome<String> {
        let rows: Vec<_> = parameters(MANY)?
            .iter()
            .map(|new| (new.id.simple().to_string(), "Deposited", None::<&str>, new.data))
            .collect();
        Ok(serde_json::to_string(&rows)?)
    };
    let batches: Vec<_> = (0..BATCHES).map(|_| batch()).collect::<Outcome<_>>()?;
    let begin = Instant::now();
    for batch in &batches {
        bare.insert_all(batch, &stream).await?;
    }
    Ok(begin.elapsed() / BATCHES)
}

async fn bare_each(bare: &Bare) -> Outcome<Duration> {
    let stream = StreamName::new("account-1")?;
    let batches: Vec<Vec<_>> =
        (0..BATCHES).map(|_| (0..MANY).map(|_| Parameters::of(stream.clone())).collect()).collect();
    let begin = Instant::now();
    for batch in &batches {
        bare.insert_each(batch).await?;
    }
    Ok(begin.elapsed() / BATCHES)
}

/// How many accounts are decided on in a turn; each grows by a message.
const ACCOUNTS: u32 = 60;

async fn prefill(store: &Store) -> Outcome {
    for n in 0..ACCOUNTS {
        let events = (0..10).map(|_| Deposited::of(5));
        store.write_all(format!("account-{n}").as_str(), events).await?;
    }
    Ok(())
}

async fn transact(accounts: &Entities<Account>) -> Outcome<Duration> {
    let ids: Vec<_> = (0..ACCOUNTS).map(|n| n.to_string()).collect();
    let begin = Instant::now();
    for id in &ids {
        let decide = |account: &Account| Ok(vec![Deposited::of(account.balance.min(5)).into()]);
        accounts.transact(id.as_str(), decide).await?;
    }
    Ok(begin.elapsed() / ACCOUNTS)
}

async fn bare_transact(bare: &Bare) -> Outcome<Duration> {
    let mut all = parameters(ACCOUNTS)?;
    let begin = Instant::now();
    for new in &mut all {
        let page: Vec<Row> = sqlx::query_as(STREAM_PAGE)
            .bind(new.stream.as_str())
            .bind(Position::START.get())
            .bind(1000)
            .fetch_all(&bare.readers)
            .await?;
        let mut balances = HashMap::new();
        for row in &page {
            let moved: Moved = serde_json::from_str(row.data.as_deref().unwrap_or_default())?;
            *balances.entry(&row.message_type).or_insert(0) += moved.amount;
            new.expected = Some(row.position);
        }
        new.data = if balances.is_empty() { "{}" } else { DATA };
        bare.insert(new).await?;
    }
    Ok(begin.elapsed() / ACCOUNTS)
}
