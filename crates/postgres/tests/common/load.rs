//! Writers that write until they are told to stop, make each call again while its outcome is unknown,
//! and compare what was acknowledged with what is there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use evenfold_core::message::NewMessage;
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore};
use evenfold_core::{ExpectedVersion, GlobalPosition, Position, StreamName};
use evenfold_postgres::Postgres;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Result, messages};

const WRITERS: usize = 8;
pub(crate) const CATEGORIES: [&str; 4] = ["account", "transfer", "loan", "audit"];

/// Writers at work: eight, or as many as were asked for.
pub(crate) struct Load {
    store: Postgres,
    acknowledged: Arc<Acknowledged>,
    server: watch::Sender<bool>,
    finish: watch::Sender<bool>,
    writers: JoinSet<Result<(Vec<Call>, Tally)>>,
}

impl Load {
    /// Eight writers of four categories.
    pub(crate) fn on(store: &Postgres) -> Self {
        Self::of(WRITERS, &CATEGORIES, store)
    }

    /// So many writers of one category, who wait for each other.
    pub(crate) fn of_one_category(writers: usize, store: &Postgres) -> Self {
        Self::of(writers, &["audit"], store)
    }

    fn of(count: usize, categories: &'static [&'static str], store: &Postgres) -> Self {
        let acknowledged = Arc::new(Acknowledged::default());
        let (server, is_up) = watch::channel(true);
        let (finish, is_over) = watch::channel(false);
        let mut writers = JoinSet::new();
        for (number, category) in categories.iter().cycle().take(count).enumerate() {
            let acknowledged = Arc::clone(&acknowledged);
            let (is_up, is_over) = (is_up.clone(), is_over.clone());
            let (store, tally) = (store.clone(), Tally::default());
            let writer =
                Writer { number, count, category, store, acknowledged, is_up, is_over, tally };
            writers.spawn(writer.work());
        }
        Self { store: store.clone(), acknowledged, server, finish, writers }
    }

    /// Waits until so many calls more were acknowledged.
    pub(crate) async fn acknowledged(&mut self, calls: u32) -> Result {
        tokio::select! {
            enough = self.acknowledged.calls.acquire_many(calls) => enough?.forget(),
            // Only an error ends one before its time.
            Some(writer) = self.writers.join_next() => return writer?.map(drop),
        }
        Ok(())
    }

    /// Tells the writers whether a call that was not answered is to be made again now.
    pub(crate) fn server_is_up(&self, is_up: bool) {
        self.server.send_replace(is_up);
    }

    /// Ends the writers, and compares: what was acknowledged is there, once, and nothing else.
    pub(crate) async fn end(self) -> Result<Written> {
        self.finish.send_replace(true);
        let (mut calls, mut tally) = (Vec::new(), Tally::default());
        for writer in self.writers.join_all().await {
            let (of_writer, Tally { settled, unknown, landed }) = writer?;
            calls.extend(of_writer);
            tally.settled += settled;
            tally.unknown += unknown;
            tally.landed += landed;
        }
        let found = everything(&self.store).await?;
        for call in &calls {
            for (message, position) in call.messages.iter().zip(call.first..) {
                let place = (call.stream.as_str().to_owned(), position);
                assert_eq!(found.get(&message.id()), Some(&place), "acknowledged, and not there");
            }
        }
        let written: usize = calls.iter().map(|call| call.messages.len()).sum();
        assert_eq!(found.len(), written, "there is what nobody wrote");
        let Tally { settled, unknown, landed } = tally;
        let calls = calls.len();
        let figures = format!(
            "{calls} calls acknowledged, {written} messages, all there; answers lost: {settled} found \
             by their ids at once, {unknown} unknown, of which {landed} had landed"
        );
        let longest_gap = self.acknowledged.longest_gap();
        Ok(Written { found, lost: unknown + settled, longest_gap, figures })
    }
}

/// What all writers wrote.
pub(crate) struct Written {
    /// The stream and the position of each message.
    pub(crate) found: HashMap<Uuid, (String, i64)>,
    /// How many answers were lost.
    pub(crate) lost: usize,
    /// The longest time in which no call was acknowledged.
    pub(crate) longest_gap: Duration,
    pub(crate) figures: String,
}

struct Acknowledged {
    calls: Semaphore,
    last: Mutex<(Option<Instant>, Duration)>,
}

impl Default for Acknowledged {
    fn default() -> Self {
        Self { calls: Semaphore::new(0), last: Mutex::default() }
    }
}

impl Acknowledged {
    fn add(&self) {
        self.calls.add_permits(1);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = last.0.map(|last| last.elapsed()).unwrap_or_default();
        *last = (Some(Instant::now()), gap.max(last.1));
    }

    fn longest_gap(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).1
    }
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
    number: usize,
    /// How many there are.
    count: usize,
    category: &'static str,
    store: Postgres,
    acknowledged: Arc<Acknowledged>,
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
        let own = StreamName::new(format!("{}-of-{}", self.category, self.number))?;
        let shared = StreamName::new("audit-1")?;
        let mut version = None;
        let mut calls = Vec::new();
        let rounds = (self.number..).step_by(self.count);
        for (turn, round) in rounds.enumerate() {
            if *self.is_over.borrow() {
                break;
            }
            let round = u128::try_from(round)?;
            let count = if round % 5 < 3 { 1 } else { round % 17 + 2 };
            let messages = messages(round * 100..round * 100 + count)?;
            let (stream, expected) = if turn.is_multiple_of(3) {
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
                    self.acknowledged.add();
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
