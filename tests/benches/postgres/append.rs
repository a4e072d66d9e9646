//! Writing through the framework, by the clock: one message against pgbench, a batch against calls.

use std::time::{Duration, Instant};

use evenfold::Store;
use evenfold_tests::{Deposited, Outcome};
use uuid::Uuid;

use super::batch::{Batch, MANY, Writer};
use super::pgbench::Pgbench;
use super::server::{Both, Database};
use crate::bare::DATA;
use crate::harness::{self, Comparison};

const WRITE: &str = "postgres append, Message DB: store.write / pgbench";
const WRITE_OURS: &str = "postgres append, ours: store.write / pgbench on Message DB";
const BATCH: &str = "postgres append 100, Message DB: write_all / 100 calls";
const BATCH_OURS: &str = "postgres append 100, ours: write_all / 100 calls";
const BATCH_PLAIN: &str = "postgres append 100, ours: write_all / plain INSERT";

pub(crate) const NAMES: [&str; 5] = [WRITE, WRITE_OURS, BATCH, BATCH_OURS, BATCH_PLAIN];

pub(crate) async fn compare(name: &'static str, both: &Both) -> Outcome<Comparison> {
    let Both { genuine, ours } = both;
    let (store, writer) = match name {
        WRITE => return singles(name, genuine, genuine).await,
        WRITE_OURS => return singles(name, ours, genuine).await,
        BATCH => (genuine.store().await?, writer(genuine).await?),
        _ => (ours.store().await?, writer(ours).await?),
    };
    let (goal, mut writer) = (if name == BATCH { 3.0 } else { 4.0 }, writer);
    let ours = async || batches(&store).await;
    if name == BATCH_PLAIN {
        let plain = async || by_hand(async |ids| writer.plain(ids).await).await;
        return harness::compare(name, None, ours, plain).await;
    }
    let calls = async || by_hand(async |ids| writer.call(ids).await).await;
    harness::compare(name, Some(goal), ours, calls).await
}

async fn singles(name: &'static str, on: &Database, pgbench: &Database) -> Outcome<Comparison> {
    // Who writes by pgbench tells nobody either; what that costs is measured in `wakeups.rs`.
    let store = evenfold::connect(&(on.url() + "&wakeups=no")).await?;
    let pgbench = Pgbench::new(pgbench.url())?;
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

/// How many batches are in a turn.
const BATCHES: u32 = 5;

async fn batches(store: &Store) -> Outcome<Duration> {
    let batches: Vec<Vec<_>> =
        (0..BATCHES).map(|_| (0..MANY).map(|_| Deposited::of(5)).collect()).collect();
    let begin = Instant::now();
    for batch in batches {
        store.write_all("account-ours", batch).await?;
    }
    Ok(begin.elapsed() / BATCHES)
}

async fn writer(on: &Database) -> Outcome<Writer> {
    Writer::new(on, "account-theirs", Batch::of(DATA, None)).await
}

async fn by_hand(mut write: impl AsyncFnMut(&[Uuid]) -> Outcome) -> Outcome<Duration> {
    let batches: Vec<_> = (0..BATCHES).map(|_| Batch::ids()).collect();
    let begin = Instant::now();
    for ids in &batches {
        write(ids).await?;
    }
    Ok(begin.elapsed() / BATCHES)
}
