//! How several subscribers run together and stop, with signals of the test's own for the order.

mod story;

use std::sync::Arc;

use evenfold::prelude::*;
use evenfold::{ErrorPolicy, Host, Memory, StopReason, Store};
use story::{AccountEvent, Deposit, Deposited, Notes, Withdrawn, deposit};
use tokio::sync::{Notify, oneshot};

/// Tells when it has begun, and finishes when it is let go.
struct Slow {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Slow {
    async fn deposited(&self, _event: Received<Deposited>) {
        self.begun.notify_one();
        self.go_on.notified().await;
    }
}

#[tokio::test]
async fn a_stop_finishes_the_message_in_hand_and_records_it() {
    let store = Store::new(Memory::new());
    deposit(&store, "1", &[1, 2]).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = Slow { begun: Arc::clone(&begun), go_on: Arc::clone(&go_on) };
    let (stop, stopped) = oneshot::channel::<()>();
    let host = Host::new().subscriber(store.subscriber("slow", slow));
    let running = tokio::spawn(host.run_until(async move { drop(stopped.await) }));

    begun.notified().await;
    stop.send(()).unwrap();
    tokio::task::yield_now().await;
    assert!(!running.is_finished(), "the message in hand was dropped");
    go_on.notify_one();
    let stops = running.await.unwrap().unwrap();
    let slow = stops.iter().next().unwrap();
    assert!(matches!(slow.reason, StopReason::Requested));
    assert_eq!((slow.polled.handled, slow.subscriber.as_str()), (1, "slow"));

    let stream = StreamName::new("account:position-slow").unwrap();
    let record = store.messages().last_message(&stream, None).await.unwrap().unwrap();
    assert_eq!(record.data(), r#"{"position":1}"#);
}

#[tokio::test]
async fn one_that_fails_stops_the_others_and_each_says_why() {
    let store = Store::new(Memory::new());
    deposit(&store, "1", &[1]).await;
    let failing = Notes::default();
    failing.fail_on(1);
    let stops = Host::new()
        .subscriber(store.subscriber("steady", Notes::default()))
        .subscriber(store.subscriber("failing", failing).errors(ErrorPolicy::stop().retries(0)))
        .run_until(std::future::pending())
        .await
        .unwrap();
    let texts: Vec<_> = stops.iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "subscriber `steady` stopped as it was asked to");
    assert!(texts[1].starts_with("subscriber `failing` stopped: handling `Deposited`"));
    assert!(stops.into_result().is_err());
}

/// Answers each command with an event, and each event below a bound with a command.
struct Ping(Store);
struct Pong(Store);

#[handler(story::AccountCommand)]
impl Ping {
    async fn deposit(&self, command: Received<Deposit>) -> Result<(), Error> {
        let event = Deposited { amount: command.amount + 1 };
        self.0.send::<AccountEvent>(command.entity_id()?, event).following(&command).await?;
        Ok(())
    }
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Pong {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), Error> {
        if event.amount < 6 {
            let command = Deposit { amount: event.amount + 1 };
            let write = self.0.send::<story::AccountCommand>(event.entity_id()?, command);
            write.following(&event).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn all_have_caught_up_only_when_none_has_work_from_another() {
    let store = Store::new(Memory::new());
    store.send::<story::AccountCommand>("1", Deposit { amount: 0 }).await.unwrap();
    let stops = Host::new()
        .subscriber(store.subscriber("pong", Pong(store.clone())))
        .subscriber(store.subscriber("ping", Ping(store.clone())))
        .run_until_caught_up()
        .await
        .unwrap();
    assert!(stops.iter().all(|stopped| matches!(stopped.reason, StopReason::CaughtUp)));
    assert_eq!(stops.into_result().unwrap().handled, 8);
}

#[tokio::test]
async fn a_host_with_a_subscriber_that_cannot_start_runs_none() {
    let store = Store::new(Memory::new());
    deposit(&store, "1", &[1]).await;
    let notes = Notes::default();
    let refused = Host::new()
        .subscriber(store.subscriber("notes", notes.clone()))
        .subscriber(store.subscriber("", notes.clone()))
        .run_until_caught_up()
        .await;
    assert!(refused.unwrap_err().is_invalid());
    assert!(notes.seen().is_empty());
    let refused = Host::new().run_until_caught_up().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "number of subscribers `0`: a host runs at least one; add it by `.subscriber(…)`"
    );
}

#[tokio::test]
async fn two_subscribers_with_one_record_of_progress_are_refused() {
    let store = Store::new(Memory::new());
    let notes = || store.subscriber("notes", Notes::default());
    let refused = Host::new().subscriber(notes()).subscriber(notes()).run_until_caught_up().await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "subscriber id `notes`: another of this host keeps its progress in \
         `account:position-notes` too"
    );
    let filtered = notes().correlated_with("transfer");
    let both = Host::new().subscriber(notes()).subscriber(filtered).run_until_caught_up().await;
    assert!(both.is_ok(), "another filter has another record");
    assert!(Host::new().run_until_caught_up().await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_panic_outside_of_handlers_stops_the_host_too() {
    let store = Store::new(Memory::new());
    deposit(&store, "1", &[1]).await;
    let failing = Notes::default();
    failing.fail_on(1);
    let panics = store.subscriber("panics", failing).on_error(|_| panic!("nobody listens"));
    let stops = Host::new()
        .subscriber(store.subscriber("steady", Notes::default()))
        .subscriber(panics)
        .run_until(std::future::pending())
        .await
        .unwrap();
    let texts: Vec<_> = stops.iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "subscriber `steady` stopped as it was asked to");
    assert!(texts[1].ends_with("it panicked: nobody listens"), "{}", texts[1]);
}
