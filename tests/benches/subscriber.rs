//! A subscriber against reading the same category alone, and 16 messages at a time against one.
//!
//! Each turn is a new subscriber, which starts at the beginning and keeps its progress as one does.

use std::time::{Duration, Instant};

use evenfold::prelude::*;
use evenfold::stores::CategoryQuery;
use evenfold::{GlobalPosition, Ids, Memory, Store, TimeOrderedIds};
use evenfold_tests::{AccountEvent, Deposited, Outcome, Withdrawn};
use futures::TryStreamExt;

use crate::harness::{self, Comparison};

pub(crate) const SQLITE: &str = "subscriber, sqlite: handlers that do nothing / reading alone";
pub(crate) const POSTGRES: &str = "subscriber, postgres: handlers that do nothing / reading alone";
pub(crate) const PARALLEL: &str = "subscriber, handlers of 5 ms: 16 at a time / in order";

const STREAMS: u32 = 100;
const EACH: u32 = 100;
const TOTAL: u32 = STREAMS * EACH;

/// Writes what is to be handled, a hundred messages to each of a hundred streams.
pub(crate) async fn fill(store: &Store) -> Outcome {
    for n in 0..STREAMS {
        let events = (0..EACH).map(|_| Deposited::of(1));
        store.write_all(format!("account-{n}").as_str(), events).await?;
    }
    Ok(())
}

pub(crate) async fn compare(name: &'static str, store: &Store) -> Outcome<Comparison> {
    let (ours, theirs) = (async || handle(store).await, async || read(store).await);
    harness::compare(name, Some(0.8), ours, theirs).await
}

struct Nothing;

#[handler(AccountEvent, skip(Withdrawn))]
impl Nothing {
    async fn deposited(&self, _: Received<Deposited>) {}
}

/// One that nobody has run before.
fn new_id() -> String {
    format!("bench{}", TimeOrderedIds.next().simple())
}

async fn handle(store: &Store) -> Outcome<Duration> {
    let subscriber = store.subscriber(&new_id(), Nothing);
    let begin = Instant::now();
    let polled = subscriber.run_until_caught_up().await?;
    let time = begin.elapsed();
    complete(polled.handled, TOTAL)?;
    Ok(time / TOTAL)
}

async fn read(store: &Store) -> Outcome<Duration> {
    let query = CategoryQuery::new(AccountEvent::category());
    let begin = Instant::now();
    let mut messages = std::pin::pin!(store.read_category(query, GlobalPosition::START));
    let mut sum = 0;
    while let Some(recorded) = messages.try_next().await? {
        if let Some(AccountEvent::Deposited(event)) = AccountEvent::decode(&recorded)? {
            sum += event.amount;
        }
    }
    let time = begin.elapsed();
    complete(sum, TOTAL)?;
    Ok(time / TOTAL)
}

/// How many messages there are for handlers that take their time.
const FEW: u32 = 96;
const TAKES: Duration = Duration::from_millis(5);

struct Slow;

#[handler(AccountEvent, skip(Withdrawn))]
impl Slow {
    async fn deposited(&self, _: Received<Deposited>) {
        tokio::time::sleep(TAKES).await;
    }
}

pub(crate) async fn parallel() -> Outcome<Comparison> {
    let store = Store::new(Memory::new());
    for n in 0..FEW {
        store.write(format!("account-{n}").as_str(), Deposited::of(1)).await?;
    }
    let (ours, theirs) = (async || slow(&store, 16).await, async || slow(&store, 1).await);
    harness::compare(PARALLEL, Some(12.0), ours, theirs).await
}

async fn slow(store: &Store, concurrency: u32) -> Outcome<Duration> {
    let subscriber = store.subscriber(&new_id(), Slow).concurrency(concurrency);
    let begin = Instant::now();
    let polled = subscriber.run_until_caught_up().await?;
    let time = begin.elapsed();
    complete(polled.handled, FEW)?;
    Ok(time / FEW)
}

fn complete(count: u64, of: u32) -> Outcome {
    if count == u64::from(of) { Ok(()) } else { Err(format!("{count} of {of} messages").into()) }
}
