//! Loading an entity that has many messages: all of them, from its snapshot, from the cache.

use std::time::{Duration, Instant};

use evenfold::prelude::*;
use evenfold::stores::BatchSize;
use evenfold::{Entities, EntityCache, Position, Snapshots, Store};
use evenfold_tests::{Account, Deposited, Outcome};

use crate::harness::{self, Comparison, Pace};

pub(crate) const SQLITE: &str = "load 10,000 events, sqlite: from a snapshot / all of them";
const SNAPSHOT: &str = "load 10,000 events, postgres: from a snapshot / all of them";
const CACHE: &str = "load 10,000 events, postgres: from the cache / a read of its last event";

pub(crate) const POSTGRES: [&str; 2] = [SNAPSHOT, CACHE];

const EVENTS: u64 = 10_000;

/// Writes the stream, and keeps the state before its last five messages.
pub(crate) async fn fill(store: &Store) -> Outcome {
    for _ in 0..EVENTS / 1000 {
        store.write_all("account-1", (0..1000).map(|_| Deposited::of(1))).await?;
        store.write_all("account-2", (0..1000).map(|_| Deposited::of(1))).await?;
    }
    kept(store).load("2").await?;
    store.write_all("account-2", (0..5).map(|_| Deposited::of(1))).await?;
    Ok(())
}

fn kept(store: &Store) -> Entities<Account> {
    store.entities().snapshots(Snapshots::every(1000))
}

pub(crate) async fn compare(name: &'static str, store: &Store) -> Outcome<Comparison> {
    if name == CACHE {
        let cached = store.entities::<Account>().cached(EntityCache::of(100));
        let ours = async || load(&cached, "1", EVENTS, 200).await;
        return harness::compare(name, Some(0.9), ours, async || read_last(store).await).await;
    }
    let (kept, whole) = (kept(store), store.entities::<Account>());
    let ours = async || load(&kept, "2", EVENTS + 5, 20).await;
    let theirs = async || load(&whole, "1", EVENTS, 1).await;
    harness::compare_at(Pace::Slow, name, Some(50.0), ours, theirs).await
}

async fn load(
    accounts: &Entities<Account>,
    id: &str,
    events: u64,
    times: u32,
) -> Outcome<Duration> {
    let begin = Instant::now();
    for _ in 0..times {
        let loaded = accounts.load_shared(id).await?;
        if loaded.state.events != events {
            return Err(format!("{} of {events} events", loaded.state.events).into());
        }
    }
    Ok(begin.elapsed() / times)
}

/// The round trip that nobody is spared who wants to know whether something has come, or what was there
/// is another one.
async fn read_last(store: &Store) -> Outcome<Duration> {
    let (stream, last) =
        (StreamName::new("account-1")?, Position::new(i64::try_from(EVENTS)? - 1)?);
    let begin = Instant::now();
    for _ in 0..200 {
        let page = store.messages().read_stream_data(&stream, last, BatchSize::DEFAULT).await?;
        if page.len() != 1 {
            return Err(format!("{} events from the last on", page.len()).into());
        }
    }
    Ok(begin.elapsed() / 200)
}
