//! What a store tells of its subscribers, from their records alone.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use evenfold::message::Metadata;
use evenfold::prelude::*;
use evenfold::stores::{HeldUp, Reads};
use evenfold::subscriber::{SubscriberState, SubscriberStatus};
use evenfold::{ErrorPolicy, Host, Store, Subscriber};
use story::{
    AccountCommand, AccountEvent, Deposit, Deposited, Withdrawn, deposit, ear, memory, recording,
};
use time::OffsetDateTime;
use tokio::sync::Notify;

#[derive(Message)]
struct Unknown;

/// Fails on a deposit of 13, and with one of 99 it tells that it has begun and never ends.
#[derive(Clone, Default)]
struct Clerk(Arc<Notify>);

#[handler(AccountEvent, skip(Withdrawn))]
impl Clerk {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        match event.amount {
            13 => Err("it is 13".into()),
            99 => {
                self.0.notify_one();
                pending().await
            }
            _ => Ok(()),
        }
    }
}

fn clerk(store: &Store, policy: ErrorPolicy) -> Subscriber {
    store.subscriber("clerk", Clerk::default()).errors(policy.retries(0))
}

/// The only subscriber there is.
async fn only(store: &Store) -> SubscriberStatus {
    let mut all = store.status().await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn behind(status: &SubscriberStatus) -> Option<u64> {
    status.lag.map(|lag| lag.messages)
}

#[tokio::test]
async fn one_that_has_done_everything_is_idle_and_then_behind() {
    let store = memory();
    assert_eq!(store.status().await.unwrap(), []);
    deposit(&store, "1", &[1, 2]).await;
    clerk(&store, ErrorPolicy::stop()).run_until_caught_up().await.unwrap();
    let status = only(&store).await;
    assert_eq!((status.subscriber.as_str(), status.version), ("clerk", 1));
    assert_eq!(status.reads, Reads::Category("account".parse().unwrap()));
    assert_eq!((&status.state, status.progress), (&SubscriberState::Idle, Some(2)));
    assert_eq!(behind(&status), Some(0));
    let line = status.to_string();
    assert!(
        line.starts_with("clerk of account: idle; at 2, nothing before it; recorded "),
        "{line}"
    );

    deposit(&store, "2", &[3, 4, 5]).await;
    let status = only(&store).await;
    assert_eq!((&status.state, status.progress), (&SubscriberState::Behind, Some(2)));
    assert_eq!(behind(&status), Some(3));
}

#[tokio::test]
async fn one_that_counts_crashes_is_seen_at_work() {
    let store = memory();
    deposit(&store, "1", &[1, 99, 2]).await;
    let clerk = Clerk::default();
    let subscriber = store.subscriber("clerk", clerk.clone()).errors(ErrorPolicy::park());
    let host = Host::new().subscriber(subscriber);
    let running = tokio::spawn(host.run_until(pending()));
    clerk.0.notified().await;
    let status = only(&store).await;
    assert_eq!((&status.state, status.progress), (&SubscriberState::Working, Some(0)));
    assert_eq!(behind(&status), Some(3));
    running.abort();
}

#[tokio::test]
async fn one_that_stopped_says_why() {
    let store = memory();
    deposit(&store, "1", &[1, 13, 2]).await;
    clerk(&store, ErrorPolicy::stop()).run_until_caught_up().await.unwrap_err();
    let status = only(&store).await;
    let SubscriberState::Stopped(reason) = &status.state else { panic!("{status}") };
    assert_eq!(
        reason,
        "handling `Deposited` at position 1 of `account-1` (global position 2) by `Clerk`: it is 13"
    );
    assert_eq!((status.progress, behind(&status)), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn one_that_tries_a_message_for_long_is_held() {
    let store = memory();
    deposit(&store, "1", &[1, 13]).await;
    let pause = Duration::from_secs(8);
    let policy = ErrorPolicy::stop().retries(u32::MAX).delays(pause, pause);
    let subscriber = store.subscriber("clerk", Clerk::default()).errors(policy);
    let host = Host::new().subscriber(subscriber).run_until(pending());
    assert!(tokio::time::timeout(Duration::from_secs(30), host).await.is_err());
    let status = only(&store).await;
    let SubscriberState::Held(reason) = &status.state else { panic!("{status}") };
    assert!(reason.ends_with("it is 13"), "{reason}");
    assert_eq!((status.progress, behind(&status)), (Some(1), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_transaction_of_others_names_it_until_that_ends() {
    let (store, faults) = recording();
    let (heard, hear) = ear();
    let merged = || store.subscriber("clerk", Clerk::default()).merged();
    deposit(&store, "1", &[1]).await;
    let mut clerk = merged().on_error(hear).into_poller().unwrap();
    assert!(clerk.poll_until_caught_up().await.unwrap().caught_up);
    deposit(&store, "1", &[2]).await;
    let by = |by: &str, seconds| {
        let since = Some(OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds));
        Some(HeldUp { by: by.to_owned(), since })
    };
    faults.hold_up(by("process 42 (active)", 1));
    let for_long = Duration::from_secs(30);
    let waited = tokio::time::timeout(for_long, clerk.poll_until_caught_up()).await;
    assert!(waited.is_err(), "it has not caught up");
    let status = only(&store).await;
    let reason = "held up by process 42 (active) since 1970-01-01 0:00:01.0 +00:00:00, whose \
                  transaction has not ended";
    assert_eq!(status.state, SubscriberState::Held(reason.to_owned()), "{status}");
    assert_eq!((status.progress, behind(&status)), (Some(1), Some(1)));
    let told = || heard.lock().unwrap().iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    assert_eq!(told(), ["reading account"], "it is told once");
    // The same does something else meanwhile, and then there is another.
    for (other, tells) in [(by("process 42 (idle)", 1), 1), (by("process 43", 2), 2)] {
        faults.hold_up(other);
        clerk.poll_once().await.unwrap();
        assert_eq!(told().len(), tells);
    }
    faults.hold_up(None);
    assert_eq!(clerk.poll_until_caught_up().await.unwrap().handled, 1);
    assert_eq!(only(&store).await.state, SubscriberState::Idle);
}

#[tokio::test]
async fn what_is_parked_is_counted() {
    let store = memory();
    deposit(&store, "1", &[1, 13, 2]).await;
    deposit(&store, "2", &[3]).await;
    clerk(&store, ErrorPolicy::park()).run_until_caught_up().await.unwrap();
    let other = store.subscriber("other", Clerk::default());
    other.errors(ErrorPolicy::skip().retries(0)).run_until_caught_up().await.unwrap();
    let all = store.status().await.unwrap();
    let parked: Vec<_> = all.iter().map(|it| (it.subscriber.as_str(), it.parked)).collect();
    assert_eq!(parked, [("clerk", 2), ("other", 0)]);
    assert_eq!(all[0].state, SubscriberState::Idle);
    let oldest = store.parking("clerk", "account").unwrap().list().await.unwrap();
    assert_eq!(all[0].parked_since, Some(oldest[0].message.since));
    let line = all[0].to_string();
    assert!(line.contains(", nothing before it, 2 parked since "), "{line}");
}

#[tokio::test]
async fn a_version_that_was_replaced_names_its_successor() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    clerk(&store, ErrorPolicy::stop()).run_until_caught_up().await.unwrap();
    clerk(&store, ErrorPolicy::stop()).version(2).run_until_caught_up().await.unwrap();
    deposit(&store, "1", &[2]).await;
    let all = store.status().await.unwrap();
    let told: Vec<_> = all.iter().map(|it| (it.version, &it.state, behind(it))).collect();
    assert_eq!(
        told,
        [(1, &SubscriberState::Replaced(2), None), (2, &SubscriberState::Behind, Some(1))]
    );
    let line = all[1].to_string();
    assert!(line.starts_with("clerk version 2 of account: behind; at 1, 1 before it"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_group_by_leases_is_one_with_its_members() {
    let store = memory();
    for id in 1..=40 {
        deposit(&store, &id.to_string(), &[1]).await;
    }
    let subscriber = store.subscriber("clerk", Clerk::default()).leased(8);
    let host = Host::new().subscriber(subscriber).run_until(pending());
    assert!(tokio::time::timeout(Duration::from_secs(15), host).await.is_err());
    // The member is gone without a word, and its leases are not over yet.
    deposit(&store, "1", &[2]).await;
    let status = only(&store).await;
    assert_eq!((&status.state, behind(&status)), (&SubscriberState::Behind, Some(1)));
    assert_eq!(status.parts.len(), 8);
    let late = status.parts.iter().filter(|part| part.state == SubscriberState::Behind);
    assert_eq!(late.count(), 1);
    let lowest = status.parts.iter().map(|part| part.progress).min().unwrap();
    assert_eq!(status.progress, lowest);
    let [member] = &*status.members else { panic!("{status}") };
    assert_eq!(member.buckets, [0, 1, 2, 3, 4, 5, 6, 7]);
    let line = status.to_string();
    assert!(line.contains(", 8 of 8 parts, 1 members by leases; "), "{line}");
}

/// Takes commands too.
struct Both;

#[handler(AccountEvent, skip(Withdrawn))]
impl Both {
    async fn deposited(&self, _: Received<Deposited>) {}
}

struct Orders;

#[handler(AccountCommand)]
impl Orders {
    async fn deposit(&self, _: Received<Deposit>) {}
}

#[tokio::test]
async fn every_kind_of_subscriber_is_found() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    store.send::<AccountCommand>("1", Deposit { amount: 3 }).await.unwrap();
    let metadata = Metadata {
        correlation_stream_name: Some(StreamName::new("transfer-7").unwrap()),
        ..Metadata::default()
    };
    let correlated = store.send::<AccountEvent>("1", Deposited { amount: 3 });
    correlated.metadata(metadata).await.unwrap();
    let of_stream = store.subscriber("stream", Both).stream("account-1");
    of_stream.run_until_caught_up().await.unwrap();
    store.subscriber("orders", Orders).run_until_caught_up().await.unwrap();
    let merged = || store.subscriber("merged", Both).also(Orders);
    merged().merged().run_until_caught_up().await.unwrap();
    merged().merged_all().run_until_caught_up().await.unwrap();
    let filtered = store.subscriber("filtered", Both).correlated_with("transfer");
    filtered.run_until_caught_up().await.unwrap();
    for member in 0..2 {
        let member = store.subscriber("group", Both).group(member, 2);
        member.run_until_caught_up().await.unwrap();
    }
    // Other clients' records, and what is none.
    store.write("account:position-torn", Unknown).await.unwrap();
    store.write("account:position", Unknown).await.unwrap();
    deposit(&store, "1", &[4]).await;

    let all = store.status().await.unwrap();
    let told =
        |it: &SubscriberStatus| (it.to_string().split(';').next().unwrap().to_owned(), behind(it));
    let told: Vec<_> = all.iter().map(told).collect();
    let told: Vec<_> = told.iter().map(|(line, behind)| (line.as_str(), *behind)).collect();
    assert_eq!(
        told,
        [
            ("filtered of account correlated with transfer: idle", Some(0)),
            ("group of account: behind", Some(1)),
            ("merged of account, account:command: behind", Some(1)),
            ("merged of all categories: behind", Some(1)),
            ("orders of account:command: idle", Some(0)),
            ("stream of account-1: behind", Some(1)),
            (
                "torn of account: unreadable: the progress recorded in `account:position-torn` \
                 cannot be read: the last message is a `Unknown`, not a `Recorded`",
                None
            ),
        ]
    );
}
