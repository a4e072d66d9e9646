//! A reader by one cursor over several categories, or over all, misses nothing and sees nothing twice,
//! while eight writers write to six categories in transactions of several that stay open for a while,
//! and roll back.
//!
//! Each setting takes `$EVENFOLD_COUNTING_SECONDS`, 3 unless told. That the reader does count is shown
//! by one that goes on from the last message it saw. One category alone is in `counting.rs`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{BatchSize, Categories, Merged, MergedStore, WriteStore};
use evenfold_core::{Category, ExpectedVersion, GlobalPosition, Ids, StreamName, TimeOrderedIds};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Fault, Postgres};
use serde_json::value::RawValue;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::common::figures;
use crate::common::{MESSAGE_DB, Result, execute, messages, raw};

const ANY: ExpectedVersion = ExpectedVersion::Any;
const START: GlobalPosition = GlobalPosition::START;

fn category(number: u64) -> Result<Category> {
    Ok(Category::new(format!("merged{number}"))?)
}

fn several() -> Result<Categories> {
    Ok(Categories::of([category(0)?, category(2)?, category(3)?])?)
}

/// Numbers that look drawn; the same for the same writer.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }
}

/// Writes to one to three categories in a transaction, which stays open for up to 30 ms; of twenty
/// three are rolled back. Categories are written in one order, so that nobody waits in a circle.
async fn write_until(
    (store, pool): (Postgres, PgPool),
    mut drawn: Drawn,
    end: Instant,
) -> Result<Vec<(Uuid, u64)>> {
    let mut written = Vec::new();
    while Instant::now() < end {
        let mut transaction = pool.begin().await?;
        let mut ids = Vec::new();
        let (first, count) = (drawn.below(6), 1 + drawn.below(3));
        for number in first..(first + count).min(6) {
            let stream = StreamName::new(format!("merged{number}-{}", drawn.below(5)))?;
            let batch = batch(1 + drawn.below(3))?;
            ids.extend(batch.iter().map(|message| (message.id(), number)));
            store.within(&mut transaction).write(&stream, &batch, ANY).await?;
            let held = format!("SELECT pg_sleep(0.0{:02})", drawn.below(31) / count);
            execute(&mut transaction, &held).await?;
        }
        if drawn.below(20) < 3 {
            transaction.rollback().await?;
        } else {
            transaction.commit().await?;
            written.extend(ids);
        }
    }
    Ok(written)
}

fn batch(count: u64) -> Result<Vec<NewMessage>> {
    let data = RawValue::from_string(r#"{"amount":5}"#.to_owned())?;
    (0..count).map(|_| Ok(NewMessage::new(TimeOrderedIds.next(), "Deposited", &data)?)).collect()
}

/// What a reader saw, and how long it waited for a page that was not empty.
#[derive(Default)]
struct Seen {
    messages: Vec<(i64, Uuid)>,
    waits: Vec<Duration>,
}

/// Reads pages, from the position given on, until nothing is left after the writers are done. A page
/// answers with what is in it and with where the next one begins.
async fn follow<P>(done: Arc<AtomicBool>, mut page: impl FnMut(GlobalPosition) -> P) -> Result<Seen>
where
    P: Future<Output = Result<(Vec<(i64, Uuid)>, GlobalPosition)>>,
{
    let (mut seen, mut from) = (Seen::default(), START.next());
    loop {
        // What comes after this was read is none of the writers'.
        let last = done.load(Ordering::SeqCst);
        let asked = Instant::now();
        let (messages, next) = page(from).await?;
        if !messages.is_empty() {
            seen.waits.push(asked.elapsed());
        }
        seen.messages.extend(messages);
        if last && next == from {
            return Ok(seen);
        }
        from = next;
        tokio::task::yield_now().await;
    }
}

async fn follow_merged(store: Postgres, of: Categories, done: Arc<AtomicBool>) -> Result<Seen> {
    let page = |from| {
        let (store, of) = (store.clone(), of.clone());
        async move {
            let merged = store.read_merged(&of, from, BatchSize::new(100)?).await?;
            let place = |message: &Recorded| (message.global_position.get(), message.id);
            Ok((merged.messages.iter().map(place).collect(), merged.scanned.next()))
        }
    };
    follow(done, page).await
}

/// Goes on behind the last message that it saw.
async fn follow_naively(pool: PgPool, done: Arc<AtomicBool>) -> Result<Seen> {
    let page = |from: GlobalPosition| {
        let pool = pool.clone();
        async move {
            let sql = "SELECT global_position, id FROM message_store.messages
                WHERE global_position >= $1 ORDER BY global_position LIMIT 100";
            let page: Vec<(i64, Uuid)> =
                sqlx::query_as(sql).bind(from.get()).fetch_all(&pool).await?;
            let next = page.last().map_or(Ok(from), |last| GlobalPosition::new(last.0 + 1))?;
            Ok((page, next))
        }
    };
    follow(done, page).await
}

async fn count(database: &TestDatabase, name: &str) -> Result {
    let seconds = std::env::var("EVENFOLD_COUNTING_SECONDS").map_or(Ok(3), |told| told.parse())?;
    let store = Postgres::options().connections(8)?.connect(&database.url()).await?;
    let options: PgConnectOptions = database.url().parse()?;
    let options = options.options([("search_path", "message_store,public")]);
    let pool = PgPoolOptions::new().max_connections(9).connect_with(options).await?;
    let done = Arc::new(AtomicBool::new(false));

    let readers = [
        tokio::spawn(follow_merged(store.clone(), Categories::all(), done.clone())),
        tokio::spawn(follow_merged(store.clone(), several()?, done.clone())),
        tokio::spawn(follow_naively(pool.clone(), done.clone())),
    ];
    let mut writers = JoinSet::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    for number in 1..=8 {
        let of = (store.clone(), pool.clone());
        writers.spawn(write_until(of, Drawn(number), end));
    }
    let mut written = Vec::new();
    while let Some(tally) = writers.join_next().await {
        written.extend(tally??);
    }
    done.store(true, Ordering::SeqCst);
    let all: HashSet<_> = written.iter().map(|(id, _)| *id).collect();
    let some = written.iter().filter(|(_, number)| [0, 2, 3].contains(number));
    let some: HashSet<_> = some.map(|(id, _)| *id).collect();
    let mut told = Vec::new();
    for ((reader, expected), of) in
        readers.into_iter().zip([&all, &some, &all]).zip(["all", "several", "naive"])
    {
        let Seen { messages, mut waits } = reader.await??;
        let seen: HashSet<_> = messages.iter().map(|(_, id)| *id).collect();
        let missed = expected.difference(&seen).count();
        let invented = seen.difference(expected).count();
        let twice = messages.len() - seen.len();
        let rises = messages.is_sorted_by(|one, other| one.0 < other.0);
        waits.sort_unstable();
        let millis = |wait: Option<&Duration>| wait.map_or(0, Duration::as_millis);
        let (median, longest) = (millis(waits.get(waits.len() / 2)), millis(waits.last()));
        let figures = format!(
            "{seconds} s, 8 writers: {missed} of {} missed; a page took {median} ms, at most {longest}",
            expected.len(),
        );
        figures::tell(&format!("postgres-merged-{name}-{of}"), figures)?;
        told.push((missed, invented, twice, rises));
    }
    let [of_all, of_several, naive] = told[..] else { return Err("three readers".into()) };
    assert!(all.len() > 100, "only {} messages", all.len());
    assert_eq!(of_all, (0, 0, 0, true), "missed, not written, twice, rising, of {}", all.len());
    assert_eq!(of_several, (0, 0, 0, true), "missed, not written, twice, rising");
    assert!(naive.0 > 0, "a reader past the last message missed nothing: this counts nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_in_several_categories_of_message_db() -> Result {
    count(&TestDatabase::from_template(MESSAGE_DB).await?, "message-db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_in_several_categories_of_our_schema() -> Result {
    count(&TestDatabase::new().await?, "ours").await
}

async fn both() -> Result<[TestDatabase; 2]> {
    Ok([TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?])
}

async fn write(store: &Postgres, stream: &str, id: u128) -> Result {
    store.write(&StreamName::new(stream)?, &messages(id..id + 1)?, ANY).await?;
    Ok(())
}

async fn read(store: &Postgres, from: GlobalPosition) -> Result<(Vec<u128>, Merged)> {
    let merged = store.read_merged(&Categories::all(), from, BatchSize::DEFAULT).await?;
    Ok((merged.messages.iter().map(|message| message.id.as_u128()).collect(), merged))
}

#[tokio::test]
async fn what_commits_late_is_waited_for_and_its_writer_is_named() -> Result {
    for database in both().await? {
        let store = Postgres::connect(&database.url()).await?;
        write(&store, "before-1", 1).await?;
        let mut other = raw(&database.url()).await?;
        execute(&mut other, "SET application_name = 'teller'").await?;
        let mut late = other.begin().await?;
        let stream = StreamName::new("late-1")?;
        store.within(&mut late).write(&stream, &messages(2..3)?, ANY).await?;
        write(&store, "after-1", 3).await?;

        // The decided prefix comes at once, and nothing behind it.
        let (seen, prefix) = read(&store, START).await?;
        assert_eq!((seen, prefix.held), (vec![1], None));
        let from = prefix.scanned.next();
        let (seen, held) = read(&store, from).await?;
        assert_eq!((seen, held.scanned), (vec![], prefix.scanned));
        let held = held.held.ok_or("nobody is named")?;
        assert!(held.by.contains("teller") && held.by.contains("idle in transaction"), "{held:?}");
        assert!(held.since.is_some());

        // Others that come and go meanwhile do not matter.
        let mut newcomer = raw(&database.url()).await?;
        let mut newcomer = newcomer.begin().await?;
        let stream = StreamName::new("newcomer-1")?;
        store.within(&mut newcomer).write(&stream, &messages(4..5)?, ANY).await?;
        late.commit().await?;
        assert_eq!(read(&store, from).await?.0, [2, 3]);
        newcomer.rollback().await?;
        write(&store, "after-1", 5).await?;
        assert_eq!(read(&store, START).await?.0, [1, 2, 3, 5]);
    }
    Ok(())
}

#[tokio::test]
async fn what_was_rolled_back_is_passed_over() -> Result {
    for database in both().await? {
        let store = Postgres::connect(&database.url()).await?;
        let mut other = raw(&database.url()).await?;
        for id in (10..40).step_by(10) {
            let mut transaction = other.begin().await?;
            let stream = StreamName::new("undone-1")?;
            store.within(&mut transaction).write(&stream, &messages(id..id + 3)?, ANY).await?;
            transaction.rollback().await?;
            write(&store, "account-1", id).await?;
        }
        let (seen, merged) = read(&store, START).await?;
        assert_eq!((seen, merged.scanned.get()), (vec![10, 20, 30], 12));
        // Of a hole at the end nothing is known, and nothing needs to be.
        let mut transaction = other.begin().await?;
        let stream = StreamName::new("undone-1")?;
        store.within(&mut transaction).write(&stream, &messages(50..51)?, ANY).await?;
        let (seen, end) = read(&store, merged.scanned.next()).await?;
        assert_eq!((seen, end.scanned, end.held), (vec![], merged.scanned, None));
        transaction.rollback().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_lock_that_a_session_keeps_between_its_transactions_holds_nobody_up() -> Result {
    for database in both().await? {
        let store = Postgres::connect(&database.url()).await?;
        let mut leader = raw(&database.url()).await?;
        execute(&mut leader, "SELECT pg_advisory_lock(1); SELECT pg_advisory_lock(1, 2)").await?;
        let mut other = raw(&database.url()).await?;
        let mut undone = other.begin().await?;
        let stream = StreamName::new("undone-1")?;
        store.within(&mut undone).write(&stream, &messages(1..2)?, ANY).await?;
        undone.rollback().await?;
        write(&store, "account-1", 2).await?;
        assert_eq!(read(&store, START).await?.0, [2]);
    }
    Ok(())
}

#[tokio::test]
async fn what_would_make_such_a_reader_miss_messages_is_refused() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let sound = Postgres::connect(&database.url()).await?;
    sound.check_merged().await?;
    let mut owner = raw(&database.url()).await?;
    execute(&mut owner, "ALTER SEQUENCE messages_global_position_seq CACHE 20").await?;
    let store = Postgres::connect(&database.url()).await?;
    for refused in [store.check_merged().await.err(), read_refused(&store).await] {
        let refused = refused.ok_or("it was not refused")?;
        assert_eq!(Fault::of(&refused), Some(&Fault::SequenceCache { cache: 20 }), "{refused:?}");
    }
    let unlocked = "ALTER SEQUENCE messages_global_position_seq CACHE 1;
        CREATE OR REPLACE FUNCTION acquire_lock(stream_name varchar) RETURNS bigint
        LANGUAGE sql AS 'SELECT 1::bigint'";
    execute(&mut owner, unlocked).await?;
    for refused in [store.check_merged().await.err(), read_refused(&store).await] {
        let refused = refused.ok_or("it was not refused")?;
        assert!(matches!(Fault::of(&refused), Some(Fault::LockOverride { .. })), "{refused:?}");
    }
    Ok(())
}

async fn read_refused(store: &Postgres) -> Option<evenfold_core::Error> {
    store.read_merged(&Categories::all(), START, BatchSize::DEFAULT).await.err()
}
