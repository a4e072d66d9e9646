//! The laws of `Entities::transact`, over a store that can be told to conflict and to lose replies.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::{Entities, ExpectedVersion, Memory, Position, Store, Transacted};
use futures::future::join_all;
use story::{
    Account, AccountCommand, AccountEvent, Deposit, Deposited, Withdrawn, balance, recording,
};
use tokio::time::Instant;

fn deposited(amount: u64) -> AccountEvent {
    Deposited { amount }.into()
}

fn position(number: i64) -> Position {
    Position::new(number).unwrap()
}

/// A command as a handler gets it, the same however often it is asked for.
async fn received(store: &Store) -> Received<Deposit> {
    let stream = StreamName::new("account:command-1").unwrap();
    if store.messages().stream_version(&stream).await.unwrap().is_none() {
        store.send::<AccountCommand>("1", Deposit { amount: 5 }).await.unwrap();
    }
    let last = store.messages().last_message(&stream, None).await.unwrap().unwrap();
    Received::new(last.decode().unwrap(), last, "teller").unwrap()
}

#[tokio::test]
async fn a_decision_expects_the_version_it_was_made_on() {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>();
    let first = accounts.transact("1", |_| Ok(vec![deposited(1), deposited(2)])).await.unwrap();
    let second = accounts.transact("1", |_| Ok(vec![deposited(3)])).await.unwrap();
    assert_eq!((first, second), (written(1), written(2)));
    let expected: Vec<_> = recording.writes().iter().map(|write| write.expected).collect();
    assert_eq!(expected, [ExpectedVersion::NoStream, ExpectedVersion::At(position(1))]);
}

fn written(at: i64) -> Transacted {
    Transacted::Written(position(at))
}

async fn deposit_one_more(accounts: Entities<Account>) {
    for _ in 0..7 {
        let one_more = |account: &Account| Ok(vec![deposited(account.balance + 1)]);
        accounts.transact("1", one_more).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_that_collide_are_made_again_and_none_is_lost() {
    let store = Store::new(Memory::new());
    let accounts = store.entities::<Account>();
    let tasks = (0..8).map(|_| tokio::spawn(deposit_one_more(accounts.clone())));
    for task in join_all(tasks).await {
        task.unwrap();
    }
    // Each decision deposited one more than the balance it saw: had one been made on a stale state,
    // its amount would not be one more than the sum of those before it.
    let mut sum = 0;
    let mut messages = store.read_stream("account-1", Position::START);
    let mut count = 0;
    while let Some(recorded) = futures::TryStreamExt::try_next(&mut messages).await.unwrap() {
        let amount = recorded.decode::<Deposited>().unwrap().amount;
        assert_eq!(amount, sum + 1);
        sum += amount;
        count += 1;
    }
    assert_eq!(count, 56);
}

#[tokio::test(start_paused = true)]
async fn the_third_attempt_and_those_after_it_wait_a_little() {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>();
    let mut took = Vec::new();
    for conflicts in [1, 2, 9] {
        recording.conflict_next(conflicts);
        let begun = Instant::now();
        accounts.transact("1", |_| Ok(vec![deposited(1)])).await.unwrap();
        took.push(begun.elapsed());
    }
    assert_eq!(took[0], Duration::ZERO);
    assert!(took[1] <= Duration::from_millis(5), "{took:?}");
    assert!(took[1] < took[2] && took[2] <= Duration::from_millis(770), "{took:?}");
}

/// A state that counts how many messages were ever reduced into any of its kind.
#[derive(Default)]
struct Counted {
    balance: u64,
}

static REDUCED: AtomicU32 = AtomicU32::new(0);

#[reducer(AccountEvent, skip(Withdrawn))]
impl Counted {
    fn deposited(&mut self, event: &Deposited) {
        REDUCED.fetch_add(1, Ordering::Relaxed);
        self.balance += event.amount;
    }
}

#[tokio::test]
async fn after_a_conflict_only_what_is_new_is_read() {
    let store = Store::new(Memory::new());
    story::deposit(&store, "1", &[1, 2, 3]).await;
    let mut seen = Vec::new();
    let accounts = store.entities::<Counted>();
    let transacted = accounts.transact("1", |account| {
        seen.push(account.balance);
        if seen.len() == 1 {
            // Somebody else is faster; the memory store answers at once.
            futures::executor::block_on(story::deposit(&store, "1", &[10]));
        }
        Ok(vec![deposited(account.balance)])
    });
    assert_eq!(transacted.await.unwrap(), written(4));
    assert_eq!(seen, [6, 16]);
    assert_eq!(REDUCED.load(Ordering::Relaxed), 4, "the first three were read twice");
}

#[tokio::test]
async fn a_conflict_that_does_not_end_is_a_typed_error() {
    let (store, recording) = recording();
    recording.conflict_next(3);
    let decisions = AtomicU32::new(0);
    let accounts = store.entities::<Account>();
    let error = accounts
        .transact("1", |_| {
            decisions.fetch_add(1, Ordering::Relaxed);
            Ok(vec![deposited(1)])
        })
        .attempts(3)
        .await
        .unwrap_err();
    assert!(error.is_conflict() && error.is_exhausted());
    assert_eq!(error.conflict().unwrap().stream().as_str(), "account-1");
    assert!(error.to_string().ends_with("still so after 3 attempts"), "{error}");
    assert_eq!(decisions.into_inner(), 3);
    assert_eq!(balance(&accounts).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_settled_by_id_and_not_decided_again() {
    let (store, recording) = recording();
    recording.lose_reply_next(1);
    let decisions = AtomicU32::new(0);
    let accounts = store.entities::<Account>();
    let transacted = accounts.transact("1", |_| {
        decisions.fetch_add(1, Ordering::Relaxed);
        Ok(vec![deposited(5)])
    });
    assert_eq!(transacted.await.unwrap(), written(0));
    assert_eq!((decisions.into_inner(), balance(&accounts).await), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_an_error_that_says_so() {
    let (store, recording) = recording();
    recording.refuse_next(10);
    let accounts = store.entities::<Account>();
    let error = accounts.transact("1", |_| Ok(vec![deposited(5)])).await.unwrap_err();
    assert!(error.is_unavailable() && !error.is_conflict(), "{error}");
}

#[derive(Debug, PartialEq)]
struct TooLow(u64);

impl std::fmt::Display for TooLow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the balance is {} too low", self.0)
    }
}

impl std::error::Error for TooLow {}

#[tokio::test]
async fn a_rejection_writes_nothing_and_keeps_its_reason() {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>();
    let error = accounts.transact("1", |_| Err(TooLow(3).into())).await.unwrap_err();
    assert!(error.is_rejection());
    assert_eq!(error.rejection().unwrap().downcast_ref(), Some(&TooLow(3)));
    assert_eq!(error.to_string(), "the balance is 3 too low");
    let text = accounts.transact("1", |_| reject("no")).await.unwrap_err();
    assert_eq!(text.to_string(), "no");
    assert!(recording.writes().is_empty());
}

#[tokio::test]
async fn a_decision_for_nothing_writes_nothing() {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>();
    assert_eq!(accounts.transact("1", |_| Ok(vec![])).await.unwrap(), Transacted::Nothing);
    assert!(recording.writes().is_empty());
}

type Decision = fn(&Account) -> Result<Vec<AccountEvent>, Rejection>;

#[tokio::test]
async fn a_message_that_is_followed_again_changes_nothing_whatever_is_decided() {
    let (store, _) = recording();
    let accounts = store.entities::<Account>();
    let command = received(&store).await;
    let first = accounts.transact("1", |_| Ok(vec![deposited(5)])).following(&command).await;
    assert_eq!(first.unwrap(), written(0));

    let decisions: [Decision; 5] = [
        |_| Ok(vec![deposited(5)]),
        |_| Ok(vec![Withdrawn { amount: 5 }.into()]),
        |_| Ok(vec![deposited(5), deposited(6)]),
        |_| Ok(vec![]),
        |_| reject("the account is closed by now"),
    ];
    for decide in decisions {
        let again = received(&store).await;
        let outcome = accounts.transact("1", decide).following(&again).await;
        assert_eq!(outcome.unwrap(), Transacted::Before);
    }
    assert_eq!(balance(&accounts).await, 5);
}

#[tokio::test]
async fn a_request_under_the_same_id_is_decided_once() {
    let (store, _) = recording();
    let accounts = store.entities::<Account>();
    let request = uuid::Uuid::from_u128(7);
    let mut outcomes = Vec::new();
    for amount in [5, 5, 6] {
        let deposit = move |_: &Account| Ok(vec![deposited(amount), deposited(amount)]);
        outcomes.push(accounts.transact("1", deposit).identified_by(request).await.unwrap());
    }
    assert_eq!(outcomes, [written(1), Transacted::Before, Transacted::Before]);
    let elsewhere = accounts.transact("2", |_| Ok(vec![deposited(5)])).identified_by(request);
    assert!(elsewhere.await.unwrap_err().is_duplicate_id(), "another stream has that id");
    assert_eq!(balance(&accounts).await, 10);
}

#[tokio::test]
async fn a_decision_on_a_past_state_is_refused() {
    let (store, _) = recording();
    let past = evenfold::projector::Projector::<Account>::of_reducer().until(position(0));
    let accounts = store.entities::<Account>().projected_by(past);
    let refused = accounts.transact("1", |_| Ok(vec![deposited(1)])).await.unwrap_err();
    assert!(refused.is_invalid(), "{refused}");
}

#[tokio::test]
async fn a_handler_that_follows_its_message_twice_into_one_stream_names_the_steps() {
    let (store, _) = recording();
    let accounts = store.entities::<Account>();
    for _ in 0..2 {
        let command = received(&store).await;
        for step in ["fee", "deposit"] {
            let five = |_: &Account| Ok(vec![deposited(5)]);
            accounts.transact("1", five).following(&command).step(step).await.unwrap();
        }
    }
    assert_eq!(balance(&accounts).await, 10);

    let command = received(&store).await;
    let five = |_: &Account| Ok(vec![deposited(5)]);
    accounts.transact("1", five).following(&command).await.unwrap();
    let refused = accounts.transact("1", five).following(&command).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "stream to follow to `account-1`: the message was followed to this stream before; \
         name each write: `.step(\"…\")`"
    );
}

#[tokio::test]
async fn a_step_that_was_left_out_the_second_time_does_not_take_the_place_of_another() {
    let (store, _) = recording();
    let accounts = store.entities::<Account>();
    let fee = received(&store).await;
    let take = |_: &Account| Ok(vec![deposited(1)]);
    accounts.transact("1", take).following(&fee).step("fee").await.unwrap();
    // The handler failed here, and comes again to a state in which there is no fee.
    let again = received(&store).await;
    let five = |_: &Account| Ok(vec![deposited(5)]);
    let outcome = accounts.transact("1", five).following(&again).step("deposit").await;
    assert_eq!(outcome.unwrap(), written(1));
}

#[tokio::test]
async fn an_id_that_is_taken_in_another_stream_does_not_hide_a_rejection() {
    let (store, _) = recording();
    let accounts = store.entities::<Account>();
    let request = uuid::Uuid::from_u128(7);
    let five = |_: &Account| Ok(vec![deposited(5)]);
    accounts.transact("1", five).identified_by(request).await.unwrap();
    let refused = accounts.transact("2", |_| reject("no")).identified_by(request);
    assert!(refused.await.unwrap_err().is_duplicate_id());
}

#[tokio::test]
async fn two_receivers_that_follow_a_message_do_not_take_each_others_ids() {
    let (store, _) = recording();
    let accounts = store.entities::<Account>();
    let one = received(&store).await;
    let other = Received::new(Deposit { amount: 5 }, one.recorded().clone(), "auditor").unwrap();
    for command in [one, other] {
        let five = |_: &Account| Ok(vec![deposited(5)]);
        accounts.transact("1", five).following(&command).await.unwrap();
    }
    assert_eq!(balance(&accounts).await, 10);
}

#[tokio::test]
async fn events_say_what_they_follow() {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>();
    let command = received(&store).await;
    accounts.transact("1", |_| Ok(vec![deposited(5)])).following(&command).await.unwrap();
    let write = recording.writes().pop().unwrap();
    let metadata = write.messages[0].metadata();
    assert!(metadata.follows(command.recorded(), command.metadata()));
    assert_eq!(
        metadata.causation_message_stream_name,
        Some(command.recorded().stream_name.clone())
    );
}

#[tokio::test]
async fn bad_arguments_are_refused_by_name_before_anything_is_read() {
    let (store, recording) = recording();
    recording.fail_reads(9);
    let accounts = store.entities::<Account>();
    let none = accounts.transact("1", |_| Ok(vec![])).attempts(0).await.unwrap_err();
    assert_eq!(none.to_string(), "attempts `0`: it is 1 or more");
    let empty = accounts.transact("", |_| Ok(vec![])).await.unwrap_err();
    assert_eq!(empty.to_string(), "entity id ``: an entity id cannot be empty");
}

#[tokio::test]
async fn a_reducer_that_fails_is_an_error_with_its_place() {
    let (store, _) = recording();
    store.send::<AccountEvent>("1", Withdrawn { amount: 9 }).await.unwrap();
    let error = store.entities::<Account>().load("1").await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "reducing `Withdrawn` at position 0 of `account-1` (global position 1)\n\
         caused by: more than there is"
    );
}
