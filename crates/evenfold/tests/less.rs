//! Subscribers and projectors that ask the store for less: what they get, and what is refused then.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::message::{Metadata, Recorded};
use evenfold::prelude::*;
use evenfold::projector::Projector;
use evenfold::reducer::Reducer;
use evenfold::stores::{BatchSize, CategoryQuery, ReadStore};
use evenfold::{Category, Error, ErrorPolicy, GlobalPosition, Memory, Position, Store, Uuid};
use futures::future::BoxFuture;
use serde_json::Value;
use story::{
    Account, AccountEvent, Deposit, Deposited, Notes, Withdrawn, deposit, memory, progress,
};

/// A deposit that says where it came from.
async fn deposit_of(store: &Store, correlation: &str, amount: u64) {
    let correlation_stream_name = Some(StreamName::new(correlation).unwrap());
    let reply_stream_name = Some(StreamName::new("office-1").unwrap());
    let metadata = Metadata { correlation_stream_name, reply_stream_name, ..Metadata::default() };
    store.write("account-1", Deposited { amount }).metadata(metadata).await.unwrap();
}

/// A handler that tries to follow what it gets, and notes what came of that and of its metadata.
#[derive(Clone)]
struct Follows {
    store: Store,
    said: Arc<Mutex<Vec<String>>>,
}

impl Follows {
    fn of(store: &Store) -> Self {
        Self { store: store.clone(), said: Arc::default() }
    }
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Follows {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        let withdrawn = || Withdrawn { amount: event.amount };
        let followed = self.store.write("account-2", withdrawn()).following(&event).await;
        let replied = self.store.reply(&event, withdrawn()).await;
        let store = self.store.messages();
        let through = self.store.write("account-3", withdrawn()).following(&event).through(store);
        let accounts = self.store.entities::<Account>();
        let decided = accounts.transact("4", |_| Ok(vec![withdrawn().into()])).following(&event);
        let mut said = vec![format!("{:?}", event.metadata().correlation_stream_name)];
        let known = self.store.write("account-5", withdrawn()).following(&event);
        let known = known.identified_by(Uuid::nil()).await;
        let refused = [followed, replied, through.await, known].map(Result::unwrap_err);
        for error in refused.into_iter().chain([decided.await.unwrap_err()]) {
            assert!(error.is_invalid());
            said.push(error.to_string());
        }
        self.said.lock().unwrap().extend(said);
        Ok(())
    }
}

#[tokio::test]
async fn who_reads_no_metadata_gets_none_and_follows_nothing() {
    for by_stream in [false, true] {
        let store = memory();
        deposit_of(&store, "transfer-1", 5).await;
        let follows = Follows::of(&store);
        let mut subscriber = store.subscriber("follows", follows.clone()).without_metadata();
        if by_stream {
            subscriber = subscriber.stream("account-1");
        }
        subscriber.run_until_caught_up().await.unwrap();
        let said = follows.said.lock().unwrap().clone();
        let (none, refused) = said.split_first().unwrap();
        assert_eq!(none, "None");
        assert_eq!(
            refused,
            ["message to follow `Deposited`: its subscriber reads no metadata, so nothing can \
              follow it; leave out `.without_metadata()`"; 5]
        );
        let account = "account".parse().unwrap();
        let streams = store.messages().streams(&account, None, BatchSize::DEFAULT).await.unwrap();
        assert_eq!(streams.len(), 1, "nothing was written: {streams:?}");
    }
}

/// A handler that notes whether a message has metadata, and fails on it once.
#[derive(Clone, Default)]
struct Fails(Arc<Mutex<Vec<bool>>>);

#[handler(AccountEvent, skip(Withdrawn))]
impl Fails {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        let mut seen = self.0.lock().unwrap();
        seen.push(event.recorded().metadata_json.is_some());
        if seen.len() == 1 { Err("no luck".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn what_was_parked_by_who_reads_no_metadata_comes_again_as_it_came() {
    let store = memory();
    deposit_of(&store, "transfer-1", 5).await;
    let fails = Fails::default();
    let parks = || {
        let subscriber = store.subscriber("parks", fails.clone()).without_metadata();
        subscriber.errors(ErrorPolicy::park().retries(0))
    };
    parks().run_until_caught_up().await.unwrap();
    let parking = store.parking("parks", "account").unwrap();
    parking.replay_all().await.unwrap();
    parks().run_until_caught_up().await.unwrap();
    assert_eq!(*fails.0.lock().unwrap(), [false, false]);
    assert!(parking.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn who_reads_no_metadata_is_handed_what_was_correlated_all_the_same() {
    let store = memory();
    for (correlation, amount) in [("transfer-1", 1), ("order-1", 2), ("transfer-2", 3)] {
        deposit_of(&store, correlation, amount).await;
    }
    let notes = Notes::default();
    let subscriber = store.subscriber("notes", notes.clone()).correlated_with("transfer");
    subscriber.without_metadata().run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 3]);
}

#[tokio::test]
async fn who_reads_what_is_handled_alone_comes_to_the_end_all_the_same() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    for _ in 0..10 {
        store.send::<AccountEvent>("1", Withdrawn { amount: 0 }).await.unwrap();
    }
    deposit(&store, "2", &[3]).await;
    store.write("account-2", Deposit { amount: 9 }).await.unwrap();
    let notes = Notes::default();
    let subscriber = store.subscriber("notes", notes.clone()).handled_only().batch_size(2);
    let polled = subscriber.run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 2, 3]);
    assert_eq!(polled.handled, 3);
    let head = store.messages().category_head(&"account".parse().unwrap()).await.unwrap().unwrap();
    let recorded: Value =
        serde_json::from_str(&progress(&store, "account:position-notes").await.unwrap()).unwrap();
    assert_eq!(recorded.get("position").and_then(Value::as_i64), Some(head.get()));
}

#[tokio::test]
async fn what_is_passed_by_is_waited_for_as_what_is_handled_is() {
    let store = memory();
    let subscriber = store.subscriber("notes", Notes::default()).handled_only();
    let running = tokio::spawn(subscriber.progress_time(Duration::from_millis(20)).run());
    let written = store.write("account-1", Withdrawn { amount: 0 }).await.unwrap();
    let (place, account) =
        (store.place("notes", "account").unwrap(), StreamName::new("account-1").unwrap());
    assert!(place.wait_for(&account, written.last(), Duration::from_mins(1)).await.unwrap());
    running.abort();
}

#[tokio::test]
async fn who_asks_for_less_and_needs_more_is_refused() {
    let store = memory();
    let subscriber = || store.subscriber("notes", Notes::default());
    let same = |_: &Recorded| Ok(None);
    for (refused, said) in [
        (
            subscriber().strict().handled_only(),
            "subscriber `notes`: `.strict()` needs the messages that `.handled_only()` leaves out",
        ),
        (
            subscriber().converter(same).handled_only(),
            "subscriber `notes`: `.converter(…)` needs the messages that `.handled_only()` leaves \
             out",
        ),
        (
            subscriber().converter(same).without_metadata(),
            "subscriber `notes`: `.converter(…)` may need what `.without_metadata()` leaves out",
        ),
        (
            subscriber().stream("account-1").handled_only(),
            "stream name `account-1`: `.entity(…)` or `.stream(…)` reads one stream, so \
             `.handled_only()` does not go with it",
        ),
        (
            subscriber().merged().handled_only().without_metadata(),
            "subscriber `notes`: `.merged()` reads several categories by one cursor, so \
             `.handled_only()` and `.without_metadata()` do not go with it",
        ),
    ] {
        let error = refused.run_until_caught_up().await.unwrap_err();
        assert!(error.is_invalid());
        assert_eq!(error.to_string(), said);
    }
}

/// A state that looks at metadata.
#[derive(Default, Debug, PartialEq)]
struct Origins(Vec<String>);

#[reducer(AccountEvent, skip(Withdrawn))]
impl Origins {
    fn deposited(&mut self, _: &Deposited, recorded: &Recorded) -> Result<(), Error> {
        let origin = recorded.metadata()?.correlation_stream_name;
        self.0.extend(origin.map(|name| name.to_string()));
        Ok(())
    }
}

#[tokio::test]
async fn a_reducer_that_takes_the_recorded_message_has_its_metadata() {
    const { assert!(Origins::READS_RECORDED && !Account::READS_RECORDED) };
    let store = memory();
    deposit_of(&store, "transfer-1", 5).await;
    let origins = store.entities::<Origins>().load("1").await.unwrap();
    assert_eq!(origins.state, Origins(vec!["transfer-1".into()]));
}

#[tokio::test]
async fn a_converter_has_the_metadata_whoever_reduces() {
    let store = memory();
    deposit_of(&store, "transfer-1", 5).await;
    let twice = |recorded: &Recorded| {
        let is_transfer = recorded.metadata()?.correlation_stream_name.is_some();
        let data = Some(r#"{"amount":10}"#.into());
        Ok(is_transfer.then(|| Recorded { data_json: data, ..recorded.clone() }))
    };
    let projector = Projector::<Account>::of_reducer().converter(twice);
    let stream = StreamName::new("account-1").unwrap();
    let account = projector.run_on_stream(store.messages(), &stream).await.unwrap();
    assert_eq!(account.state.balance, 10);
}

/// Counts the pages that are read whole, and those of data alone.
#[derive(Default)]
struct Counted {
    memory: Memory,
    whole: AtomicU32,
    data: AtomicU32,
}

impl ReadStore for Counted {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        self.whole.fetch_add(1, Ordering::Relaxed);
        self.memory.read_stream(stream, from, limit)
    }

    fn read_stream_data<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        self.data.fetch_add(1, Ordering::Relaxed);
        self.memory.read_stream_data(stream, from, limit)
    }

    fn read_category<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        self.memory.read_category(query, from, limit)
    }

    fn last_message<'a>(
        &'a self,
        stream: &'a StreamName,
        message_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
        self.memory.last_message(stream, message_type)
    }

    fn stream_version<'a>(
        &'a self,
        stream: &'a StreamName,
    ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
        self.memory.stream_version(stream)
    }

    fn category_head<'a>(
        &'a self,
        category: &'a Category,
    ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>> {
        self.memory.category_head(category)
    }
}

#[tokio::test]
async fn a_projector_reads_whole_messages_where_something_of_it_may_look_at_them_and_only_there() {
    async fn asked<S: Send + 'static>(projector: Projector<S>) -> (u32, u32) {
        let store = Counted::default();
        let stream = StreamName::new("account-1").unwrap();
        projector.run_on_stream(&store, &stream).await.unwrap();
        (store.whole.into_inner(), store.data.into_inner())
    }
    let none = |_: &Recorded| Ok(None);
    let sum = |sum: &mut u64, event: &Deposited| {
        *sum += event.amount;
        Ok(())
    };
    assert_eq!(asked(Projector::<Account>::of_reducer()).await, (0, 1));
    assert_eq!(asked(Projector::starting_with(|| 0).on(sum)).await, (0, 1));
    assert_eq!(asked(Projector::<Account>::of_reducer().converter(none)).await, (1, 0));
    assert_eq!(asked(Projector::<Origins>::of_reducer()).await, (1, 0));
}
