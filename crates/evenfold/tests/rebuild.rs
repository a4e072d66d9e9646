//! A read model built anew: by a reset, or by a version beside the old one.

#![expect(clippy::unwrap_used, reason = "what stands around the tests is test code too")]

mod story;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::stores::{Categories, ProgressStream, SubscriberId};
use evenfold::{GlobalPosition, Host, Position, StopReason, Store, Subscriber, Uuid};
use story::{AccountEvent, Deposit, Deposited, Withdrawn, deposit, memory};

/// Notes what it handles, and what of that it may tell others about.
#[derive(Clone, Default)]
struct View {
    seen: Arc<Mutex<Vec<u64>>>,
    mailed: Arc<Mutex<Vec<u64>>>,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl View {
    async fn deposited(&self, event: Received<Deposited>) {
        self.seen.lock().unwrap().push(event.amount);
        if !event.is_replay() {
            self.mailed.lock().unwrap().push(event.amount);
        }
    }
}

impl View {
    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }

    fn mailed(&self) -> Vec<u64> {
        self.mailed.lock().unwrap().clone()
    }
}

async fn catch_up(store: &Store, view: &View, version: u32) {
    let subscriber = store.subscriber("view", view.clone()).version(version);
    subscriber.run_until_caught_up().await.unwrap();
}

#[tokio::test]
async fn a_reset_handles_again_and_says_what_is_a_replay() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let view = View::default();
    catch_up(&store, &view, 1).await;
    deposit(&store, "1", &[4]).await;
    let place = store.place("view", "account").unwrap();
    place.reset_to(GlobalPosition::new(2).unwrap()).await.unwrap();
    catch_up(&store, &view, 1).await;
    assert_eq!(view.seen(), [1, 2, 3, 2, 3, 4]);
    assert_eq!(view.mailed(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_reset_of_shared_work_says_of_each_bucket_what_is_a_replay() {
    let store = memory();
    for id in 1..=20_u64 {
        deposit(&store, &id.to_string(), &[id]).await;
    }
    let view = View::default();
    let shared = || store.subscriber("view", view.clone()).leased(4);
    shared().run_until_caught_up().await.unwrap();
    let place = store.place("view", "account").unwrap().buckets(4);
    place.reset_to(GlobalPosition::START).await.unwrap();
    deposit(&store, "1", &[21]).await;
    shared().run_until_caught_up().await.unwrap();
    assert_eq!(view.seen().len(), 41);
    let mut mailed = view.mailed();
    mailed.sort_unstable();
    assert_eq!(mailed, (1..=21).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_subscriber_that_runs_while_it_is_reset_stops() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let mut poller = store.subscriber("view", View::default()).into_poller().unwrap();
    poller.poll_until_caught_up().await.unwrap();
    let place = store.place("view", "account").unwrap();
    place.reset_to(GlobalPosition::START).await.unwrap();
    deposit(&store, "1", &[3]).await;
    assert!(poller.poll_until_caught_up().await.unwrap_err().is_superseded());
    let view = View::default();
    catch_up(&store, &view, 1).await;
    assert_eq!(view.seen(), [1, 2, 3]);
}

#[tokio::test]
async fn a_new_version_catches_up_beside_the_old_one_and_takes_over() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let (old, new) = (View::default(), View::default());
    catch_up(&store, &old, 1).await;
    assert_eq!(store.active_version("view", "account").await.unwrap(), 1);

    catch_up(&store, &new, 2).await;
    assert_eq!(new.seen(), [1, 2]);
    assert!(new.mailed().is_empty(), "what the old one has mailed");
    assert_eq!(store.active_version("view", "account").await.unwrap(), 2);

    deposit(&store, "1", &[3]).await;
    catch_up(&store, &new, 2).await;
    assert_eq!(new.mailed(), [3]);
    let refused = store.subscriber("view", old.clone()).run_until_caught_up().await.unwrap_err();
    assert_eq!(refused.to_string(), "subscriber `view`: version 2 has taken over");
}

#[tokio::test(start_paused = true)]
async fn both_versions_run_in_one_host_and_no_mail_is_lost() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let (old, new) = (View::default(), View::default());
    catch_up(&store, &old, 1).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let host = Host::new()
        .subscriber(store.subscriber("view", old.clone()))
        .subscriber(store.subscriber("view", new.clone()).version(2));
    let running = tokio::spawn(host.run_until(async { drop(stopped.await) }));
    for amount in 4..20 {
        deposit(&store, "1", &[amount]).await;
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    let place = store.place("view", "account").unwrap().version(2);
    let account = StreamName::new("account-1").unwrap();
    let last = Position::new(18).unwrap();
    assert!(place.wait_for(&account, last, Duration::from_mins(1)).await.unwrap());
    drop(stop);
    let stops = running.await.unwrap().unwrap();
    let reasons: Vec<_> = stops.iter().map(|stopped| stopped.reason.clone()).collect();
    assert!(matches!(reasons[0], StopReason::Replaced(2)), "{reasons:?}");
    assert!(matches!(reasons[1], StopReason::Requested), "{reasons:?}");
    let (mut mailed, by_new) = (old.mailed(), new.mailed());
    // What the old one had handled and not yet recorded comes again, as after a crash.
    let again = mailed.iter().filter(|amount| by_new.contains(amount)).count();
    assert!(again <= 1 && by_new.len() > 5, "{mailed:?} {by_new:?}");
    mailed.extend(by_new);
    mailed.sort_unstable();
    mailed.dedup();
    assert_eq!(mailed, (1..20).collect::<Vec<_>>());
    assert_eq!(new.seen(), (1..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn progress_beyond_the_end_of_the_category_is_refused() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    let view = SubscriberId::new("view").unwrap();
    let stream = ProgressStream::of_category(&AccountEvent::category(), &view, None);
    store.messages().record_progress(&stream, 899, Uuid::from_u128(899)).await.unwrap();
    let view = store.subscriber("view", View::default());
    let error = view.run_until_caught_up().await.unwrap_err();
    assert!(error.is_unreadable_progress());
    assert_eq!(
        error.to_string(),
        "the progress recorded in `account:position-view` cannot be read: it stands at 899, and \
         `account` ends at 1; reset it if that is right"
    );
}

#[tokio::test]
async fn progress_beyond_the_end_of_the_store_is_refused_where_several_are_read_by_one_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", folder.path().join("bank.db").display());
    for url in ["memory:", &file] {
        let store = evenfold::connect(url).await.unwrap();
        deposit(&store, "1", &[1]).await;
        let named = Categories::of([AccountEvent::category()]).unwrap();
        progress_ends_with_the_store("named", &named, &store, Subscriber::merged).await;
        let all = Categories::all();
        progress_ends_with_the_store("all", &all, &store, Subscriber::merged_all).await;
    }
}

async fn progress_ends_with_the_store(
    id: &str,
    categories: &Categories,
    store: &Store,
    merged: fn(Subscriber) -> Subscriber,
) {
    let view = || merged(store.subscriber(id, View::default()));
    let stream = ProgressStream::of_merged(categories, &SubscriberId::new(id).unwrap());
    let record = |done: i64| {
        let name = format!("{id} at {done}");
        let number = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        store.messages().record_progress(&stream, done, number)
    };
    record(899).await.unwrap();
    let error = view().run_until_caught_up().await.unwrap_err();
    assert!(error.is_unreadable_progress(), "{error:?}");
    let said = format!(
        "the progress recorded in `{}` cannot be read: it stands at 899, and the store ends before \
         that; reset it if that is right",
        stream.stream()
    );
    assert_eq!(error.to_string(), said);
    // What is of none of its categories is read past: so its own record is an end as well.
    let books = stream.stream().category();
    let end = store.messages().category_head(&books).await.unwrap().unwrap();
    record(end.get()).await.unwrap();
    assert_eq!(view().run_until_caught_up().await.unwrap().handled, 0);
}

/// Notes commands and events alike.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Commands(Log);

#[handler(story::AccountCommand)]
impl Commands {
    async fn deposit(&self, command: Received<Deposit>) {
        self.0.0.lock().unwrap().push(format!("asked {}", command.amount));
    }
}

struct Events(Log);

#[handler(AccountEvent, skip(Withdrawn))]
impl Events {
    async fn deposited(&self, event: Received<Deposited>) {
        self.0.0.lock().unwrap().push(format!("got {}", event.amount));
    }
}

async fn talk(store: &Store) {
    for amount in 1..=3 {
        store.send::<story::AccountCommand>("1", Deposit { amount }).await.unwrap();
        deposit(store, "1", &[amount]).await;
    }
}

#[tokio::test]
async fn several_categories_are_read_by_a_cursor_each_or_in_one_order_by_one() {
    let store = memory();
    talk(&store).await;
    let log = Log::default();
    let both = store.subscriber("both", Commands(log.clone())).also(Events(log.clone()));
    assert_eq!(both.run_until_caught_up().await.unwrap().handled, 6);
    let asked: Vec<_> = (1..=3).map(|amount| format!("asked {amount}")).collect();
    let got: Vec<_> = (1..=3).map(|amount| format!("got {amount}")).collect();
    assert_eq!(*log.0.lock().unwrap(), [asked, got].concat());
    assert!(story::progress(&store, "account:position-both").await.is_some());
    assert!(story::progress(&store, "account:command+position-both").await.is_some());

    let in_turn = ["asked 1", "got 1", "asked 2", "got 2", "asked 3", "got 3"];
    let log = Log::default();
    let merged = store.subscriber("merged", Commands(log.clone())).also(Events(log.clone()));
    merged.merged().run_until_caught_up().await.unwrap();
    assert_eq!(*log.0.lock().unwrap(), in_turn);
    let of_both = "evenfold:position-merged+account,account:command";
    assert!(story::progress(&store, of_both).await.is_some());

    let log = Log::default();
    let all = store.subscriber("all", Commands(log.clone())).also(Events(log.clone()));
    let polled = all.merged_all().run_until_caught_up().await.unwrap();
    assert_eq!(*log.0.lock().unwrap(), in_turn);
    assert_eq!((polled.handled, polled.passed_over), (6, 0), "its own books are left out");
}
