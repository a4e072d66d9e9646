//! A server that is killed under load, all of its processes at once, and started again on its files:
//! what was acknowledged is there, and each error was an honest one.
//!
//! Single connections that break are in `faults.rs`. How a server is killed is in `crates/xtask`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenfold_core::message::NewMessage;
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore};
use evenfold_core::{ExpectedVersion, GlobalPosition, Position, StreamName};
use evenfold_postgres::Postgres;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;
use xtask::{Cluster, message_db};

use crate::common::figures;
use crate::common::{MESSAGE_DB, Result, execute, messages, raw};

const WRITERS: u128 = 8;
/// At least.
const KILLS: usize = 4;
/// Calls that are acknowledged between two kills, and before the first and after the last.
const BETWEEN: u32 = 100;
const CATEGORIES: [&str; 4] = ["account", "transfer", "loan", "audit"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_on_message_db_outlives_the_server() -> Result {
    let cluster = Cluster::durable("postgres-killed-message-db")?;
    message_db::install_newest(&cluster)?;
    let store = Postgres::connect(&cluster.url(MESSAGE_DB)).await?;
    assert!(!store.schema().is_ours());
    kill_under_load("postgres-killed-message-db", cluster, store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_on_our_schema_outlives_the_server() -> Result {
    let cluster = Cluster::durable("postgres-killed-ours")?;
    let store = Postgres::connect(&format!("{}&install=yes", cluster.url("postgres"))).await?;
    assert!(store.schema().is_ours());
    kill_under_load("postgres-killed-ours", cluster, store).await
}

async fn kill_under_load(name: &str, mut cluster: Cluster, store: Postgres) -> Result {
    let keeps = "DO $$ BEGIN
        ASSERT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') = 'on';
    END $$";
    execute(&mut raw(&cluster.url("postgres")).await?, keeps).await?;
    let acknowledged = Arc::new(Semaphore::new(0));
    let (server, is_up) = watch::channel(true);
    let (finish, is_over) = watch::channel(false);
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let acknowledged = Arc::clone(&acknowledged);
        let (is_up, is_over) = (is_up.clone(), is_over.clone());
        let tally = Tally::default();
        let writer = Writer { number, store: store.clone(), acknowledged, is_up, is_over, tally };
        writers.spawn(writer.work());
    }
    let end = Instant::now() + at_least()?;
    let mut kills = 0;
    loop {
        tokio::select! {
            enough = acknowledged.acquire_many(BETWEEN) => enough?.forget(),
            // Only an error ends one before its time.
            Some(writer) = writers.join_next() => return writer?.map(drop),
        }
        if kills >= KILLS && Instant::now() >= end {
            break;
        }
        server.send_replace(false);
        tokio::task::block_in_place(|| cluster.kill().and_then(|()| cluster.start()))?;
        server.send_replace(true);
        kills += 1;
    }
    finish.send_replace(true);

    let (mut calls, mut tally) = (Vec::new(), Tally::default());
    for writer in writers.join_all().await {
        let (of_writer, Tally { settled, unknown, landed }) = writer?;
        calls.extend(of_writer);
        tally.settled += settled;
        tally.unknown += unknown;
        tally.landed += landed;
    }
    let found = everything(&store).await?;
    for call in &calls {
        for (message, position) in call.messages.iter().zip(call.first..) {
            let place = (call.stream.as_str().to_owned(), position);
            assert_eq!(found.get(&message.id()), Some(&place), "acknowledged, and not there");
        }
    }
    let written: usize = calls.iter().map(|call| call.messages.len()).sum();
    assert_eq!(found.len(), written, "there is what nobody wrote");
    let Tally { settled, unknown, landed } = tally;
    assert!(unknown + settled >= kills, "the server was not killed under load");
    let calls = calls.len();
    let figures = format!(
        "{kills} kills; {calls} calls acknowledged, {written} messages, all there; answers lost: \
         {settled} found by their ids at once, {unknown} unknown, of which {landed} had landed"
    );
    figures::tell(name, figures)?;
    Ok(())
}

/// For how long the server is killed again and again: until it was so often, or for
/// `$EVENFOLD_SOAK_SECONDS`.
fn at_least() -> Result<Duration> {
    let seconds = std::env::var("EVENFOLD_SOAK_SECONDS").map_or(Ok(0), |told| told.parse())?;
    Ok(Duration::from_secs(seconds))
}

/// Where each message is, by its id; each stream has all positions from 0 on, once.
async fn everything(store: &Postgres) -> Result<HashMap<Uuid, (String, i64)>> {
    let mut found = HashMap::new();
    let mut streams: BTreeMap<String, i64> = BTreeMap::new();
    for category in CATEGORIES {
        let query = CategoryQuery::new(category.parse()?);
        let mut from = GlobalPosition::START;
        loop {
            let page = store.read_category(&query, from, BatchSize::new(1000)?).await?;
            let Some(last) = page.last() else { break };
            from = last.global_position.next();
            for message in &page {
                let stream = message.stream_name.as_str();
                let (name, position) = (stream.to_owned(), message.position.get());
                let next = streams.entry(name.clone()).or_default();
                assert_eq!(position, *next, "a gap or a repetition in {stream}");
                *next += 1;
                assert_eq!(found.insert(message.id, (name, position)), None, "an id came twice");
            }
        }
    }
    Ok(found)
}

/// A call that was acknowledged in the end.
struct Call {
    stream: StreamName,
    messages: Vec<NewMessage>,
    /// The position acknowledged for the first message.
    first: i64,
}

impl Tally {
    /// The answer that came in the end: whether one was lost, and it had been written.
    fn found(&mut self, was_unknown: bool, is_repetition: bool) {
        let found = if was_unknown { &mut self.landed } else { &mut self.settled };
        *found += usize::from(is_repetition);
    }
}

struct Writer {
    number: u128,
    store: Postgres,
    acknowledged: Arc<Semaphore>,
    is_up: watch::Receiver<bool>,
    is_over: watch::Receiver<bool>,
    tally: Tally,
}

/// Answers that were lost.
#[derive(Default)]
struct Tally {
    /// Found by their ids within the call.
    settled: usize,
    /// Their outcome was unknown until the same call was made again.
    unknown: usize,
    /// Of those, what had been written.
    landed: usize,
}

impl Writer {
    /// Writes by turns to a stream of its own, whose version it knows, and to one that all share.
    async fn work(mut self) -> Result<(Vec<Call>, Tally)> {
        let category = CATEGORIES.iter().cycle().nth(usize::try_from(self.number)?);
        let category = category.ok_or("no category")?;
        let own = StreamName::new(format!("{category}-{}", self.number))?;
        let shared = StreamName::new("audit-1")?;
        let mut version = None;
        let mut calls = Vec::new();
        for round in (self.number..).step_by(usize::try_from(WRITERS)?) {
            if *self.is_over.borrow() {
                break;
            }
            let count = if round % 5 < 3 { 1 } else { round % 17 + 2 };
            let messages = messages(round * 100..round * 100 + count)?;
            let (stream, expected) = if (round / WRITERS).is_multiple_of(3) {
                (shared.clone(), ExpectedVersion::Any)
            } else {
                (own.clone(), ExpectedVersion::from(version))
            };
            let last = self.write(&stream, &messages, expected).await?;
            if stream == own {
                version = Some(last);
            }
            let first = last.get() + 1 - i64::try_from(messages.len())?;
            calls.push(Call { stream, messages, first });
        }
        Ok((calls, self.tally))
    }

    /// Makes the same call until it is answered. Nobody else writes to a stream with an expected
    /// version, so an error of any other kind would be a lie, and a conflict too.
    async fn write(
        &mut self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Position> {
        let mut is_unknown = false;
        loop {
            match self.store.write(stream, messages, expected).await {
                Ok(written) => {
                    self.tally.found(is_unknown, written.is_repetition());
                    self.acknowledged.add_permits(1);
                    return Ok(written.last());
                }
                Err(error) if error.is_unavailable() => {
                    self.tally.unknown += usize::from(!is_unknown);
                    is_unknown = true;
                    self.is_up.wait_for(|is_up| *is_up).await?;
                }
                Err(error) => return Err(format!("{expected:?} of {stream}: {error:?}").into()),
            }
        }
    }
}
