//! What a subscriber does when something fails, over a clock that stands still.

mod story;

use std::time::Duration;

use evenfold::prelude::*;
use evenfold::stores::{BatchSize, CategoryQuery};
use evenfold::{ErrorPolicy, GlobalPosition, Store};
use evenfold_testkit::{Recording, TransactionLog};
use story::{AccountEvent, Deposited, Notes, Withdrawn, deposit, ear, memory, progress, recording};

#[derive(Message)]
struct Unknown;

#[tokio::test]
async fn a_strict_subscriber_stops_at_a_type_outside_its_set() {
    let store = memory();
    store.write("account-1", Unknown).await.unwrap();
    let stopped = store.subscriber("notes", Notes::default()).strict().run_until_caught_up().await;
    assert_eq!(
        format!("{:?}", stopped.unwrap_err()),
        "subscriber `notes` is strict and meets `Unknown` at position 0 of `account-1` \
         (global position 1)\ncaused by: its type is in no handler's set"
    );
}

#[tokio::test]
async fn a_progress_record_that_cannot_be_read_is_an_error_and_no_start_at_zero() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    store.write("account:position-notes", Unknown).await.unwrap();
    let notes = Notes::default();
    let error = store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap_err();
    assert!(error.is_unreadable_progress());
    assert_eq!(
        error.to_string(),
        "the progress recorded in `account:position-notes` cannot be read: the last message is a \
         `Unknown`, not a `Recorded`"
    );
    assert!(notes.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_is_tried_again_and_then_stops_the_subscriber_before_it() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let notes = Notes::default();
    (0..4).for_each(|_| notes.fail_on(2));
    let (heard, hear) = ear();
    let error = store
        .subscriber("notes", notes.clone())
        .on_error(hear)
        .run_until_caught_up()
        .await
        .unwrap_err();
    let text = "handling `Deposited` at position 1 of `account-1` (global position 2) by `Notes`";
    assert_eq!(format!("{error:?}"), format!("{text}\ncaused by: no luck with 2"));
    let expected: Vec<_> = (1..=4).map(|attempt| (attempt, text.to_owned())).collect();
    assert_eq!(*heard.lock().unwrap(), expected);
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":1}"#);

    store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 2, 3], "it came again, and the first did not");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_succeeds_on_a_retry_is_handled_once() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let notes = Notes::default();
    (0..3).for_each(|_| notes.fail_on(1));
    let begun = tokio::time::Instant::now();
    store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 2]);
    assert_eq!(begun.elapsed().as_millis(), 700, "100, 200 and 400 ms of backoff");
}

#[tokio::test]
async fn a_skipped_message_is_passed_over_and_told_of() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let notes = Notes::default();
    notes.fail_on(1);
    let (heard, hear) = ear();
    let polled = store
        .subscriber("notes", notes.clone())
        .errors(ErrorPolicy::skip().retries(0))
        .on_error(hear)
        .run_until_caught_up()
        .await
        .unwrap();
    assert_eq!((polled.handled, polled.skipped), (1, 1));
    assert_eq!((notes.seen(), heard.lock().unwrap().len()), (vec![2], 1));
}

#[derive(Message)]
#[message(type = "Deposited")]
struct Malformed {
    amount: String,
}

#[tokio::test]
async fn a_message_that_does_not_read_stops_the_subscriber_with_place_and_path() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    store.write("account-1", Malformed { amount: "a lot".into() }).await.unwrap();
    let notes = Notes::default();
    let (heard, hear) = ear();
    let subscriber = store.subscriber("notes", notes.clone()).on_error(hear);
    let error = subscriber.run_until_caught_up().await.unwrap_err();
    let decode = error.decode().unwrap();
    assert_eq!(decode.stream().as_str(), "account-1");
    assert_eq!((decode.position().get(), decode.global_position().get()), (1, 2));
    assert_eq!((decode.message_type(), &*decode.path()), ("Deposited", "data.amount"));
    assert_eq!(heard.lock().unwrap().len(), 1, "it was tried again, which cannot help");

    let skipping = store.subscriber("notes", notes.clone()).errors(ErrorPolicy::skip());
    assert_eq!(skipping.run_until_caught_up().await.unwrap().skipped, 1);
}

struct Panics;

#[handler(AccountEvent, skip(Withdrawn))]
impl Panics {
    async fn deposited(&self, event: Received<Deposited>) {
        assert_ne!(event.amount, 13, "thirteen is not handled");
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_of_that_message() {
    let store = memory();
    deposit(&store, "1", &[12, 13]).await;
    let subscriber = store.subscriber("panics", Panics).errors(ErrorPolicy::stop().retries(0));
    let error = format!("{:?}", subscriber.run_until_caught_up().await.unwrap_err());
    assert!(error.contains("position 1 of `account-1`"), "{error}");
    assert!(error.contains("it panicked: ") && error.contains("thirteen"), "{error}");
    assert_eq!(progress(&store, "account:position-panics").await.unwrap(), r#"{"position":1}"#);
}

struct Refuses;

#[handler(AccountEvent, skip(Withdrawn))]
impl Refuses {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        if event.amount > 10 {
            reject("too much at once")?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_rejection_is_an_answer_and_not_a_failure() {
    let store = memory();
    deposit(&store, "1", &[5, 50, 6]).await;
    let (heard, hear) = ear();
    let (failed, hear_failed) = ear();
    let subscriber = store.subscriber("refuses", Refuses).on_rejection(hear).on_error(hear_failed);
    let polled = subscriber.run_until_caught_up().await.unwrap();
    assert_eq!((polled.handled, polled.rejected), (3, 1));
    assert_eq!(*heard.lock().unwrap(), [(1, "too much at once".to_owned())]);
    assert!(failed.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_waited_for() {
    let (store, recording) = recording();
    deposit(&store, "1", &[1]).await;
    recording.fail_reads(3);
    let notes = Notes::default();
    let begun = tokio::time::Instant::now();
    let (heard, hear) = ear();
    let subscriber = store.subscriber("notes", notes.clone()).on_error(hear);
    subscriber.run_until_caught_up().await.unwrap();
    assert_eq!((notes.seen(), begun.elapsed().as_secs()), (vec![1], 15));
    assert_eq!(heard.lock().unwrap().len(), 3);
}

struct NeedsAnother(Store, Notes);

#[handler(AccountEvent, skip(Withdrawn))]
impl NeedsAnother {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        self.0.messages().stream_version(&StreamName::new("other-1")?).await?;
        let received = event.map(AccountEvent::from);
        evenfold::handler::Handler::handle(&self.1, received, &mut Context::empty()).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_from_a_handler_is_waited_for_too() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    let (away, recording) = recording();
    recording.fail_reads(20);
    let notes = Notes::default();
    let handler = NeedsAnother(away, notes.clone());
    store.subscriber("needs", handler).run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1]);
}

#[tokio::test(start_paused = true)]
async fn progress_that_could_not_be_recorded_is_recorded_later() {
    let (store, recording) = recording();
    deposit(&store, "1", &[1]).await;
    recording.refuse_next(2);
    let notes = Notes::default();
    store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":1}"#);
    assert_eq!(notes.seen(), [1]);
}

#[tokio::test]
async fn the_stores_transaction_is_committed_when_all_handlers_are_done_and_dropped_otherwise() {
    let log = TransactionLog::default();
    let store = Store::new(Recording::default().with_transactions(&log));
    deposit(&store, "1", &[1, 2]).await;
    let notes = Notes::default();
    notes.fail_on(2);
    let quick = ErrorPolicy::stop().delays(Duration::from_millis(1), Duration::from_millis(1));
    let subscriber = store.subscriber("notes", notes).errors(quick).transactional();
    subscriber.run_until_caught_up().await.unwrap();
    assert_eq!((log.begun(), log.committed(), log.dropped()), (3, 2, 1));
}

struct Copies(Store);

#[handler(AccountEvent, skip(Withdrawn))]
impl Copies {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), Error> {
        let copy = Deposited { amount: event.amount };
        self.0.write("copy-1", copy).following(&event).await?;
        Ok(())
    }
}

#[tokio::test]
async fn what_follows_a_message_is_written_once_though_the_subscriber_dies_before_recording() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    for _ in 0..3 {
        let copies = store.subscriber("copies", Copies(store.clone()));
        // It is dropped where a crash might strike: the page is handled, nothing is recorded.
        assert_eq!(copies.into_poller().unwrap().poll_once().await.unwrap().handled, 3);
    }
    let query = CategoryQuery::new("copy".parse().unwrap());
    let all = store.messages().read_category(&query, GlobalPosition::START, BatchSize::DEFAULT);
    assert_eq!(all.await.unwrap().len(), 3);
}

/// An error of the application's own, with the store's inside.
#[derive(Debug)]
struct Wrapped(Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the desk is closed")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

struct Wraps(Store);

#[handler(AccountEvent, skip(Withdrawn))]
impl Wraps {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), Wrapped> {
        let accounts = self.0.entities::<story::Account>();
        let no = accounts.transact(event.amount, |_| reject("no")).await;
        no.map(drop).map_err(Wrapped)
    }
}

#[tokio::test]
async fn a_rejection_is_known_inside_the_error_of_an_application() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    let subscriber = store.subscriber("wraps", Wraps(store.clone()));
    assert_eq!(subscriber.run_until_caught_up().await.unwrap().rejected, 1);
}

#[tokio::test]
async fn a_panic_of_a_converter_ends_the_subscriber_as_a_failure() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    let subscriber = store.subscriber("panics", Notes::default()).converter(
        |_| -> Result<Option<Recorded>, HandlerError> { panic!("a converter of straw") },
    );
    let error = subscriber.run_until_caught_up().await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "running subscriber `panics`: it panicked: a converter of straw"
    );
}

#[tokio::test(start_paused = true)]
async fn progress_that_cannot_be_recorded_on_a_stop_is_the_reason() {
    let (store, recording) = recording();
    deposit(&store, "1", &[1, 2]).await;
    let notes = Notes::default();
    (0..9).for_each(|_| notes.fail_on(2));
    let mut poller = store.subscriber("notes", notes).into_poller().unwrap();
    poller.poll_once().await.unwrap();
    recording.refuse_next(1);
    assert!(poller.finish().await.unwrap_err().is_unavailable());
}
