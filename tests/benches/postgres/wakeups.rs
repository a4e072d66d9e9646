//! What an announcement gains for who waits, and what it costs who writes.
//!
//! The one who waits has a store of his own: its connections are those of another process.

use std::time::{Duration, Instant};

use evenfold::stores::Announcement;
use evenfold::{GlobalPosition, Store};
use evenfold_tests::{Deposited, Outcome};
use futures::future::try_join_all;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::time::{interval, sleep};

use super::server::{Both, Database};
use crate::harness::{self, Comparison, Way};

const WAIT: &str = "postgres wake-up, ours: announced / polled each 100 ms";
const ONE: &str = "postgres append, 1 writer, ours: with wake-ups / without";
const MANY: &str = "postgres append, 16 writers, ours: with wake-ups / without";

pub(crate) const NAMES: [&str; 3] = [WAIT, ONE, MANY];

pub(crate) async fn compare(name: &'static str, both: &Both) -> Outcome<Comparison> {
    let Both { ours, .. } = both;
    if name == WAIT {
        let (announced, polled) = (Announced::on(ours).await?, Polled::on(ours).await?);
        return harness::compare(name, Some(25.0), announced, polled).await;
    }
    let writing = if name == ONE { 1 } else { WRITERS };
    let (with, without) = (writers(ours, "yes").await?, writers(ours, "no").await?);
    // Somebody listens to what is announced, and the server tells him.
    let listener = ours.store().await?;
    let listening = tokio::spawn(listener.messages().announcements().for_each(async |_| {}));
    let compared = harness::compare(
        name,
        Some(0.9),
        async || write(&with, writing).await,
        async || write(&without, writing).await,
    );
    let compared = compared.await;
    listening.abort();
    compared
}

/// A writer, and somebody with another store who waits for what he writes.
struct Pair {
    writer: Store,
    reader: Store,
    next: GlobalPosition,
}

impl Pair {
    async fn on(database: &Database) -> Outcome<Self> {
        let (writer, reader) = (database.store().await?, database.store().await?);
        Ok(Self { writer, reader, next: GlobalPosition::START })
    }

    /// Writes one message; when it was committed.
    async fn write(&self) -> Outcome<Instant> {
        self.writer.write("account-1", Deposited::of(5)).await?;
        Ok(Instant::now())
    }

    /// Whether there is a message that was not read before.
    async fn read(&mut self) -> Outcome<bool> {
        let query = "account".parse().map(evenfold::stores::CategoryQuery::new)?;
        let new: Vec<_> = self.reader.read_category(query, self.next).try_collect().await?;
        let last = new.last().map(|message| message.global_position.next());
        self.next = last.unwrap_or(self.next);
        Ok(last.is_some())
    }
}

struct Announced(Pair, BoxStream<'static, Announcement>);

impl Announced {
    async fn on(database: &Database) -> Outcome<Self> {
        let mut pair = Pair::on(database).await?;
        let mut heard = pair.reader.messages().announcements();
        while heard.next().await.ok_or("the store is closed")? != Announcement::Alive {}
        pair.read().await?;
        Ok(Self(pair, heard))
    }
}

impl Way for Announced {
    async fn turn(&mut self) -> Outcome<Duration> {
        let Self(pair, heard) = self;
        pair.read().await?;
        let committed = pair.write().await?;
        loop {
            heard.next().await.ok_or("the store is closed")?;
            if pair.read().await? {
                return Ok(committed.elapsed());
            }
        }
    }
}

struct Polled(Pair, u64);

impl Polled {
    async fn on(database: &Database) -> Outcome<Self> {
        Ok(Self(Pair::on(database).await?, 0))
    }
}

impl Way for Polled {
    async fn turn(&mut self) -> Outcome<Duration> {
        let Self(pair, turn) = self;
        pair.read().await?;
        let mut poll = interval(Duration::from_millis(100));
        poll.tick().await;
        // The writer comes at any time between two polls.
        *turn += 1;
        sleep(Duration::from_millis(*turn * 37 % 100)).await;
        let committed = pair.write().await?;
        loop {
            poll.tick().await;
            if pair.read().await? {
                return Ok(committed.elapsed());
            }
        }
    }
}

/// How many writers there are, each with a category of its own, and how much they write in a turn.
const WRITERS: u32 = 16;
const WRITES: u32 = 320;

async fn writers(database: &Database, wakeups: &str) -> Outcome<Store> {
    let url = format!("{}&connections={WRITERS}&wakeups={wakeups}", database.url());
    Ok(evenfold::connect(&url).await?)
}

async fn write(store: &Store, writers: u32) -> Outcome<Duration> {
    let writer = async |number: u32| -> Outcome {
        let stream = format!("writer{number}-1");
        for _ in 0..WRITES / writers {
            store.write(stream.as_str(), Deposited::of(5)).await?;
        }
        Ok(())
    };
    let begin = Instant::now();
    try_join_all((0..writers).map(writer)).await?;
    Ok(begin.elapsed() / WRITES)
}
