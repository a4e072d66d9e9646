//! The law that a state never was which the stream does not make: of streams that became shorter or were
//! rewritten, as after a backup was restored or a server took over that lacked the last commits. On
//! SQLite it is proven in the package `tests`.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use evenfold::message::{NewMessage, Recorded};
use evenfold::prelude::*;
use evenfold::projector::Projector;
use evenfold::stores::BatchSize;
use evenfold::{
    Entities, EntityCache, ExpectedVersion, Ids, Memory, Position, Snapshots, Store,
    TimeOrderedIds, Transacted,
};
use serde_json::value::RawValue;
use story::{Account, Deposited, balance, deposit_at_once};

/// A store whose last commits can be lost.
struct Frail {
    store: Store,
    present: Memory,
    backup: Memory,
}

impl Frail {
    fn new() -> Self {
        let (present, backup) = (Memory::new(), Memory::new());
        Self { store: Store::new(present.clone()), present, backup }
    }

    fn back_up(&self) {
        self.backup.restore(&self.present);
    }

    /// Loses what came after the backup, but the snapshots, which may have been kept elsewhere.
    async fn restore(&self) {
        let kept = self.store.messages().last_message(&kept(), None).await.unwrap();
        self.present.restore(&self.backup);
        if let Some(kept) = kept {
            keep(&self.store, &kept).await;
        }
    }

    fn accounts(&self) -> Entities<Account> {
        self.store.entities()
    }
}

fn kept() -> StreamName {
    StreamName::new("account:snapshot-1").unwrap()
}

async fn keep(store: &Store, snapshot: &Recorded) {
    let data = RawValue::from_string(snapshot.data().into()).unwrap();
    let again = NewMessage::new(TimeOrderedIds.next(), snapshot.message_type.to_string(), &data);
    let again = again.unwrap().with_metadata(snapshot.metadata().unwrap());
    store.messages().write(&kept(), &[again], ExpectedVersion::Any).await.unwrap();
}

#[expect(clippy::unnecessary_wraps, reason = "a decision may say no")]
fn double(account: &Account) -> Result<Vec<story::AccountEvent>, Rejection> {
    Ok(vec![Deposited { amount: account.balance }.into()])
}

fn written(at: i64) -> Transacted {
    Transacted::Written(Position::new(at).unwrap())
}

/// A store that lost the last two of five deposits, and entities that remember all.
async fn shortened() -> (Frail, Entities<Account>, Entities<Account>) {
    let frail = Frail::new();
    let cached = frail.accounts().cached(EntityCache::of(9));
    let snapshots = frail.accounts().snapshots(Snapshots::every(1));
    deposit_at_once(&frail.store, [1, 2, 3]).await;
    frail.back_up();
    deposit_at_once(&frail.store, [10, 20]).await;
    assert_eq!([balance(&cached).await, balance(&snapshots).await], [36, 36]);
    frail.restore().await;
    (frail, cached, snapshots)
}

#[tokio::test]
async fn of_a_stream_that_became_shorter_the_state_is_that_of_what_is_left() {
    let (frail, cached, snapshots) = shortened().await;
    assert_eq!([balance(&cached).await, balance(&snapshots).await], [6, 6]);
    let kept = frail.store.messages().last_message(&kept(), None).await.unwrap().unwrap();
    assert!(kept.data().ends_with(r#""entityVersion":2}"#), "the next load finds that");
    assert_eq!(cached.transact("1", double).attempts(1).await.unwrap(), written(3));
    assert_eq!(snapshots.transact("1", double).attempts(1).await.unwrap(), written(4));
    assert_eq!([balance(&cached).await, balance(&snapshots).await], [24, 24]);
}

#[tokio::test]
async fn of_a_stream_that_was_rewritten_the_state_is_that_of_what_stands_there() {
    let (frail, cached, snapshots) = shortened().await;
    deposit_at_once(&frail.store, [100, 200]).await;
    assert_eq!(cached.transact("1", double).attempts(1).await.unwrap(), written(5));
    assert_eq!([balance(&cached).await, balance(&snapshots).await], [612, 612]);
    deposit_at_once(&frail.store, [1]).await;
    assert_eq!([balance(&cached).await, balance(&snapshots).await], [613, 613]);
}

#[tokio::test]
async fn a_decision_that_meets_a_shorter_stream_is_made_on_what_is_left() {
    let frail = Frail::new();
    deposit_at_once(&frail.store, [1, 2]).await;
    frail.back_up();
    deposit_at_once(&frail.store, [10]).await;
    let mut seen = Vec::new();
    let accounts = frail.accounts();
    let transacted = accounts.transact("1", |account| {
        if seen.is_empty() {
            // The memory store answers at once.
            futures::executor::block_on(frail.restore());
        }
        seen.push(account.balance);
        double(account)
    });
    assert_eq!(transacted.await.unwrap(), written(2));
    assert_eq!(seen, [13, 3]);
}

#[tokio::test]
async fn a_projection_that_is_refreshed_says_whether_it_began_anew() {
    let frail = Frail::new();
    let (projector, stream) = (Projector::<Account>::of_reducer(), "account-1".parse().unwrap());
    // Full pages, so that what is read along takes no room from what is new.
    let projector = projector.batch_size(BatchSize::new(2).unwrap());
    deposit_at_once(&frail.store, [1]).await;
    frail.back_up();
    let messages = frail.store.messages();
    let mut account = projector.run_on_stream(messages, &stream).await.unwrap();
    for (amounts, expected) in [(vec![2, 3], 6), (vec![4, 5, 6], 21)] {
        assert!(!projector.refresh(messages, &stream, &mut account).await.unwrap());
        deposit_at_once(&frail.store, amounts).await;
        assert!(!projector.refresh(messages, &stream, &mut account).await.unwrap());
        assert_eq!(account.state.balance, expected);
    }
    frail.restore().await;
    assert!(projector.refresh(messages, &stream, &mut account).await.unwrap());
    assert_eq!(account, projector.run_on_stream(messages, &stream).await.unwrap());
    assert_eq!(account.state.balance, 1);
}

/// Other clients do not note the last message, so only that there is one can be seen.
#[tokio::test]
async fn a_snapshot_of_another_client_is_not_used_beyond_the_end_of_the_stream() {
    let frail = Frail::new();
    deposit_at_once(&frail.store, [1, 2]).await;
    let accounts = frail.accounts().snapshots(Snapshots::every(100).trusting_others());
    for (version, expected) in [(1, 90), (0, 92), (2, 3)] {
        let data = format!(r#"{{"entityData":{{"balance":90}},"entityVersion":{version}}}"#);
        let example = Recorded { data_json: Some(data.into()), ..theirs() };
        keep(&frail.store, &example).await;
        assert_eq!(balance(&accounts).await, expected);
    }
}

fn theirs() -> Recorded {
    Recorded {
        id: TimeOrderedIds.next(),
        stream_name: kept(),
        message_type: "Recorded".into(),
        position: Position::START,
        global_position: evenfold::GlobalPosition::START,
        time: time::OffsetDateTime::UNIX_EPOCH,
        data_json: None,
        metadata_json: None,
    }
}
