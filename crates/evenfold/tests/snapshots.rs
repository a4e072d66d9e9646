//! The laws of states that are kept as messages: never a wrong one, and never in the way.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use std::sync::Arc;

use evenfold::message::{Metadata, NewMessage};
use evenfold::prelude::*;
use evenfold::projector::Projector;
use evenfold::snapshot::Dialect;
use evenfold::stores::BatchSize;
use evenfold::{
    Entities, EntityCache, ExpectedVersion, Ids, Position, Snapshots, Store, TimeOrderedIds,
    Transacted,
};
use evenfold_testkit::Recording;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use story::{Account, AccountEvent, Deposited, Withdrawn, balance, deposit_at_once, recording};
use tokio::task::yield_now;
use tokio::time::Instant;

fn every(messages: u32) -> (Store, Arc<Recording>, Entities<Account>) {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>().snapshots(Snapshots::every(messages));
    (store, recording, accounts)
}

fn kept() -> StreamName {
    StreamName::new("account:snapshot-1").unwrap()
}

/// Writes a snapshot as another client would.
async fn keep(store: &Store, message_type: &'static str, data: &str, metadata: Metadata) {
    let data = RawValue::from_string(data.into()).unwrap();
    let message = NewMessage::new(TimeOrderedIds.next(), message_type, &data).unwrap();
    let message = message.with_metadata(metadata);
    store.messages().write(&kept(), &[message], ExpectedVersion::Any).await.unwrap();
}

/// The versions that were kept, in order.
fn versions(recording: &Recording) -> Vec<i64> {
    let version = |data: &str| {
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        data.get("entityVersion").and_then(serde_json::Value::as_i64).unwrap()
    };
    let messages = recording.writes_to(&kept()).into_iter().flat_map(|write| write.messages);
    messages.map(|message| version(message.data())).collect()
}

/// Eventide's rule: an interval of 100 keeps the first at version 99.
#[tokio::test]
async fn a_state_is_kept_when_enough_messages_have_come() {
    let (store, recording, accounts) = every(3);
    for _ in 0..8 {
        deposit_at_once(&store, [1]).await;
        balance(&accounts).await;
    }
    assert_eq!(versions(&recording), [2, 5]);
    assert_eq!(balance(&accounts).await, 8);
}

#[tokio::test]
async fn what_came_before_a_snapshot_is_not_read() {
    let (store, recording, accounts) = every(3);
    let pages = Projector::of_reducer().batch_size(BatchSize::new(1).unwrap());
    let accounts = accounts.projected_by(pages);
    deposit_at_once(&store, [1; 10]).await;
    assert_eq!(balance(&accounts).await, 10);
    let before = recording.reads();
    deposit_at_once(&store, [1]).await;
    assert_eq!(balance(&accounts).await, 11);
    assert_eq!(recording.reads() - before, 3, "the snapshot, what is new, and the end");
}

#[tokio::test]
async fn a_decision_is_made_on_what_was_kept_and_what_has_come_since() {
    let (store, recording, accounts) = every(2);
    deposit_at_once(&store, [1, 2]).await;
    assert_eq!(balance(&accounts).await, 3);
    deposit_at_once(&store, [4]).await;
    let double = |account: &Account| Ok(vec![Deposited { amount: account.balance }.into()]);
    let written = accounts.transact("1", double).await.unwrap();
    assert_eq!(written, Transacted::Written(Position::new(3).unwrap()));
    assert_eq!(balance(&accounts).await, 14);
    assert_eq!(versions(&recording), [1, 3]);
}

#[tokio::test]
async fn a_cache_begins_with_the_snapshot_and_keeps_the_next_one() {
    let (store, recording, accounts) = every(4);
    deposit_at_once(&store, [1; 5]).await;
    balance(&accounts).await;
    let accounts = accounts.cached(EntityCache::of(10));
    for _ in 0..9 {
        deposit_at_once(&store, [1]).await;
        balance(&accounts).await;
    }
    assert_eq!(balance(&accounts).await, 14);
    assert_eq!(versions(&recording), [4, 8, 12]);
}

/// What was kept of an account that had another field, or the same by another name.
mod of_another_shape {
    use super::*;

    #[derive(Default, Serialize, Deserialize, Snapshot)]
    #[snapshot(name = "account")]
    struct Before {
        #[serde(default)]
        sum: u64,
    }

    #[reducer(AccountEvent, skip(Withdrawn))]
    impl Before {
        fn deposited(&mut self, event: &Deposited) {
            self.sum += event.amount;
        }
    }

    #[derive(Default, Serialize, Deserialize, Snapshot)]
    #[snapshot(name = "account")]
    struct After {
        #[serde(default)]
        balance: u64,
    }

    #[reducer(AccountEvent, skip(Withdrawn))]
    impl After {
        fn deposited(&mut self, event: &Deposited) {
            self.balance += event.amount;
        }
    }

    #[tokio::test]
    async fn two_releases_side_by_side_each_find_their_own_and_keep_no_more_than_one_would() {
        let (store, recording) = recording();
        let before = store.entities::<Before>().snapshots(Snapshots::every(3));
        let after = store.entities::<After>().snapshots(Snapshots::every(3));
        for sum in 1..=12 {
            deposit_at_once(&store, [1]).await;
            // Each twice, in turn.
            let (one, other) = (before.load("1").await.unwrap(), after.load("1").await.unwrap());
            assert_eq!((one.state.sum, other.state.balance), (sum, sum));
            let (one, other) = (before.load("1").await.unwrap(), after.load("1").await.unwrap());
            assert_eq!((one.state.sum, other.state.balance), (sum, sum));
        }
        assert_eq!(versions(&recording), [2, 2, 5, 5, 8, 8, 11, 11]);
    }

    #[tokio::test]
    async fn the_first_load_of_another_release_keeps_the_state_again() {
        let (store, recording) = recording();
        deposit_at_once(&store, [1; 9]).await;
        let before = store.entities::<Before>().snapshots(Snapshots::every(5));
        let after = store.entities::<After>().snapshots(Snapshots::every(5));
        before.load("1").await.unwrap();
        for _ in 0..2 {
            after.load("1").await.unwrap();
        }
        assert_eq!(versions(&recording), [8, 8]);
    }

    /// Each reads as the other, by its defaults: only the shape tells them apart.
    #[tokio::test]
    async fn it_is_made_of_all_its_messages() {
        let (store, _) = recording();
        deposit_at_once(&store, [1; 210]).await;
        let before = store.entities::<Before>().snapshots(Snapshots::every(1));
        assert_eq!(before.load("1").await.unwrap().state.sum, 210);
        let after = store.entities::<After>().snapshots(Snapshots::every(1));
        for _ in 0..2 {
            let loaded = after.load("1").await.unwrap();
            assert_eq!((loaded.state.balance, loaded.version.unwrap().get()), (210, 209));
        }
    }
}

#[tokio::test]
async fn one_that_does_not_read_is_as_good_as_none() {
    let (store, _, accounts) = every(2);
    deposit_at_once(&store, [1, 2]).await;
    balance(&accounts).await;
    let last = store.messages().last_message(&kept(), None).await.unwrap().unwrap();
    for data in [r#"{"entityVersion":1}"#, r#"{"entityData":{"balance":"x"},"entityVersion":1}"#] {
        keep(&store, "Recorded", data, last.metadata().unwrap()).await;
        assert_eq!(balance(&accounts).await, 3);
    }
}

#[tokio::test]
async fn one_that_cannot_be_written_is_in_nobodys_way() {
    let (store, recording, accounts) = every(2);
    deposit_at_once(&store, [1, 2]).await;
    for _ in 0..3 {
        recording.refuse_next(1);
        assert_eq!(balance(&accounts).await, 3);
    }
    assert_eq!(balance(&accounts).await, 3);
    let last = store.messages().last_message(&kept(), None).await.unwrap();
    assert!(last.is_some(), "the next load tries again");
}

/// As where commits wait for a standby that is gone, and reads do not.
#[tokio::test(start_paused = true)]
async fn one_that_is_not_answered_holds_up_one_load_for_a_second() {
    let (store, recording, accounts) = every(2);
    deposit_at_once(&store, [1, 2]).await;
    let held = recording.hold_next(&kept().category());
    let begin = Instant::now();
    for _ in 0..3 {
        assert_eq!(balance(&accounts).await, 3);
    }
    assert_eq!(begin.elapsed().as_secs(), 1);
    assert!(versions(&recording).is_empty(), "no other was begun");
    held.let_go();
    while versions(&recording).is_empty() {
        yield_now().await;
    }
    deposit_at_once(&store, [3, 4]).await;
    assert_eq!(balance(&accounts).await, 10);
    assert_eq!(versions(&recording), [1, 3]);
}

#[test]
fn outside_of_a_runtime_it_is_kept_too() {
    let (store, recording, accounts) = every(2);
    futures::executor::block_on(async {
        deposit_at_once(&store, [1, 2]).await;
        assert_eq!(balance(&accounts).await, 3);
    });
    assert_eq!(versions(&recording), [1]);
}

#[tokio::test]
async fn a_store_that_only_reads_is_not_asked_to_keep_one() {
    let (store, recording, accounts) = every(1);
    deposit_at_once(&store, [1, 2]).await;
    recording.only_read();
    for accounts in [accounts.clone().cached(EntityCache::of(1)), accounts] {
        assert_eq!(balance(&accounts).await, 3);
    }
    assert!(recording.writes_to(&kept()).is_empty());
}

#[tokio::test]
async fn one_beyond_the_end_of_a_projector_is_not_used() {
    let (store, _, accounts) = every(1);
    deposit_at_once(&store, [1, 2, 4]).await;
    assert_eq!(balance(&accounts).await, 7);
    let until = Projector::of_reducer().until(Position::START.next());
    assert_eq!(balance(&accounts.projected_by(until)).await, 3);
}

#[tokio::test]
async fn the_same_state_over_two_categories_does_not_take_one_for_the_other() {
    let (store, _, accounts) = every(1);
    let savings = accounts.clone().in_category("savings".parse().unwrap());
    deposit_at_once(&store, [1]).await;
    store.write("savings-1", Deposited { amount: 10 }).await.unwrap();
    for _ in 0..2 {
        assert_eq!(balance(&accounts).await, 1);
        assert_eq!(balance(&savings).await, 10);
    }
}

#[tokio::test]
async fn a_snapshot_of_another_client_is_believed_where_that_was_said() {
    let (store, _) = recording();
    deposit_at_once(&store, [1, 2]).await;
    for (dialect, message_type, data, metadata) in [
        (
            Dialect::Eventide,
            "Recorded",
            r#"{"entityData":{"balance":90},"entityVersion":0,"time":"2026-01-01T00:00:00.000Z"}"#,
            "{}",
        ),
        (Dialect::Equinox("Kept".into()), "Kept", r#"{"balance":90}"#, r#"{"streamVersion":0}"#),
    ] {
        keep(&store, message_type, data, serde_json::from_str(metadata).unwrap()).await;
        let snapshots = Snapshots::every(100).dialect(dialect);
        let believing = store.entities::<Account>().snapshots(snapshots.clone().trusting_others());
        assert_eq!(balance(&believing).await, 92);
        let careful = store.entities::<Account>().snapshots(snapshots);
        assert_eq!(balance(&careful).await, 3);
    }
}
