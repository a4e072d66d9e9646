//! Versions of a subscriber that take over from each other: exactly, and one at a time.

#![expect(clippy::unwrap_used, reason = "what stands around the tests is test code too")]

mod story;

use std::sync::{Arc, Mutex};

use evenfold::prelude::*;
use evenfold::subscriber::Poller;
use evenfold::{Category, Host, StopReason, Store, Subscriber};
use evenfold_testkit::{Held, Recording};
use story::{AccountEvent, Deposited, Withdrawn, deposit, memory, recording};
use tokio::task::JoinHandle;

/// Mails of each deposit, but for a replay.
#[derive(Clone, Default)]
struct Mails {
    seen: Arc<Mutex<Vec<u64>>>,
    mailed: Arc<Mutex<Vec<u64>>>,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Mails {
    async fn deposited(&self, event: Received<Deposited>) {
        self.seen.lock().unwrap().push(event.amount);
        if !event.is_replay() {
            self.mailed.lock().unwrap().push(event.amount);
        }
    }
}

impl Mails {
    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }

    fn mailed(&self) -> Vec<u64> {
        self.mailed.lock().unwrap().clone()
    }
}

fn mails(store: &Store, mails: &Mails, version: u32) -> Subscriber {
    store.subscriber("mails", mails.clone()).version(version)
}

fn positions() -> Category {
    Category::new("account:position").unwrap()
}

/// Version 2 as it runs, on the point of writing the last record of the version before.
async fn take_over(
    store: &Store,
    recording: &Recording,
    new: &Mails,
) -> (JoinHandle<Poller>, Held) {
    let mut poller = mails(store, new, 2).into_poller().unwrap();
    poller.poll_once().await.unwrap();
    // Its own record comes first.
    let mut record = recording.hold_next(&positions());
    let mut taking_over = recording.hold_next(&positions());
    let running = tokio::spawn(async move {
        poller.poll_until_caught_up().await.unwrap();
        poller
    });
    record.reached().await;
    record.let_go();
    taking_over.reached().await;
    (running, taking_over)
}

#[tokio::test]
async fn what_comes_while_it_takes_over_is_handled_when_that_stands_and_mailed() {
    let (store, recording) = recording();
    deposit(&store, "1", &[1, 2]).await;
    let (old, new) = (Mails::default(), Mails::default());
    mails(&store, &old, 1).run_until_caught_up().await.unwrap();
    let (running, taking_over) = take_over(&store, &recording, &new).await;
    deposit(&store, "1", &[3]).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(new.seen(), [1, 2], "whether 3 is a replay is not known");
    taking_over.let_go();
    let mut poller = running.await.unwrap();
    poller.poll_until_caught_up().await.unwrap();
    assert_eq!((old.mailed(), new.mailed()), (vec![1, 2], vec![3]));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hear_that_it_has_taken_over_finds_out_before_it_goes_on() {
    let (store, recording) = recording();
    deposit(&store, "1", &[1, 2]).await;
    let (old, new) = (Mails::default(), Mails::default());
    mails(&store, &old, 1).run_until_caught_up().await.unwrap();
    let (running, taking_over) = take_over(&store, &recording, &new).await;
    recording.in_category(&positions()).lose_reply_next(1);
    taking_over.let_go();
    let mut poller = running.await.unwrap();
    deposit(&store, "1", &[3]).await;
    poller.poll_until_caught_up().await.unwrap();
    assert_eq!((old.mailed(), new.mailed()), (vec![1, 2], vec![3]));
}

#[tokio::test]
async fn a_version_takes_over_from_the_one_that_is_in_charge_whatever_never_ran_between() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let (old, new) = (Mails::default(), Mails::default());
    mails(&store, &old, 1).run_until_caught_up().await.unwrap();
    mails(&store, &new, 3).run_until_caught_up().await.unwrap();
    assert!(new.mailed().is_empty(), "what the one in charge has mailed");
    assert_eq!(store.active_version("mails", "account").await.unwrap(), 3);
    deposit(&store, "1", &[3]).await;
    for version in [1, 2] {
        let refused = mails(&store, &old, version).run_until_caught_up().await.unwrap_err();
        assert_eq!(refused.to_string(), "subscriber `mails`: version 3 has taken over");
    }
    mails(&store, &new, 3).run_until_caught_up().await.unwrap();
    assert_eq!((old.mailed(), new.mailed()), (vec![1, 2], vec![3]));
    mails(&store, &new, 5).run_until_caught_up().await.unwrap();
    assert_eq!(store.active_version("mails", "account").await.unwrap(), 5);
}

#[tokio::test]
async fn a_version_that_was_overtaken_while_it_caught_up_is_replaced() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let (old, slow, new) = (Mails::default(), Mails::default(), Mails::default());
    mails(&store, &old, 1).run_until_caught_up().await.unwrap();
    let mut poller = mails(&store, &slow, 2).batch_size(1).into_poller().unwrap();
    poller.poll_once().await.unwrap();
    mails(&store, &new, 3).run_until_caught_up().await.unwrap();
    let refused = poller.poll_until_caught_up().await.unwrap_err();
    assert_eq!(refused.to_string(), "subscriber `mails`: version 3 has taken over");
    assert!(slow.mailed().is_empty());
}

#[tokio::test]
async fn a_host_of_both_goes_on_with_the_new_version_after_a_restart() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let (old, new) = (Mails::default(), Mails::default());
    mails(&store, &old, 1).run_until_caught_up().await.unwrap();
    mails(&store, &new, 2).run_until_caught_up().await.unwrap();
    deposit(&store, "1", &[3]).await;
    let host = Host::new().subscriber(mails(&store, &old, 1)).subscriber(mails(&store, &new, 2));
    let stops = host.run_until_caught_up().await.unwrap();
    let reasons: Vec<_> = stops.iter().map(|stopped| &stopped.reason).collect();
    assert!(matches!(reasons[..], [StopReason::Replaced(2), StopReason::CaughtUp]), "{reasons:?}");
    assert_eq!(new.mailed(), [3]);
}
