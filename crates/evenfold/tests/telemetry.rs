//! What is told to `tracing` and `metrics` is what the table says, and each of it is told.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops there")]

mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::pending;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::stores::HeldUp;
use evenfold::{Entities, ErrorPolicy, Host, Snapshots, Store, Subscriber};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Label, Recorder,
    SharedString, Unit,
};
use story::{Account, AccountEvent, Deposited, Withdrawn, deposit, recording};
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context as InLayer, SubscriberExt};

/// A name as it is in the table, or as it was told: its kinds and its fields.
type Told = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

/// Notes what is told.
#[derive(Clone, Debug, Default)]
struct Ear {
    told: Arc<Mutex<Told>>,
    /// The last number told under each name, or the sum of a counter.
    numbers: Arc<Mutex<BTreeMap<String, f64>>>,
}

impl Ear {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.numbers.lock().unwrap().get(&format!("evenfold_subscriber_{name}")).copied()
    }

    fn hear<'a>(&self, name: &str, kind: &str, fields: impl Iterator<Item = &'a str>) {
        let mut told = self.told();
        let (kinds, known) = told.entry(name.to_owned()).or_default();
        kinds.insert(kind.to_owned());
        known.extend(fields.map(ToOwned::to_owned));
    }

    fn number_of(&self, key: &Key, kind: &'static str) -> Arc<Number> {
        Arc::new(Number { ear: self.clone(), key: key.clone(), kind })
    }
}

struct Number {
    ear: Ear,
    key: Key,
    kind: &'static str,
}

impl Number {
    fn tell(&self, change: impl FnOnce(f64) -> f64) {
        let name = self.key.name();
        self.ear.hear(name, self.kind, self.key.labels().map(Label::key));
        let mut numbers = self.ear.numbers.lock().unwrap();
        let number = numbers.entry(name.to_owned()).or_default();
        *number = change(*number);
    }
}

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.tell(|before| before + f64::from(u32::try_from(value).unwrap()));
    }
    fn absolute(&self, _: u64) {
        unreachable!("nothing is set absolutely");
    }
}

impl GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.tell(|before| before + value);
    }
    fn decrement(&self, value: f64) {
        self.tell(|before| before - value);
    }
    fn set(&self, value: f64) {
        self.tell(|_| value);
    }
}

impl HistogramFn for Number {
    fn record(&self, value: f64) {
        self.tell(|_| value);
    }
}

impl Recorder for Ear {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &metrics::Metadata<'_>) -> Counter {
        Counter::from_arc(self.number_of(key, "counter"))
    }
    fn register_gauge(&self, key: &Key, _: &metrics::Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number_of(key, "gauge"))
    }
    fn register_histogram(&self, key: &Key, _: &metrics::Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.number_of(key, "histogram"))
    }
}

/// The text of an event.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

fn fields<'a>(of: &'a Metadata<'_>) -> impl Iterator<Item = &'a str> {
    of.fields().iter().map(|field| field.name()).filter(|name| *name != "message")
}

fn kind(of: &Metadata<'_>, what: &str) -> String {
    format!("{} {what}", of.level().as_str().to_lowercase())
}

impl<S: tracing::Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: InLayer<'_, S>) {
        let metadata = event.metadata();
        if metadata.target().starts_with("evenfold") {
            let mut text = Text::default();
            event.record(&mut text);
            self.hear(&text.0, &kind(metadata, "event"), fields(metadata));
        }
    }

    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: InLayer<'_, S>) {
        let metadata = span.metadata();
        if metadata.target().starts_with("evenfold") {
            self.hear(metadata.name(), &kind(metadata, "span"), fields(metadata));
        }
    }
}

/// What the table says.
fn table() -> Told {
    let rows = include_str!("../src/telemetry/mod.rs").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("//! | `"));
    let row = |row: &str| {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        let quoted = columns[2].split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
        // `info or error event` are two kinds.
        let (levels, what) = columns[1].rsplit_once(' ').unwrap_or(("", columns[1]));
        let kinds = levels.split(" or ").map(|level| format!("{level} {what}").trim().to_owned());
        (columns[0].trim_end_matches('`').to_owned(), (kinds.collect(), quoted))
    };
    rows.map(row).collect()
}

/// Runs something with an ear for all that is told.
fn listen<F: Future<Output = ()>>(is_paused: bool, run: impl FnOnce(Ear) -> F) {
    let ear = Ear::default();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(is_paused).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(ear.clone());
    tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&ear, || runtime.block_on(run(ear.clone())));
    });
}

#[derive(Message)]
struct Unknown;

/// A snapshot that does not read.
#[derive(Message)]
#[message(type = "Recorded")]
struct Garbled;

/// A snapshot whose state was made of more messages than there are.
#[derive(Message)]
#[message(type = "Recorded")]
struct Beyond {
    entity_data: Account,
    entity_version: i64,
}

/// Fails on a deposit of 13, refuses one of 7, and never ends with one of 99.
struct Clerk;

#[handler(AccountEvent, skip(Withdrawn))]
impl Clerk {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        match event.amount {
            13 => Err("it is 13".into()),
            7 => Ok(reject("not 7")?),
            99 => pending().await,
            _ => Ok(()),
        }
    }
}

fn clerk(store: &Store, id: &str, policy: ErrorPolicy) -> Subscriber {
    store.subscriber(id, Clerk).errors(policy.retries(0))
}

/// One of another client, one of another shape, and one of messages that are no longer there.
async fn snapshots_that_are_not_used(store: &Store, accounts: &Entities<Account>) {
    store.write("account:snapshot-2", Garbled).await.unwrap();
    accounts.load("2").await.unwrap();
    let mut metadata = evenfold::message::Metadata::default();
    metadata.local_properties.insert("shape".into(), "another".into());
    deposit(store, "4", &[3]).await;
    store.write("account:snapshot-4", Garbled).metadata(metadata).await.unwrap();
    accounts.load("4").await.unwrap();
    let own = StreamName::new("account:snapshot-4").unwrap();
    let own = store.messages().last_message(&own, None).await.unwrap().unwrap();
    let mut metadata = own.metadata().unwrap();
    metadata.local_properties.insert("stream".into(), "account-5".into());
    store
        .write(
            "account:snapshot-5",
            Beyond { entity_data: Account { balance: 7 }, entity_version: 99 },
        )
        .metadata(metadata)
        .await
        .unwrap();
    accounts.load("5").await.unwrap();
}

/// Everything that can be told happens.
async fn everything(ear: Ear) {
    let (store, faults) = recording();
    deposit(&store, "1", &[1, 7, 13, 2]).await;
    store.write("account-1", Unknown).await.unwrap();
    faults.lose_reply_next(1);
    deposit(&store, "2", &[3]).await;

    let accounts = store.entities::<Account>().snapshots(Snapshots::every(1));
    faults.refuse_next(1);
    accounts.load("2").await.unwrap();
    snapshots_that_are_not_used(&store, &accounts).await;

    clerk(&store, "skips", ErrorPolicy::skip()).run_until_caught_up().await.unwrap();
    clerk(&store, "stops", ErrorPolicy::stop()).run_until_caught_up().await.unwrap_err();
    let next = clerk(&store, "skips", ErrorPolicy::skip()).version(2);
    next.run_until_caught_up().await.unwrap();

    clerk(&store, "parks", ErrorPolicy::park()).run_until_caught_up().await.unwrap();
    let parking = store.parking("parks", "account").unwrap();
    let parked = parking.list().await.unwrap();
    assert_eq!(parked[0].message.position.get(), 2);
    parking.discard(&parked[0], "it is 13").await.unwrap();
    clerk(&store, "parks", ErrorPolicy::park()).run_until_caught_up().await.unwrap();

    faults
        .hold_up(Some(HeldUp { by: "process 42".into(), since: Some(OffsetDateTime::UNIX_EPOCH) }));
    let merged = clerk(&store, "merged", ErrorPolicy::skip()).merged();
    assert!(!merged.into_poller().unwrap().poll_once().await.unwrap().caught_up);
    faults.hold_up(None);

    let host = Host::new().subscriber(clerk(&store, "parks", ErrorPolicy::park()));
    let running = tokio::spawn(host.run());
    while ear.number("lag_messages").is_none() {
        tokio::task::yield_now().await;
    }
    let id = std::process::id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    running.await.unwrap().unwrap().into_result().unwrap();
}

#[test]
fn everything_in_the_table_is_told_and_nothing_else() {
    listen(false, |ear| async move {
        everything(ear.clone()).await;
        let (told, table) = (ear.told().clone(), table());
        assert_eq!(told.keys().collect::<Vec<_>>(), table.keys().collect::<Vec<_>>());
        for (name, of_table) in table {
            assert_eq!((&name, &told[&name]), (&name, &of_table));
        }
    });
}

#[test]
fn a_message_that_is_long_in_hand_is_seen_while_it_is() {
    listen(true, |ear| async move {
        let (store, _) = recording();
        deposit(&store, "1", &[1, 99, 2]).await;
        let subscriber = clerk(&store, "clerk", ErrorPolicy::stop()).progress_interval(1);
        let host = Host::new().subscriber(subscriber).run_until(pending());
        assert!(tokio::time::timeout(Duration::from_secs(25), host).await.is_err());
        assert_eq!(ear.number("handled_total"), Some(1.0));
        assert_eq!(ear.number("in_flight"), Some(1.0));
        assert_eq!(ear.number("read_ahead"), Some(2.0));
        assert_eq!(ear.number("lag_messages"), Some(2.0));
        let oldest = ear.number("oldest_in_flight_seconds").unwrap();
        assert!((23.0..=25.0).contains(&oldest), "{oldest}");
    });
}

#[test]
fn the_lag_of_a_member_is_that_of_its_part() {
    listen(true, |ear| async move {
        let (store, _) = recording();
        for id in 1..=40 {
            deposit(&store, &id.to_string(), &[1]).await;
        }
        // It stands still before the first.
        deposit(&store, "40", &[99]).await;
        let stream = StreamName::new("account-40").unwrap();
        let member = u16::try_from(stream.cardinal_hash().unwrap().unsigned_abs() % 4).unwrap();
        let subscriber = clerk(&store, "clerk", ErrorPolicy::stop()).group(member, 4);
        let host = Host::new().subscriber(subscriber).run_until(pending());
        assert!(tokio::time::timeout(Duration::from_secs(15), host).await.is_err());
        assert_eq!(ear.number("lag_messages"), Some(1.0));
    });
}

#[test]
fn a_replay_that_has_ended_is_no_message_that_comes_again() {
    listen(true, |ear| async move {
        let (store, _) = recording();
        deposit(&store, "1", &[13, 2]).await;
        clerk(&store, "parks", ErrorPolicy::park()).run_until_caught_up().await.unwrap();
        let parking = store.parking("parks", "account").unwrap();
        let stream = StreamName::new("account-1").unwrap();
        parking.replay_all().await.unwrap();
        let pause = Duration::from_mins(1);
        let policy = ErrorPolicy::park().retries(1).delays(pause, pause);
        let subscriber = store.subscriber("parks", Clerk).errors(policy);
        let running = tokio::spawn(Host::new().subscriber(subscriber).run_until(pending()));
        while ear.number("retrying") != Some(1.0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // It fails for good, and is asked for again and given up while it waits for the next try.
        while parking.of(&stream).await.unwrap()[0].message.is_asked {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(ear.number("retrying"), Some(0.0), "its failure was noted");
        parking.replay_all().await.unwrap();
        while ear.number("retrying") != Some(1.0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let parked = parking.of(&stream).await.unwrap();
        parking.discard(&parked[0], "").await.unwrap();
        while !parking.list().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(ear.number("retrying"), Some(0.0), "it was given up");
        running.abort();
    });
}
