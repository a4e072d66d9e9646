//! The place of a subscriber: waiting for it, and what cannot be reset.

#![expect(clippy::unwrap_used, reason = "what stands around the tests is test code too")]

mod story;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::message::Metadata;
use evenfold::prelude::*;
use evenfold::stores::Categories;
use evenfold::{Category, GlobalPosition, Position, Store, Subscriber, SubscriberPlace};
use story::{AccountEvent, Deposited, Withdrawn, deposit, memory};

/// Notes what it handles.
#[derive(Clone, Default)]
struct View(Arc<Mutex<Vec<u64>>>);

#[handler(AccountEvent, skip(Withdrawn))]
impl View {
    async fn deposited(&self, event: Received<Deposited>) {
        self.0.lock().unwrap().push(event.amount);
    }
}

impl View {
    fn seen(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

fn view(store: &Store, view: &View) -> Subscriber {
    store.subscriber("view", view.clone())
}

fn place(store: &Store) -> SubscriberPlace {
    store.place("view", "account").unwrap()
}

fn at(position: i64) -> GlobalPosition {
    GlobalPosition::new(position).unwrap()
}

async fn refused(place: SubscriberPlace, next: i64) -> String {
    let error = place.reset_to(at(next)).await.unwrap_err();
    assert!(error.is_invalid(), "{error:?}");
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_his_write_is_told_when_it_is_handled_or_that_it_is_not() {
    let store = memory();
    let handler = View::default();
    deposit(&store, "1", &[1]).await;
    let account = StreamName::new("account-1").unwrap();
    let place = place(&store);
    let short = Duration::from_millis(100);
    assert!(!place.wait_for(&account, Position::START, short).await.unwrap());
    assert_eq!(place.of(&account).await.unwrap(), None, "nothing is recorded");
    view(&store, &handler).run_until_caught_up().await.unwrap();
    assert_eq!(place.of(&account).await.unwrap(), Some(at(1)));
    assert!(place.wait_for(&account, Position::START, Duration::ZERO).await.unwrap());
    let missing = Position::new(7).unwrap();
    let refused = place.wait_for(&account, missing, short).await.unwrap_err();
    assert_eq!(refused.to_string(), "position `7`: `account-1` has no message there");
}

#[tokio::test]
async fn a_message_of_another_category_is_not_waited_for() {
    let store = memory();
    store.write("transfer-1", Deposited { amount: 1 }).await.unwrap();
    deposit(&store, "1", &[1]).await;
    view(&store, &View::default()).run_until_caught_up().await.unwrap();
    let transfer = StreamName::new("transfer-1").unwrap();
    let waited = place(&store).wait_for(&transfer, Position::START, Duration::ZERO).await;
    let said = "stream name `transfer-1`: it is of category `transfer`, and this is the place of \
                subscriber `view` of `account`";
    assert_eq!(waited.unwrap_err().to_string(), said);
    assert_eq!(place(&store).of(&transfer).await.unwrap_err().to_string(), said);
}

#[tokio::test]
async fn a_reset_does_not_take_back_that_a_version_has_taken_over() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let (old, new) = (View::default(), View::default());
    view(&store, &old).run_until_caught_up().await.unwrap();
    view(&store, &new).version(2).run_until_caught_up().await.unwrap();
    let said = refused(place(&store), 1).await;
    assert_eq!(said, "subscriber `view`: version 2 has taken over; say `.version(2)`");
    assert_eq!(store.active_version("view", "account").await.unwrap(), 2);

    place(&store).version(2).reset_to(GlobalPosition::START).await.unwrap();
    view(&store, &new).version(2).run_until_caught_up().await.unwrap();
    assert_eq!((old.seen(), new.seen()), (vec![1, 2], vec![1, 2, 1, 2]));
}

#[tokio::test]
async fn a_place_where_nothing_is_recorded_is_not_reset_and_nothing_is_written() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    view(&store, &View::default()).run_until_caught_up().await.unwrap();
    view(&store, &View::default()).version(2).run_until_caught_up().await.unwrap();
    let leased = store.subscriber("leased", View::default()).leased(4);
    leased.run_until_caught_up().await.unwrap();
    let of = |id| store.place(id, "account").unwrap();
    for (place, said) in [
        (
            of("veiw"),
            "subscriber `veiw`: it has no progress of `account` at the place `.version(1)`; is its id \
             another? Where one begins that has not run yet, `.start_at(…)` says",
        ),
        (
            store.place("view", "acount").unwrap(),
            "subscriber `view`: it has no progress of `acount` at the place `.version(1)`; is its id \
             another? Where one begins that has not run yet, `.start_at(…)` says",
        ),
        (
            of("view").version(3),
            "subscriber `view`: it has no progress of `account` at the place `.version(3)`; its \
             places are `.version(1)`, `.version(2)`",
        ),
        (
            of("leased"),
            "subscriber `leased`: it has no progress of `account` at the place `.version(1)`; its \
             places are `.buckets(4)`",
        ),
        (
            of("leased").buckets(8),
            "subscriber `leased`: it has no progress of `account` at the place `.buckets(8)`; its \
             places are `.buckets(4)`",
        ),
    ] {
        assert_eq!(refused(place, 1).await, said);
    }
    let subscribers = store.status().await.unwrap();
    assert_eq!(subscribers.len(), 3, "{subscribers:?}");
    of("leased").buckets(4).reset_to(GlobalPosition::START).await.unwrap();
}

#[tokio::test]
async fn a_reset_goes_to_the_end_of_what_is_read_and_not_beyond() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    store.write("transfer-1", Deposited { amount: 1 }).await.unwrap();
    let handler = View::default();
    view(&store, &handler).run_until_caught_up().await.unwrap();
    assert_eq!(
        refused(place(&store), 4).await,
        "global position `4`: `account` ends at 2, so 3 is the last that can be reset to"
    );
    place(&store).reset_to(at(3)).await.unwrap();
    deposit(&store, "1", &[3]).await;
    view(&store, &handler).run_until_caught_up().await.unwrap();
    assert_eq!(handler.seen(), [1, 2, 3]);
}

#[tokio::test]
async fn a_correlated_subscriber_is_waited_for_and_reset_at_a_place_of_its_own() {
    let store = memory();
    let transfer = Some(StreamName::new("transfer-7").unwrap());
    let metadata = Metadata { correlation_stream_name: transfer, ..Metadata::default() };
    let correlated = store.send::<AccountEvent>("1", Deposited { amount: 1 });
    correlated.metadata(metadata).await.unwrap();
    deposit(&store, "1", &[2]).await;
    let handler = View::default();
    let filtered = || view(&store, &handler).correlated_with("transfer");
    filtered().run_until_caught_up().await.unwrap();
    assert_eq!(
        refused(place(&store), 1).await,
        "subscriber `view`: it has no progress of `account` at the place `.version(1)`; its \
         places are `.version(1).correlated_with(transfer)`"
    );
    let place = place(&store).correlated_with(Category::new("transfer").unwrap());
    let account = StreamName::new("account-1").unwrap();
    // What the filter keeps back is done with as well.
    let last = Position::new(1).unwrap();
    assert!(place.wait_for(&account, Position::START, Duration::ZERO).await.unwrap());
    assert!(place.wait_for(&account, last, Duration::ZERO).await.unwrap());
    place.reset_to(GlobalPosition::START).await.unwrap();
    filtered().run_until_caught_up().await.unwrap();
    assert_eq!(handler.seen(), [1, 1]);
}

#[tokio::test]
async fn a_merged_subscriber_is_waited_for_and_reset_at_a_place_of_its_own() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    let account = StreamName::new("account-1").unwrap();
    let last = Position::new(1).unwrap();
    let handler = View::default();
    let named = Categories::of([AccountEvent::category()]).unwrap();
    let merged = || view(&store, &handler).merged();
    let all = || store.subscriber("all", handler.clone()).merged_all();
    merged().run_until_caught_up().await.unwrap();
    all().run_until_caught_up().await.unwrap();
    assert_eq!(
        refused(place(&store), 1).await,
        "subscriber `view`: it has no progress of `account` at the place `.version(1)`; it reads \
         `account` by one cursor; say `Store::place_merged`"
    );
    let merged_place = store.place_merged("view", named).unwrap();
    let place_of_all = store.place_merged("all", Categories::all()).unwrap();
    for place in [&merged_place, &place_of_all] {
        assert!(place.wait_for(&account, last, Duration::ZERO).await.unwrap());
        assert!(
            refused(place.clone(), 4)
                .await
                .ends_with("ends at 2, so 3 is the last that can be reset to")
        );
        place.reset_to(at(2)).await.unwrap();
    }
    let transfer = StreamName::new("transfer-1").unwrap();
    assert!(merged_place.of(&transfer).await.unwrap_err().is_invalid());
    merged().run_until_caught_up().await.unwrap();
    all().run_until_caught_up().await.unwrap();
    assert_eq!(handler.seen(), [1, 2, 1, 2, 2, 2]);
}
