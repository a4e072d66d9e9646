//! Effects that are committed with the progress: each message has its effect once, whatever fails.

mod story;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::{ErrorPolicy, Memory, Store, Subscriber};
use evenfold_testkit::{NotedTransaction, Recording, TransactionLog};
use futures::FutureExt;
use story::{AccountEvent, Deposited, Notes, Withdrawn, deposit, progress};
use tempfile::TempDir;

/// Notes each amount in the transaction of the store, and fails afterwards if it is told to.
struct Counts(Notes);

#[handler(AccountEvent, skip(Withdrawn))]
impl Counts {
    async fn deposited(
        &self,
        event: Received<Deposited>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        context.require::<NotedTransaction>()?.note(event.amount.to_string());
        let received = event.map(AccountEvent::from);
        evenfold::handler::Handler::handle(&self.0, received, context).await
    }
}

fn store(log: &TransactionLog) -> (Store, Recording) {
    let recording = Recording::default().with_transactions(log);
    (Store::new(recording.clone()), recording)
}

fn counts(store: &Store, notes: &Notes) -> Subscriber {
    let quick = Duration::from_millis(1);
    let policy = ErrorPolicy::park().retries(1).delays(quick, quick);
    store.subscriber("counts", Counts(notes.clone())).errors(policy).transactional()
}

const NUMBERS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

async fn nine(store: &Store) {
    for amount in 1..=9_u64 {
        deposit(store, &(amount % 3).to_string(), &[amount]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_reply_is_lost_has_its_effect_once() {
    let log = TransactionLog::default();
    let (store, _) = store(&log);
    nine(&store).await;
    log.lose_commits(3);
    counts(&store, &Notes::default()).run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), NUMBERS);
    assert_eq!(progress(&store, "account:position-counts").await.unwrap(), r#"{"position":9}"#);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_and_a_store_that_is_away_are_tried_again() {
    let log = TransactionLog::default();
    let (store, recording) = store(&log);
    nine(&store).await;
    log.refuse_commits(1);
    log.refuse_begins(2);
    recording.lose_reply_next(2);
    let notes = Notes::default();
    notes.fail_on(4);
    counts(&store, &notes).run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), NUMBERS);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_anywhere_leaves_each_effect_once() {
    let log = TransactionLog::default();
    let (store, _) = store(&log);
    nine(&store).await;
    // Each life is dropped after so many steps of its future, wherever that is.
    for steps in 1..400 {
        let run = counts(&store, &Notes::default()).run_until_caught_up();
        let mut run = std::pin::pin!(run);
        let mut left = steps;
        while left > 0 && run.as_mut().now_or_never().is_none() {
            left -= 1;
            tokio::task::yield_now().await;
        }
    }
    counts(&store, &Notes::default()).run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), NUMBERS);
    assert!(store.parking("counts", "account").unwrap().list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_parked_has_its_effect_once_when_it_is_replayed() {
    let log = TransactionLog::default();
    let (store, _) = store(&log);
    nine(&store).await;
    let notes = Notes::default();
    (0..2).for_each(|_| notes.fail_on(2));
    counts(&store, &notes).run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), ["1", "3", "4", "6", "7", "9"]);
    let parking = store.parking("counts", "account").unwrap();
    assert_eq!(parking.list().await.unwrap().len(), 3);
    log.lose_commits(2);
    parking.replay_all().await.unwrap();
    counts(&store, &notes).run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), ["1", "3", "4", "6", "7", "9", "2", "5", "8"]);
    assert!(parking.list().await.unwrap().is_empty());
}

/// Inserts each amount into a table that takes it once.
struct Inserts(TransactionLog);

#[handler(AccountEvent, skip(Withdrawn))]
impl Inserts {
    async fn deposited(
        &self,
        event: Received<Deposited>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        let amount = event.amount.to_string();
        if self.0.effects().contains(&amount) {
            return Err(format!("the unique key {amount} is there").into());
        }
        context.require::<NotedTransaction>()?.note(amount);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_reply_is_lost_is_found_before_what_cannot_happen_twice_is_tried() {
    let log = TransactionLog::default();
    let (store, recording) = store(&log);
    nine(&store).await;
    log.lose_commits(3);
    let inserts = store.subscriber("inserts", Inserts(log.clone())).transactional();
    let policy = ErrorPolicy::stop().retries(0);
    let (heard, hear) = story::ear();
    let inserts = inserts.errors(policy).on_error(move |failure| {
        hear(failure);
        // The store is away still when it is asked what came of the commit.
        if failure.error.to_string().starts_with("committing") {
            recording.fail_reads(1);
        }
    });
    let polled = inserts.run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), NUMBERS);
    assert_eq!(polled.handled, 9);
    assert!(heard.lock().unwrap().iter().all(|(attempt, _)| *attempt == 1), "{heard:?}");
}

/// Fails until it is mended; once, a person notes something in the middle of what it does then.
struct Interrupted {
    store: Store,
    is_mended: Arc<AtomicBool>,
    is_noted: AtomicBool,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Interrupted {
    async fn deposited(
        &self,
        event: Received<Deposited>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        if !self.is_mended.load(Ordering::SeqCst) {
            return Err("not yet".into());
        }
        if !self.is_noted.swap(true, Ordering::SeqCst) {
            let parking = self.store.parking("counts", "account")?;
            let last = parking.list().await?.pop().ok_or("nothing is parked")?;
            parking.discard(&last, "not wanted").await?;
        }
        context.require::<NotedTransaction>()?.note(event.amount.to_string());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_note_in_the_middle_of_a_replay_is_no_failure_of_the_message_and_stops_nothing() {
    let log = TransactionLog::default();
    let (store, _) = store(&log);
    deposit(&store, "1", &[1, 2, 3]).await;
    let is_mended = Arc::new(AtomicBool::new(false));
    let counts = || {
        let (store, is_mended) = (store.clone(), Arc::clone(&is_mended));
        let handler = Interrupted { store, is_mended, is_noted: AtomicBool::new(false) };
        let policy = ErrorPolicy::park().retries(0);
        handler.store.clone().subscriber("counts", handler).errors(policy).transactional()
    };
    counts().run_until_caught_up().await.unwrap();
    is_mended.store(true, Ordering::SeqCst);
    let parking = store.parking("counts", "account").unwrap();
    parking.replay_all().await.unwrap();
    counts().run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), ["1", "2"], "3 was discarded meanwhile");
    assert!(parking.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_processes_count_together_what_is_there_once() {
    let log = TransactionLog::default();
    let (store, _) = store(&log);
    nine(&store).await;
    let mut first = counts(&store, &Notes::default()).batch_size(2).into_poller().unwrap();
    first.poll_once().await.unwrap();
    counts(&store, &Notes::default()).run_until_caught_up().await.unwrap();
    deposit(&store, "1", &[10]).await;
    let mut ended = first.poll_once().await;
    while ended.is_ok() {
        ended = first.poll_once().await;
    }
    assert!(ended.unwrap_err().is_superseded());
    counts(&store, &Notes::default()).run_until_caught_up().await.unwrap();
    let mut all: Vec<_> = NUMBERS.to_vec();
    all.push("10");
    assert_eq!(log.effects(), all);
}

#[tokio::test]
async fn a_handler_that_asks_for_another_transaction_is_told_which_there_is() {
    let memory = Store::new(Memory::new());
    deposit(&memory, "1", &[1]).await;
    let stops = memory.subscriber("counts", Counts(Notes::default()));
    let stops = stops.errors(ErrorPolicy::stop().retries(0)).transactional();
    let error = format!("{:#}", stops.run_until_caught_up().await.unwrap_err());
    assert!(error.contains("a handler needs a `evenfold_testkit::"), "{error}");
    assert!(error.contains("the store of this subscriber hands out `evenfold_core::"), "{error}");
    let none = Context::empty().require::<evenfold::sqlite::Transaction>().map(drop);
    let none = none.unwrap_err().to_string();
    assert_eq!(none, "a handler needs a `evenfold::sqlite::Transaction`", "where it is public");
    let plain = memory.subscriber("plain", Counts(Notes::default()));
    let plain = plain.errors(ErrorPolicy::stop().retries(0)).run_until_caught_up();
    let error = format!("{:#}", plain.await.unwrap_err());
    assert!(error.ends_with("say `.transactional()` on the subscriber, of a store that has them"));
}

/// Writes a copy of each deposit in the transaction, and of one of nothing beside it.
struct Beside(Store);

#[handler(AccountEvent, skip(Withdrawn))]
impl Beside {
    async fn deposited(
        &self,
        event: Received<Deposited>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        let copy = || Deposited { amount: event.amount };
        match event.amount {
            0 => _ = self.0.write("copy-beside", copy()).await?,
            _ => _ = self.0.write("copy-within", copy()).following(&event).through(context).await?,
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_writes_in_its_transaction_is_announced_when_it_is_committed() {
    let log = TransactionLog::default();
    let (store, recording) = store(&log);
    deposit(&store, "1", &[5]).await;
    log.refuse_commits(1);
    let quick = Duration::from_millis(1);
    let policy = ErrorPolicy::stop().retries(1).delays(quick, quick);
    let copies = store.subscriber("copies", Beside(store.clone())).errors(policy);
    copies.transactional().run_until_caught_up().await.unwrap();
    let announced: Vec<_> = recording.announced().iter().map(ToString::to_string).collect();
    assert_eq!(announced, ["account", "copy"]);
}

#[tokio::test]
async fn on_sqlite_a_handler_that_would_wait_for_itself_fails_by_the_policy() -> std::io::Result<()>
{
    let folder = TempDir::new()?;
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    let store = evenfold::connect(&url).await.unwrap();
    for (id, amount) in [("1", 0), ("1", 5), ("2", 7)] {
        deposit(&store, id, &[amount]).await;
    }
    let beside = |id| store.subscriber(id, Beside(store.clone())).transactional();
    let policy = ErrorPolicy::park().retries(1).delays(Duration::ZERO, Duration::ZERO);
    let polled = beside("parks").errors(policy).run_until_caught_up().await.unwrap();
    assert_eq!((polled.handled, polled.parked), (1, 2));
    let parked = store.parking("parks", "account").unwrap().list().await.unwrap();
    let reason = parked[0].message.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("would wait for itself: write in the transaction"), "{reason}");

    let stops = beside("stops").errors(ErrorPolicy::stop().retries(0)).run_until_caught_up().await;
    let stopped = stops.unwrap_err();
    assert!(format!("{stopped:#}").contains("by `.through(context)`"), "{stopped:#}");
    Ok(())
}

/// Waits without an end for what is not there the first time.
struct Hangs(AtomicBool);

#[handler(AccountEvent, skip(Withdrawn))]
impl Hangs {
    async fn deposited(
        &self,
        event: Received<Deposited>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        context.require::<NotedTransaction>()?.note(event.amount.to_string());
        if !self.0.swap(true, Ordering::SeqCst) {
            futures::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_in_a_transaction_that_is_lost_is_ended_and_handles_it_again() {
    let log = TransactionLog::default();
    let (store, _) = store(&log);
    nine(&store).await;
    log.lose_transactions(1);
    let hangs = store.subscriber("counts", Hangs(AtomicBool::new(false))).transactional();
    // It is no fault of the message.
    let hangs = hangs.errors(ErrorPolicy::stop().retries(0));
    hangs.run_until_caught_up().await.unwrap();
    assert_eq!(log.effects(), NUMBERS);
}
