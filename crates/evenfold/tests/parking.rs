//! Messages that are set aside: their stream waits, others go on, and they come again when asked for.

#![expect(clippy::unwrap_used, reason = "what stands around the tests is test code too")]

mod story;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::message::NewMessage;
use evenfold::prelude::*;
use evenfold::stores::Categories;
use evenfold::subscriber::{Parked, Parking};
use evenfold::{ErrorPolicy, ExpectedVersion, Store, Subscriber};
use serde_json::json;
use serde_json::value::to_raw_value;
use story::{AccountEvent, Deposited, Withdrawn, deposit, memory, progress};
use uuid::Uuid;

/// Notes what it handles of each stream, and fails on amounts that it is told to.
#[derive(Clone, Default)]
struct Ledger {
    seen: Arc<Mutex<Vec<(String, u64)>>>,
    poison: Arc<Mutex<Vec<u64>>>,
}

impl Ledger {
    fn poisoned_by(amounts: &[u64]) -> Self {
        let ledger = Self::default();
        ledger.poison.lock().unwrap().extend(amounts);
        ledger
    }

    fn mend(&self) {
        self.poison.lock().unwrap().clear();
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().iter().map(|(_, amount)| *amount).collect()
    }

    fn by_stream(&self) -> HashMap<String, Vec<u64>> {
        let mut by_stream: HashMap<_, Vec<_>> = HashMap::new();
        for (stream, amount) in self.seen.lock().unwrap().iter() {
            by_stream.entry(stream.clone()).or_default().push(*amount);
        }
        by_stream
    }
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Ledger {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        if self.poison.lock().unwrap().contains(&event.amount) {
            return Err(format!("{} is poison", event.amount).into());
        }
        let stream = event.recorded().stream_name.to_string();
        self.seen.lock().unwrap().push((stream, event.amount));
        Ok(())
    }
}

const QUICK: Duration = Duration::from_millis(1);

fn parks(store: &Store, ledger: &Ledger) -> Subscriber {
    let policy = ErrorPolicy::park().retries(1).delays(QUICK, QUICK);
    store.subscriber("ledger", ledger.clone()).errors(policy)
}

fn parking(store: &Store) -> Parking {
    store.parking("ledger", "account").unwrap()
}

fn stream(id: u64) -> StreamName {
    StreamName::new(format!("account-{id}")).unwrap()
}

/// What is parked of the first account, in its order.
async fn parked(store: &Store) -> Vec<Parked> {
    parking(store).of(&stream(1)).await.unwrap()
}

/// Two accounts, the first of which has a poisoned message in its middle.
async fn poisoned() -> (Store, Ledger) {
    let store = memory();
    for (id, amount) in [(1, 1), (1, 13), (2, 20), (1, 3), (2, 21), (1, 4)] {
        deposit(&store, &id.to_string(), &[amount]).await;
    }
    (store, Ledger::poisoned_by(&[13]))
}

#[tokio::test]
async fn a_message_that_fails_is_parked_and_only_its_stream_waits() {
    let (store, ledger) = poisoned().await;
    let polled = parks(&store, &ledger).run_until_caught_up().await.unwrap();
    assert_eq!(ledger.seen(), [1, 20, 21]);
    assert_eq!((polled.handled, polled.parked), (3, 3));
    assert_eq!(progress(&store, "account:position-ledger").await.unwrap(), r#"{"position":6}"#);

    let parked = parking(&store).list().await.unwrap();
    let told: Vec<_> = parked
        .iter()
        .map(|it| (it.stream.as_str(), it.message.position.get(), it.message.attempts))
        .collect();
    assert_eq!(told, [("account-1", 1, 2), ("account-1", 2, 0), ("account-1", 3, 0)]);
    let reason = parked[0].message.reason.as_deref().unwrap();
    assert_eq!(
        reason,
        "handling `Deposited` at position 1 of `account-1` (global position 2) by `Ledger`: \
         13 is poison"
    );
    let message = parking(&store).message(&parked[0]).await.unwrap().unwrap();
    assert_eq!(message.decode::<Deposited>().unwrap().amount, 13);
}

#[tokio::test]
async fn what_is_parked_stays_parked_for_the_next_run_and_whatever_its_policy() {
    let (store, ledger) = poisoned().await;
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    ledger.mend();
    deposit(&store, "1", &[5]).await;
    let stops = store.subscriber("ledger", ledger.clone());
    let polled = stops.run_until_caught_up().await.unwrap();
    assert_eq!((ledger.seen(), polled.parked), (vec![1, 20, 21], 1));
    // Another subscriber is not concerned.
    let other = Ledger::default();
    store.subscriber("other", other.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(other.seen(), [1, 13, 20, 3, 21, 4, 5]);
}

#[tokio::test]
async fn a_replay_goes_on_with_what_waited_behind_and_then_the_stream_flows() {
    let (store, ledger) = poisoned().await;
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    ledger.mend();
    parking(&store).replay(&parked(&store).await[0]).await.unwrap();
    deposit(&store, "1", &[5]).await;
    let polled = parks(&store, &ledger).run_until_caught_up().await.unwrap();
    assert_eq!(ledger.by_stream()["account-1"], [1, 13, 3, 4, 5]);
    assert_eq!(polled.replayed, 3);
    assert!(parking(&store).list().await.unwrap().is_empty());

    deposit(&store, "1", &[6]).await;
    let polled = parks(&store, &ledger).run_until_caught_up().await.unwrap();
    assert_eq!((polled.handled, polled.parked), (1, 0));
}

#[tokio::test]
async fn a_replay_that_fails_again_stays_parked_with_its_new_reason() {
    let (store, ledger) = poisoned().await;
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    parking(&store).replay(&parked(&store).await[0]).await.unwrap();
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    let parked = parked(&store).await;
    let first = &parked[0].message;
    assert_eq!((parked.len(), first.attempts, first.is_asked), (3, 4, false));
    assert_eq!(ledger.by_stream()["account-1"], [1]);
}

#[tokio::test]
async fn what_waits_behind_a_discarded_message_is_handled() {
    let (store, ledger) = poisoned().await;
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    parking(&store).discard(&parked(&store).await[0], "a test deposit").await.unwrap();
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    assert_eq!(ledger.by_stream()["account-1"], [1, 3, 4]);
    assert!(parking(&store).list().await.unwrap().is_empty());
}

#[tokio::test]
async fn only_what_is_parked_can_be_replayed_or_discarded() {
    let (store, ledger) = poisoned().await;
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    let [first, second, third] = parked(&store).await.try_into().unwrap();
    let refused = parking(&store).replay(&third).await.unwrap_err();
    assert_eq!(refused.to_string(), "parked message `3`: it waits behind the one at position 1");
    let mut elsewhere = first.clone();
    elsewhere.stream = stream(2);
    let refused = parking(&store).replay(&elsewhere).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "parked message `1`: subscriber `ledger` has parked none at this position of `account-2`"
    );
    parking(&store).discard(&second, "").await.unwrap();
    assert!(parking(&store).discard(&second, "").await.unwrap_err().is_invalid());
    assert!(parking(&store).replay(&second).await.unwrap_err().is_invalid());
    let other = store.parking("other", "account").unwrap();
    assert!(other.replay(&first).await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_replay_that_is_asked_for_already_is_asked_for_once_and_counted_once() {
    let (store, ledger) = poisoned().await;
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    let first = &parked(&store).await[0];
    parking(&store).replay(first).await.unwrap();
    parking(&store).replay(first).await.unwrap();
    assert_eq!(parking(&store).replay_all().await.unwrap(), 0);
    let notes = StreamName::new("account:parked-ledger+1").unwrap();
    let version = store.messages().stream_version(&notes).await.unwrap().unwrap();
    assert_eq!(version.get(), 3, "a replay that is asked for already is asked for once");

    // It fails again, so it can be asked for again.
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    assert_eq!(parking(&store).replay_all().await.unwrap(), 1);
    assert_eq!(parking(&store).replay_all().await.unwrap(), 0);
}

#[tokio::test]
async fn the_oldest_of_all_that_is_parked_is_told_first() {
    let store = memory();
    for id in [3, 1, 2, 1] {
        deposit(&store, &id.to_string(), &[13]).await;
    }
    let ledger = Ledger::poisoned_by(&[13]);
    parks(&store, &ledger).run_until_caught_up().await.unwrap();
    let parked = parking(&store).list().await.unwrap();
    let told: Vec<_> = parked.iter().map(|it| it.message.global_position.get()).collect();
    assert_eq!(told, [1, 2, 3, 4]);
    assert_eq!(parked[0].stream, stream(3));
}

#[tokio::test]
async fn what_a_merged_subscriber_has_parked_is_listed_looked_at_replayed_and_discarded() {
    let (store, ledger) = poisoned().await;
    parks(&store, &ledger).merged().run_until_caught_up().await.unwrap();
    assert!(parking(&store).list().await.unwrap().is_empty());
    let refused = store.parking("ledger", "evenfold").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "category `evenfold`: what merged subscribers have parked is had by `Store::parking_merged`"
    );

    let merged = store
        .parking_merged("ledger", &Categories::of([Category::new("account").unwrap()]).unwrap())
        .unwrap();
    let [first, second, third] = merged.list().await.unwrap().try_into().unwrap();
    assert_eq!(merged.of(&stream(1)).await.unwrap().first(), Some(&first));
    let message = merged.message(&first).await.unwrap().unwrap();
    assert_eq!(message.decode::<Deposited>().unwrap().amount, 13);
    assert!(merged.replay(&third).await.unwrap_err().is_invalid());
    merged.discard(&second, "a test deposit").await.unwrap();
    ledger.mend();
    merged.replay(&first).await.unwrap();
    parks(&store, &ledger).merged().run_until_caught_up().await.unwrap();
    assert_eq!(ledger.by_stream()["account-1"], [1, 13, 4]);
    assert!(merged.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn attempts_that_fail_are_counted_call_by_call_those_at_parked_messages_too() {
    let (store, ledger) = poisoned().await;
    let mut by_hand = parks(&store, &ledger).into_poller().unwrap();
    let polled = by_hand.poll_once().await.unwrap();
    assert_eq!((polled.failed, polled.parked), (1, 0), "the first try");
    let polled = by_hand.poll_once().await.unwrap();
    assert_eq!((polled.failed, polled.parked), (1, 3), "the retry");
    let polled = by_hand.poll_until_caught_up().await.unwrap();
    assert_eq!((polled.failed, polled.parked), (0, 0));
    by_hand.finish().await.unwrap();

    parking(&store).replay_all().await.unwrap();
    let polled = parks(&store, &ledger).run_until_caught_up().await.unwrap();
    assert_eq!((polled.failed, polled.replayed), (2, 0), "the replay and its retry");
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_too_many_parked_messages_waits_and_goes_on_when_there_is_room() {
    let (store, ledger) = poisoned().await;
    let running = {
        let subscriber = parks(&store, &ledger).parked_limit(2).concurrency(4);
        tokio::spawn(subscriber.run_until_caught_up())
    };
    let parking = parking(&store);
    while parking.list().await.unwrap().len() < 2 || !ledger.seen().contains(&21) {
        tokio::time::advance(QUICK).await;
    }
    assert!(!running.is_finished(), "it has caught up with a message that it could not park");
    ledger.mend();
    parking.replay(&parked(&store).await[0]).await.unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(ledger.by_stream()["account-1"], [1, 13, 3, 4]);
}

/// What the last record of the ledger says in its notes under a key.
async fn noted(store: &Store, key: &str) -> Option<String> {
    let positions = StreamName::new("account:position-ledger").unwrap();
    let last = store.messages().last_message(&positions, None).await.unwrap()?;
    let properties = last.metadata().unwrap().local_properties;
    properties.get(key).and_then(|said| said.as_str()).map(Into::into)
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_room_is_told_of_by_its_name_also_after_a_restart() {
    let (store, ledger) = poisoned().await;
    let subscriber = || parks(&store, &ledger).parked_limit(2);
    let mut first = subscriber().into_poller().unwrap();
    while parking(&store).list().await.unwrap().len() < 2 {
        first.poll_once().await.unwrap();
        tokio::time::advance(QUICK).await;
    }
    drop(first);
    let running = tokio::spawn(subscriber().run_until_caught_up());
    let mut held = None;
    while held.is_none() {
        tokio::time::advance(Duration::from_millis(100)).await;
        held = noted(&store, "held").await;
    }
    assert_eq!(
        held.unwrap(),
        "2 messages of `account-1` are parked, which is its limit; replay or discard them, or raise \
         `parked_limit`"
    );
    running.abort();
}

#[tokio::test]
async fn a_message_that_finds_no_room_at_all_stops_the_subscriber_and_it_says_so() {
    let store = memory();
    let notes: Vec<_> = (0..10_000)
        .map(|position| {
            let note = to_raw_value(&json!({
                "position": position, "globalPosition": position + 1, "messageType": "Deposited",
                "messageId": Uuid::from_u128(1), "attempts": 1, "reason": "no luck",
            }));
            NewMessage::new(Uuid::from_u128(position + 1), "Parked", &note.unwrap()).unwrap()
        })
        .collect();
    let parked = StreamName::new("account:parked-ledger+9").unwrap();
    store.messages().write(&parked, &notes, ExpectedVersion::Any).await.unwrap();
    deposit(&store, "1", &[13]).await;
    let ledger = Ledger::poisoned_by(&[13]);
    let stopped = parks(&store, &ledger).run_until_caught_up().await.unwrap_err();
    let why = "parking one more message of subscriber `ledger`, of which 10000 are parked, as many as \
               may be: replay or discard some";
    assert_eq!(stopped.to_string(), why);
    let said = noted(&store, "stopped").await.unwrap();
    assert!(said.starts_with(why) && said.ends_with("13 is poison"), "{said}");
}

#[tokio::test]
async fn a_policy_for_one_kind_of_failure_wins() {
    let (store, ledger) = poisoned().await;
    let skips = store.subscriber("ledger", ledger.clone()).errors_when(|failure| {
        format!("{:#}", failure.error)
            .ends_with("13 is poison")
            .then(|| ErrorPolicy::skip().retries(0))
    });
    let polled = skips.run_until_caught_up().await.unwrap();
    assert_eq!((polled.skipped, polled.parked), (1, 0));
    assert_eq!(ledger.seen(), [1, 20, 3, 21, 4]);
}

#[tokio::test]
async fn a_message_parked_before_a_crash_is_not_parked_twice() {
    let (store, ledger) = poisoned().await;
    for _ in 0..3 {
        // It is dropped before its progress is recorded, so the page comes again.
        let mut poller = parks(&store, &ledger).progress_interval(1000).into_poller().unwrap();
        // The second call is the retry.
        poller.poll_once().await.unwrap();
        poller.poll_once().await.unwrap();
    }
    assert_eq!(parked(&store).await.len(), 3);
}

#[tokio::test]
async fn members_of_one_stream_are_parked_too() {
    let (store, ledger) = poisoned().await;
    let polled = parks(&store, &ledger).entity("1").run_until_caught_up().await.unwrap();
    assert_eq!((polled.handled, polled.parked), (1, 3));
    ledger.mend();
    parking(&store).by_stream().replay_all().await.unwrap();
    parks(&store, &ledger).entity("1").run_until_caught_up().await.unwrap();
    assert_eq!(ledger.seen(), [1, 13, 3, 4]);
}
