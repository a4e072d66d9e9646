//! Several messages at a time: those of one stream in their order, those of others side by side.

mod story;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::{ErrorPolicy, Memory, Store};
use story::{AccountEvent, Deposited, Withdrawn, deposit, memory, progress};

/// Takes its time, and notes how many are at it.
#[derive(Clone, Default)]
struct Slow {
    seen: Arc<Mutex<HashMap<String, Vec<u64>>>>,
    at_it: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    fails_once_on: Arc<Mutex<Vec<u64>>>,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Slow {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        let stream = event.recorded().stream_name.to_string();
        let at_it = self.at_it.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_it, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.at_it.fetch_sub(1, Ordering::SeqCst);
        let mut failing = self.fails_once_on.lock().unwrap();
        if let Some(at) = failing.iter().position(|amount| *amount == event.amount) {
            failing.remove(at);
            return Err("not yet".into());
        }
        self.seen.lock().unwrap().entry(stream).or_default().push(event.amount);
        Ok(())
    }
}

async fn accounts(store: &Store, streams: u64, each: u64) {
    for amount in 1..=each {
        for id in 1..=streams {
            deposit(store, &id.to_string(), &[amount]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn streams_are_handled_side_by_side_and_each_in_its_order() {
    let store = memory();
    accounts(&store, 40, 5).await;
    let slow = Slow::default();
    slow.fails_once_on.lock().unwrap().extend([2, 2, 2, 4]);
    let begun = tokio::time::Instant::now();
    let subscriber = store.subscriber("slow", slow.clone()).concurrency(16).batch_size(60);
    let polled = subscriber.run_until_caught_up().await.unwrap();
    assert_eq!(polled.handled, 200);
    assert_eq!(slow.most.load(Ordering::SeqCst), 16);
    let seen = slow.seen.lock().unwrap();
    assert_eq!(seen.len(), 40);
    assert!(seen.values().all(|amounts| *amounts == [1, 2, 3, 4, 5]), "{seen:?}");
    // In order it takes 1,000 ms and the pauses of the retries.
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    let last = progress(&store, "account:position-slow").await;
    assert_eq!(last.unwrap(), r#"{"position":200}"#);
}

#[tokio::test(start_paused = true)]
async fn by_default_one_comes_after_the_other() {
    let store = memory();
    accounts(&store, 4, 3).await;
    let slow = Slow::default();
    store.subscriber("slow", slow.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(slow.most.load(Ordering::SeqCst), 1);
}

/// A handler of one stream that does not come to its end, while others do.
#[derive(Clone, Default)]
struct Hangs(Arc<AtomicUsize>);

#[handler(AccountEvent, skip(Withdrawn))]
impl Hangs {
    async fn deposited(&self, event: Received<Deposited>) {
        if event.amount == 1 {
            std::future::pending::<()>().await;
        }
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_of_a_message_that_hangs_is_bounded_and_not_progress() {
    let store = Store::new(Memory::new());
    deposit(&store, "1", &[1]).await;
    for id in 2..200_u64 {
        deposit(&store, &id.to_string(), &[id]).await;
    }
    let hangs = Hangs::default();
    let subscriber = store
        .subscriber("hangs", hangs.clone())
        .concurrency(3)
        .batch_size(20)
        .progress_interval(1)
        .errors(ErrorPolicy::stop());
    let run = subscriber.run_until_caught_up();
    assert!(tokio::time::timeout(Duration::from_secs(60), run).await.is_err());
    // Two pages, but for the one that hangs.
    assert_eq!(hangs.0.load(Ordering::SeqCst), 39);
    assert_eq!(progress(&store, "account:position-hangs").await, None);
}

#[tokio::test]
async fn options_that_contradict_each_other_are_refused() {
    let store = memory();
    let both = store.subscriber("slow", Slow::default()).concurrency(2).transactional();
    let refused = both.into_poller().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "concurrency `2`: messages whose effects are committed with the progress come one at a time"
    );
    let none = store.subscriber("slow", Slow::default()).concurrency(0).into_poller();
    assert_eq!(none.unwrap_err().to_string(), "concurrency `0`: it is 1 or more");
}
