//! What a subscriber promises, over a store that can be told to fail and a clock that stands still.

mod story;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::stores::CategoryQuery;
use evenfold::{ErrorPolicy, Failure, GlobalPosition, Memory, Position, Store, Subscriber};
use evenfold_testkit::{Recording, TransactionLog};
use story::{AccountEvent, Deposited, Notes, Withdrawn, deposit, recording};

fn memory() -> Store {
    Store::new(Memory::new())
}

/// What a position stream holds last.
async fn progress(store: &Store, stream: &str) -> Option<String> {
    let stream = StreamName::new(stream).unwrap();
    let last = store.messages().last_message(&stream, None).await.unwrap()?;
    assert_eq!(&*last.message_type, "Recorded");
    Some(last.data().to_owned())
}

type Heard = Arc<Mutex<Vec<(u32, String)>>>;

/// What `on_error` or `on_rejection` was told: which attempt, and the text.
fn ear() -> (Heard, impl Fn(&Failure<'_>) + Send + Sync + 'static) {
    let heard = Heard::default();
    let into = Arc::clone(&heard);
    let hear = move |failure: &Failure<'_>| {
        into.lock().unwrap().push((failure.attempt, failure.error.to_string()));
    };
    (heard, hear)
}

#[tokio::test]
async fn every_message_is_handled_in_order_and_progress_is_recorded_when_idle() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    deposit(&store, "2", &[3]).await;
    let notes = Notes::default();
    let polled = store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!((polled.handled, polled.caught_up), (3, true));
    assert_eq!(notes.seen(), [1, 2, 3]);
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":3}"#);

    deposit(&store, "1", &[4]).await;
    store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 2, 3, 4], "it went on where it was");
}

#[tokio::test]
async fn a_page_that_nobody_wants_is_passed_over() {
    let store = memory();
    for _ in 0..5 {
        store.send::<AccountEvent>("1", Withdrawn { amount: 1 }).await.unwrap();
        store.write("account-1", Unknown).await.unwrap();
    }
    deposit(&store, "1", &[9]).await;
    let notes = Notes::default();
    let subscriber = store.subscriber("notes", notes.clone()).batch_size(2);
    let polled = subscriber.run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [9]);
    // Skipping by name is handling; a type outside the set is passed over.
    assert_eq!((polled.handled, polled.passed_over), (6, 5));
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":11}"#);
}

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

/// Notes under another name.
#[derive(Clone, Default)]
struct Second(Notes);

#[handler(AccountEvent, skip(Withdrawn))]
impl Second {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        let received = event.map(AccountEvent::from);
        evenfold::handler::Handler::handle(&self.0, received, &mut Context::empty()).await
    }
}

#[tokio::test]
async fn handlers_run_in_the_order_they_were_added_and_all_again_when_one_fails() {
    let store = memory();
    deposit(&store, "1", &[7]).await;
    let (first, second) = (Notes::default(), Second::default());
    second.0.fail_on(7);
    let quick = ErrorPolicy::stop().delays(Duration::from_millis(1), Duration::from_millis(1));
    let subscriber = store.subscriber("both", first.clone()).handler(second.clone()).errors(quick);
    subscriber.run_until_caught_up().await.unwrap();
    assert_eq!((first.seen(), second.0.seen()), (vec![7, 7], vec![7]));
}

#[tokio::test]
async fn a_subscriber_of_one_stream_counts_its_positions_apart() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    deposit(&store, "2", &[2, 3]).await;
    let notes = Notes::default();
    store.subscriber("notes", notes.clone()).entity("2").run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [2, 3]);
    let of_stream = progress(&store, "account:streamPosition-notes+2").await;
    assert_eq!(of_stream.unwrap(), r#"{"streamPosition":1}"#);
    assert_eq!(progress(&store, "account:position-notes").await, None);

    store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [2, 3, 1, 2, 3]);
    let foreign = store.subscriber("other", notes.clone()).stream("account-1");
    assert_eq!(foreign.run_until_caught_up().await.unwrap().handled, 1);
}

#[tokio::test]
async fn the_members_of_a_group_share_a_category() {
    let store = memory();
    for id in 1..=20_u64 {
        deposit(&store, &id.to_string(), &[id]).await;
    }
    let mut all = Vec::new();
    for member in 0..3 {
        let notes = Notes::default();
        let subscriber = store.subscriber("notes", notes.clone()).group(member, 3);
        subscriber.run_until_caught_up().await.unwrap();
        assert!((1..20).contains(&notes.seen().len()), "member {member}");
        all.extend(notes.seen());
        let stream = format!("account:position-notes+{member}of3");
        assert!(progress(&store, &stream).await.is_some());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_correlated_messages_are_read() {
    let store = memory();
    for (amount, origin) in [(1, "transfer-7"), (2, "payroll-1"), (3, "transfer-8")] {
        let metadata = evenfold::message::Metadata {
            correlation_stream_name: Some(StreamName::new(origin).unwrap()),
            ..Default::default()
        };
        store.send::<AccountEvent>("1", Deposited { amount }).metadata(&metadata).await.unwrap();
    }
    let notes = Notes::default();
    let subscriber = store.subscriber("notes", notes.clone()).correlated_with("transfer");
    subscriber.run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 3]);
}

#[derive(Message)]
struct PaidIn {
    cents: u64,
}

#[tokio::test]
async fn a_converter_reads_foreign_messages() {
    let store = memory();
    store.write("account-1", PaidIn { cents: 500 }).await.unwrap();
    store.write("account-1", PaidIn { cents: 1 }).await.unwrap();
    let notes = Notes::default();
    let convert = |foreign: &Recorded| {
        if !foreign.is::<PaidIn>() {
            return Ok(None);
        }
        let PaidIn { cents } = foreign.decode()?;
        if cents % 100 != 0 {
            return Err("half a coin".into());
        }
        let data = format!(r#"{{"amount":{}}}"#, cents / 100);
        let message_type = "Deposited".into();
        Ok(Some(Recorded { message_type, data_json: Some(data.into()), ..foreign.clone() }))
    };
    let subscriber = store.subscriber("notes", notes.clone()).converter(convert);
    let error = subscriber.run_until_caught_up().await.unwrap_err();
    assert_eq!(notes.seen(), [5]);
    assert_eq!(
        format!("{error:?}"),
        "converting `PaidIn` at position 1 of `account-1` (global position 2)\n\
         caused by: half a coin"
    );
}

#[tokio::test]
async fn a_subscriber_without_progress_begins_where_it_is_told() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let notes = Notes::default();
    let start = GlobalPosition::new(2).unwrap();
    let subscriber = || store.subscriber("notes", notes.clone()).start_at(start);
    subscriber().run_until_caught_up().await.unwrap();
    subscriber().run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [2, 3], "progress comes before the start");
    let stream = store.subscriber("s", notes.clone()).entity("1").start_at(Position::START.next());
    assert_eq!(stream.run_until_caught_up().await.unwrap().handled, 2);
}

struct OfAnotherCategory;

#[handler(story::AccountCommand)]
impl OfAnotherCategory {
    async fn deposit(&self, _command: Received<story::Deposit>) {}
}

#[tokio::test]
async fn options_that_cannot_be_run_are_refused_by_name() {
    let store = memory();
    let new = || store.subscriber("notes", Notes::default());
    let cases: [(Subscriber, &str); 10] = [
        (store.subscriber("a+b", Notes::default()), "subscriber id `a+b`: "),
        (new().batch_size(0), "batch size `0`: a page holds 1 to 1000000 messages"),
        (new().poll_interval(Duration::ZERO), "poll interval `0s`: "),
        (new().error_delay(Duration::ZERO), "error delay `0s`: "),
        (new().progress_interval(0), "progress interval `0`: "),
        (new().group(3, 3), "consumer group member `3`: the members of a group of 3 are 0 to 2"),
        (new().entity("1").group(0, 2), "subscriber id `notes`: "),
        (new().start_at(Position::START), "start `0`: a subscriber of a category starts at a"),
        (new().handler(Notes::default()), "handler `Notes`: subscriber `notes` has another"),
        (
            new().handler(OfAnotherCategory),
            "handler `OfAnotherCategory`: its set is of category `account:command`, and",
        ),
    ];
    for (subscriber, said) in cases {
        let refused = subscriber.into_poller().unwrap_err();
        assert!(refused.is_invalid());
        assert!(refused.to_string().starts_with(said), "{refused}");
    }
    assert!(new().stream("account").into_poller().unwrap_err().is_invalid());
    assert!(new().entity("").into_poller().unwrap_err().is_invalid());
    assert!(new().correlated_with("a-b").into_poller().unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_poll_handles_one_page_and_waits_for_nothing() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let notes = Notes::default();
    let mut poller = store.subscriber("notes", notes.clone()).batch_size(2).into_poller().unwrap();
    let first = poller.poll_once().await.unwrap();
    assert_eq!((first.handled, first.caught_up, notes.seen().len()), (2, false, 2));
    assert_eq!(poller.poll_once().await.unwrap().handled, 1);
    assert!(poller.poll_once().await.unwrap().caught_up);
    deposit(&store, "1", &[4]).await;
    assert_eq!(poller.poll_once().await.unwrap().handled, 1);
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":3}"#);
    poller.finish().await.unwrap();
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":5}"#);
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
    store.subscriber("notes", notes).errors(quick).run_until_caught_up().await.unwrap();
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
    let all = store.messages().read_category(&query, GlobalPosition::START, Default::default());
    assert_eq!(all.await.unwrap().len(), 3);
}
