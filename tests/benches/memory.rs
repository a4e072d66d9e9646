//! The memory store when it holds much against when it holds little: it should not matter.

use std::time::{Duration, Instant};

use evenfold::prelude::*;
use evenfold::stores::{BatchSize, CategoryQuery};
use evenfold::{ExpectedVersion, GlobalPosition, Memory, Store};
use evenfold_tests::{AccountEvent, Deposited, Outcome};

use crate::harness::{self, Comparison};

const APPEND: &str = "memory, append to 100 streams: holding 1,000,000 / 1,000";
const SCATTERED: &str = "memory, append to 100,000 streams: holding 1,000,000 / 1,000";
const PAGE: &str = "memory, page of a category: holding 1,000,000 / 1,000";

pub(crate) const NAMES: [&str; 3] = [APPEND, SCATTERED, PAGE];

const MUCH: u32 = 1_000_000;
const LITTLE: u32 = 1_000;
/// In how many streams a store holds little.
const FEW: u32 = 100;
/// In how many streams of the category a store holds much, besides those few.
const MANY: u32 = 100_000;
const TURN: u32 = 200;

/// A store of so many messages in so many streams, in no order that a cache could follow.
async fn holding(messages: u32, streams: u32) -> Outcome<Store> {
    let store = Store::new(Memory::new());
    for n in 0..messages {
        append_one(&store, n, streams).await?;
    }
    Ok(store)
}

/// A prime number leads through all the streams.
async fn append_one(store: &Store, n: u32, streams: u32) -> Outcome {
    let stream = format!("account-{}", u64::from(n) * 7919 % u64::from(streams));
    store.write(stream.as_str(), Deposited::of(5)).expecting(ExpectedVersion::Any).await?;
    Ok(())
}

pub(crate) async fn compare(name: &'static str) -> Outcome<Comparison> {
    match name {
        APPEND => against(name, Some(0.8), FEW).await,
        SCATTERED => against(name, None, MANY).await,
        _ => {
            let (large, small) = (holding(MUCH, MANY).await?, holding(LITTLE, FEW).await?);
            let middle = GlobalPosition::new(i64::from(MUCH / 2))?;
            let ours = async || pages(&large, middle).await;
            let theirs = async || pages(&small, GlobalPosition::START).await;
            harness::compare(name, Some(0.8), ours, theirs).await
        }
    }
}

async fn against(name: &'static str, goal: Option<f64>, streams: u32) -> Outcome<Comparison> {
    let large = holding(MUCH, streams).await?;
    let ours = async || {
        // As many as a small store is made of, so that both begin with the cache as warm.
        for n in 0..LITTLE + 100 {
            append_one(&large, n, streams).await?;
        }
        append(&large, streams).await
    };
    // All are kept, so that both write to memory that is new to the process.
    let mut kept = Vec::new();
    let theirs = async || {
        // A little more, so that a turn does not meet the doubling of a list.
        let small = holding(LITTLE + 100, FEW).await?;
        let turn = append(&small, FEW).await;
        kept.push(small);
        turn
    };
    harness::compare(name, goal, ours, theirs).await
}

async fn append(store: &Store, streams: u32) -> Outcome<Duration> {
    let writes: Vec<_> =
        (0..TURN).map(|n| (format!("account-{}", n * 7919 % streams), Deposited::of(5))).collect();
    let begin = Instant::now();
    for (stream, event) in writes {
        store.write(stream.as_str(), event).expecting(ExpectedVersion::Any).await?;
    }
    Ok(begin.elapsed() / TURN)
}

/// How many pages are read in a turn.
const PAGES: u32 = 20;

async fn pages(store: &Store, from: GlobalPosition) -> Outcome<Duration> {
    let query = CategoryQuery::new(AccountEvent::category());
    let limit = BatchSize::new(500)?;
    let begin = Instant::now();
    for _ in 0..PAGES {
        let page = store.messages().read_category(&query, from, limit).await?;
        if page.len() != 500 {
            return Err("not a full page".into());
        }
    }
    Ok(begin.elapsed() / PAGES)
}
