//! Who is woken, when, and that no wake-up is lost.
//!
//! How processes hear of each other is tested with the backend that does it.

use std::sync::atomic::AtomicU64;

use evenfold_core::ExpectedVersion;
use evenfold_core::message::NewMessage;
use evenfold_testkit::{Recording, controls};
use futures::{FutureExt, poll};
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::{Error, Store};

fn category(name: &str) -> Category {
    name.parse().unwrap()
}

fn store() -> (Store, Recording) {
    let recording = Recording::default();
    (Store::new(recording.clone()), recording)
}

fn deposited() -> NewMessage {
    controls::message::deposited(5).unwrap()
}

/// Encodes as it is.
struct Given(NewMessage);

impl evenfold_core::message::Encode for Given {
    fn encode(&self, id: Uuid) -> Result<NewMessage, Error> {
        let mut message = self.0.clone();
        message.set_id(id);
        Ok(message)
    }
}

async fn write(store: &Store, stream: &str) -> Result<(), Error> {
    store.write(stream, Given(deposited())).await.map(drop)
}

/// Lets every task that can go on do so.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_here_wakes_who_waits_for_its_category_at_once() {
    let (store, _) = store();
    let mut account = store.wakeups().waiter([category("account")]);
    let mut both = store.wakeups().waiter([category("transfer"), category("account")]);
    let mut other = store.wakeups().waiter([category("transfer")]);
    let begin = Instant::now();
    let writer = store.clone();
    let written = tokio::spawn(async move { write(&writer, "account-1").await });
    account.changed().await;
    both.changed().await;
    written.await.unwrap().unwrap();
    assert_eq!(begin.elapsed(), std::time::Duration::ZERO, "nobody read at times");
    assert!(other.changed().now_or_never().is_none());
}

#[tokio::test]
async fn who_waits_for_all_categories_is_woken_by_each() {
    let (store, recording) = store();
    let mut all = store.wakeups().waiter([]);
    write(&store, "account-1").await.unwrap();
    assert!(all.changed().now_or_never().is_some());
    assert!(all.changed().now_or_never().is_none());
    settle().await;
    for heard in [Announcement::Heard(category("transfer")), Announcement::Alive] {
        recording.hear(&heard);
        all.changed().await;
    }
    drop(all);
    assert!(store.wakeups().state().of_all.is_empty());
}

#[tokio::test]
async fn what_is_written_between_the_look_and_the_wait_ends_the_wait() {
    let (store, _) = store();
    let mut waiter = store.wakeups().waiter([category("account")]);
    write(&store, "account-1").await.unwrap();
    write(&store, "account-2").await.unwrap();
    assert!(waiter.changed().now_or_never().is_some());
    assert!(waiter.changed().now_or_never().is_none(), "one wake-up for both");

    // A wait that is given up loses none either.
    {
        let mut wait = std::pin::pin!(waiter.changed());
        assert!(poll!(&mut wait).is_pending());
        write(&store, "account-1").await.unwrap();
    }
    assert!(waiter.changed().now_or_never().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_under_load() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 5_000;
    async fn announces(written: Arc<AtomicU64>, wakeups: Arc<Wakeups>) {
        for _ in 0..EACH {
            written.fetch_add(1, Ordering::SeqCst);
            wakeups.announce(&category("account"));
            tokio::task::yield_now().await;
        }
    }
    // One that was lost at the end would be waited for without an end.
    async fn waits(written: Arc<AtomicU64>, mut waiter: Waiter) {
        while written.load(Ordering::SeqCst) < WRITERS * EACH {
            waiter.changed().await;
        }
    }
    let (store, _) = store();
    let written = Arc::new(AtomicU64::new(0));
    let waiting: Vec<_> = (0..4)
        .map(|_| store.wakeups().waiter([category("account")]))
        .map(|waiter| tokio::spawn(waits(Arc::clone(&written), waiter)))
        .collect();
    let announcing = (0..WRITERS)
        .map(|_| tokio::spawn(announces(Arc::clone(&written), Arc::clone(store.wakeups()))));
    futures::future::try_join_all(announcing).await.unwrap();
    futures::future::try_join_all(waiting).await.unwrap();
}

#[tokio::test]
async fn a_write_is_announced_when_it_wrote_and_only_then() {
    let (store, recording) = store();
    let id = Uuid::from_u128(7);
    for _ in 0..2 {
        store.write("account-1", Given(deposited())).identified_by(id).await.unwrap();
    }
    assert_eq!(recording.announced(), [category("account")], "a repetition wrote nothing");

    let stale = store.write("account-1", Given(deposited())).expecting(ExpectedVersion::NoStream);
    stale.await.unwrap_err();
    assert_eq!(recording.announced().len(), 1, "a conflict wrote nothing");

    // Found by its id when it is sent again, it may have been written by this call.
    recording.lose_reply_next(1);
    let lost = store.write("transfer-1", Given(deposited())).identified_by(Uuid::from_u128(8));
    assert!(lost.await.unwrap().is_uncertain());
    assert_eq!(recording.announced(), [category("account"), category("transfer")]);
    recording.find_next(1);
    let found = store.write("person-1", Given(deposited())).identified_by(Uuid::from_u128(9));
    assert!(found.await.unwrap().is_uncertain());
    assert_eq!(recording.announced().last(), Some(&category("person")));
}

#[tokio::test]
async fn a_write_through_another_writer_is_announced_by_hand() {
    let (store, recording) = store();
    let mut waiter = store.wakeups().waiter([category("account")]);
    store.write("account-1", Given(deposited())).through(&recording).await.unwrap();
    assert!(recording.announced().is_empty());
    assert!(waiter.changed().now_or_never().is_none());

    store.announce(&category("account"));
    assert_eq!(recording.announced(), [category("account")]);
    assert!(waiter.changed().now_or_never().is_some());
}

#[tokio::test]
async fn what_another_process_announces_wakes_who_waits_for_it() {
    let (store, recording) = store();
    let mut account = store.wakeups().waiter([category("account")]);
    let mut transfer = store.wakeups().waiter([category("transfer")]);
    assert!(account.changed().now_or_never().is_none());
    assert!(transfer.changed().now_or_never().is_none());
    settle().await;
    assert!(!account.is_heard(), "it begins deaf");

    recording.hear(&Announcement::Heard(category("account")));
    account.changed().await;
    assert!(transfer.changed().now_or_never().is_none());
}

#[tokio::test]
async fn hearing_that_begins_or_ends_wakes_all_once() {
    let (store, recording) = store();
    let mut waiter = store.wakeups().waiter([category("account")]);
    assert!(waiter.changed().now_or_never().is_none());
    for (heard, announcement) in [(true, Announcement::Alive), (false, Announcement::Deaf)] {
        recording.hear(&announcement);
        waiter.changed().await;
        assert_eq!(waiter.is_heard(), heard);
        recording.hear(&announcement);
        settle().await;
        assert!(waiter.changed().now_or_never().is_none(), "{announcement:?} was known");
    }
}

#[tokio::test]
async fn it_listens_while_somebody_waits_and_for_all_of_them_once() {
    let (store, recording) = store();
    let listeners = || recording.hear(&Announcement::Alive);
    let mut first = store.wakeups().waiter([category("account")]);
    settle().await;
    assert_eq!(listeners(), 0, "nobody has waited yet");

    let mut second = store.clone().wakeups().waiter([category("account")]);
    assert!(first.changed().now_or_never().is_none());
    assert!(second.changed().now_or_never().is_none());
    assert_eq!(listeners(), 1);
    drop(first);
    settle().await;
    assert_eq!(listeners(), 1);
    drop(second);
    settle().await;
    assert_eq!(listeners(), 0);

    let mut third = store.wakeups().waiter([category("account")]);
    assert!(third.changed().now_or_never().is_none());
    assert!(!third.is_heard(), "it is not known yet of the new one");
    assert_eq!(listeners(), 1);
}

#[test]
fn a_runtime_that_ends_ends_the_listening_and_nothing_else() {
    let (store, recording) = store();
    let mut waiter = store.wakeups().waiter([category("account")]);
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime().block_on(async {
        assert!(waiter.changed().now_or_never().is_none());
        recording.hear(&Announcement::Alive);
        waiter.changed().await;
        assert!(waiter.is_heard());
    });
    assert!(!waiter.is_heard());

    let mut another = store.wakeups().waiter([category("account")]);
    runtime().block_on(async {
        assert!(another.changed().now_or_never().is_none());
        recording.hear(&Announcement::Alive);
        another.changed().await;
        assert!(waiter.is_heard());
    });
}
