//! Processes that end in the middle of a message, and two that run one subscriber.

#![expect(clippy::unwrap_used, reason = "what stands around the tests is test code too")]

mod story;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::{ErrorPolicy, Store, Subscriber};
use story::{AccountEvent, Deposited, Notes, Withdrawn, deposit, memory, progress};

/// Never comes to the end of a deposit of 13, as a process that is killed by it.
#[derive(Clone, Default)]
struct Dies {
    begun: Arc<Mutex<Vec<u64>>>,
    seen: Arc<Mutex<Vec<u64>>>,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Dies {
    async fn deposited(&self, event: Received<Deposited>) {
        self.begun.lock().unwrap().push(event.amount);
        if event.amount == 13 {
            std::future::pending::<()>().await;
        }
        self.seen.lock().unwrap().push(event.amount);
    }
}

/// Runs until it has caught up, or hangs in a message; then it is dropped, as a crash would.
async fn live(subscriber: Subscriber) -> bool {
    tokio::time::timeout(Duration::from_mins(1), subscriber.run_until_caught_up()).await.is_ok()
}

fn parks(store: &Store, dies: &Dies) -> Subscriber {
    store.subscriber("dies", dies.clone()).errors(ErrorPolicy::park())
}

#[tokio::test(start_paused = true)]
async fn a_message_in_the_middle_of_which_the_process_ends_is_parked_at_last() {
    for concurrency in [1, 4] {
        let store = memory();
        for (id, amounts) in [("1", [1, 2]), ("2", [13, 3]), ("3", [4, 5])] {
            deposit(&store, id, &amounts).await;
        }
        let dies = Dies::default();
        let mut lives = 0;
        while !live(parks(&store, &dies).concurrency(concurrency)).await {
            lives += 1;
            assert!(lives < 9, "it is not parked: {:?}", dies.begun.lock().unwrap());
        }
        // Once in company, and three times by itself.
        assert_eq!(lives, 4, "with a concurrency of {concurrency}");
        let parked = store.parking("dies", "account").unwrap().list().await.unwrap();
        let told: Vec<_> =
            parked.iter().map(|it| (it.stream.as_str(), it.message.position.get())).collect();
        assert_eq!(told, [("account-2", 0), ("account-2", 1)]);
        let reason = parked[0].message.reason.as_deref();
        assert_eq!(reason, Some("the process ended 3 times while it was handled"));
        let mut seen = dies.seen.lock().unwrap().clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 2, 4, 5]);
        let last = progress(&store, "account:position-dies").await;
        assert_eq!(last.unwrap(), r#"{"position":6}"#);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_killed_now_and_then_parks_nothing() {
    let store = memory();
    let notes = Notes::default();
    for amount in 1..=9 {
        deposit(&store, "1", &[amount]).await;
        let subscriber = store.subscriber("notes", notes.clone()).errors(ErrorPolicy::park());
        let mut poller = subscriber.into_poller().unwrap();
        poller.poll_once().await.unwrap();
        // Dropped with its work begun.
    }
    let parking = store.parking("notes", "account").unwrap();
    assert!(parking.list().await.unwrap().is_empty());
    let seen = notes.seen();
    assert!((1..=9).all(|amount| seen.contains(&amount)), "{seen:?}");
}

#[tokio::test]
async fn what_is_begun_is_noted_beside_the_record_and_cleared_in_the_end() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let stream = StreamName::new("account:position-notes").unwrap();
    let local = async || {
        let last = store.messages().last_message(&stream, None).await.unwrap().unwrap();
        (last.data().to_owned(), serde_json::to_string(&last.metadata().unwrap().local_properties))
    };
    let subscriber = store.subscriber("notes", Notes::default()).errors(ErrorPolicy::park());
    let mut poller = subscriber.into_poller().unwrap();
    poller.poll_once().await.unwrap();
    let (data, notes) = local().await;
    assert_eq!((data.as_str(), notes.unwrap().as_str()), (r#"{"position":0}"#, r#"{"began":3}"#));
    poller.finish().await.unwrap();
    let (data, notes) = local().await;
    assert_eq!((data.as_str(), notes.unwrap().as_str()), (r#"{"position":3}"#, "{}"));
}

#[tokio::test]
async fn two_processes_of_one_subscriber_are_found_out_by_the_one_that_comes_late() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    let mut first = store.subscriber("notes", Notes::default()).into_poller().unwrap();
    first.poll_until_caught_up().await.unwrap();

    deposit(&store, "1", &[2]).await;
    let second = store.subscriber("notes", Notes::default());
    second.run_until_caught_up().await.unwrap();

    deposit(&store, "1", &[3]).await;
    let error = first.poll_until_caught_up().await.unwrap_err();
    assert!(error.is_superseded());
    assert_eq!(
        error.to_string(),
        "another process runs subscriber `notes` too, or its progress was reset: stream \
         `account:position-notes` was expected to be at version 0 and is at version 1"
    );
    let last = progress(&store, "account:position-notes").await.unwrap();
    assert_eq!(last, r#"{"position":3}"#, "it recorded over the other");
}

#[tokio::test]
async fn why_it_stopped_stands_where_another_process_can_read_it() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let notes = Notes::default();
    notes.fail_on(2);
    let stops = store.subscriber("notes", notes).errors(ErrorPolicy::stop().retries(0));
    stops.run_until_caught_up().await.unwrap_err();
    let stream = StreamName::new("account:position-notes").unwrap();
    let last = store.messages().last_message(&stream, None).await.unwrap().unwrap();
    let reason = &last.metadata().unwrap().local_properties["stopped"];
    assert_eq!(
        reason,
        "handling `Deposited` at position 1 of `account-1` (global position 2) by `Notes`: \
         no luck with 2"
    );
}

/// Sends a mail for each deposit, once, and notes that it did.
#[derive(Clone)]
struct Mails(Store, Arc<Mutex<Vec<u64>>>);

#[handler(AccountEvent, skip(Withdrawn))]
impl Mails {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), Error> {
        if self.0.is_followed(&event, "mail-1", "").await? {
            return Ok(());
        }
        self.1.lock().unwrap().push(event.amount);
        let sent = Deposited { amount: event.amount };
        self.0.write("mail-1", sent).following(&event).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_can_ask_whether_it_has_followed_a_message_already() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let mails = Mails(store.clone(), Arc::default());
    for _ in 0..3 {
        let mut poller = store.subscriber("mails", mails.clone()).into_poller().unwrap();
        poller.poll_once().await.unwrap();
    }
    assert_eq!(*mails.1.lock().unwrap(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_brings_the_process_down_is_given_up_too() {
    let store = memory();
    deposit(&store, "2", &[13, 3]).await;
    let dies = Dies::default();
    while !live(parks(&store, &dies)).await {}
    let parking = store.parking("dies", "account").unwrap();
    for _ in 0..2 {
        parking.replay_all().await.unwrap();
        let mut lives = 0;
        while !live(parks(&store, &dies)).await {
            lives += 1;
            assert!(lives < 9, "it is tried for ever");
        }
        assert_eq!(lives, 3);
        let parked = parking.list().await.unwrap();
        assert_eq!((parked.len(), parked[0].message.begun), (2, 3));
    }
    let poison = &parking.list().await.unwrap()[0];
    parking.discard(poison, "it is poison").await.unwrap();
    assert!(live(parks(&store, &dies)).await);
    assert_eq!(*dies.seen.lock().unwrap(), [3]);
}
