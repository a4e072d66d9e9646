//! A reader that follows a category by global position misses nothing and sees nothing twice, while
//! eight writers write single messages, batches and transactions of an application, and roll back.
//!
//! Each setting takes `$EVENFOLD_COUNTING_SECONDS`, 3 unless told. That the reader does count is shown by
//! writers who leave out what Message DB's order depends on: the lock on the category.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenfold_core::message::NewMessage;
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore};
use evenfold_core::{
    Category, ExpectedVersion, GlobalPosition, Ids, Position, StreamName, TimeOrderedIds,
};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Options, Postgres};
use serde_json::value::RawValue;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool, PgTransaction};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::common::figures;
use crate::common::locks::waiting;
use crate::common::{MESSAGE_DB, Result, execute, in_groups_and_alone, messages, named, raw};

const ANY: ExpectedVersion = ExpectedVersion::Any;

/// Follows one category as a subscriber does, and notes whatever should not be.
pub(crate) struct Reader {
    query: CategoryQuery,
    from: GlobalPosition,
    pub(crate) seen: HashSet<Uuid>,
    next: HashMap<StreamName, Position>,
    pub(crate) polls: u64,
    pub(crate) faults: Vec<String>,
}

impl Reader {
    pub(crate) fn of(category: Category) -> Self {
        Self {
            query: CategoryQuery::new(category),
            from: GlobalPosition::START,
            seen: HashSet::new(),
            next: HashMap::new(),
            polls: 0,
            faults: Vec::new(),
        }
    }

    /// Reads what there is from where it stands, and says how much that was.
    pub(crate) async fn poll(&mut self, store: &Postgres) -> Result<usize> {
        let page = store.read_category(&self.query, self.from, BatchSize::new(100)?).await?;
        self.polls += 1;
        for message in &page {
            if message.global_position < self.from {
                self.faults.push(format!("{} after {}", message.place(), self.from));
            }
            if !self.seen.insert(message.id) {
                self.faults.push(format!("{} came twice", message.place()));
            }
            let next = self.next.entry(message.stream_name.clone()).or_insert(Position::START);
            if message.position != *next {
                self.faults.push(format!("{} came where {next} was due", message.place()));
            }
            *next = message.position.next();
            self.from = message.global_position.next();
        }
        Ok(page.len())
    }

    /// Reads until nothing is left after the writers are done.
    async fn follow(mut self, store: Postgres, done: Arc<AtomicBool>) -> Result<Self> {
        loop {
            // What comes after this was read is none of the writers'.
            let last = done.load(Ordering::SeqCst);
            if self.poll(&store).await? == 0 && last {
                return Ok(self);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Numbers that look drawn; the same for the same writer.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }
}

/// What a writer was told is written, and how much it took back.
#[derive(Default)]
struct Tally {
    written: HashSet<Uuid>,
    writes: u64,
    rolled_back: u64,
}

struct Writer {
    store: Postgres,
    pool: PgPool,
    categories: u64,
    /// Whether the database keeps the lock; without it, writers get in each other's way.
    locks: bool,
    drawn: Drawn,
    tally: Tally,
}

impl Writer {
    async fn write_until(mut self, end: Instant) -> Result<Tally> {
        while Instant::now() < end {
            let category = self.drawn.below(self.categories);
            match self.drawn.below(4) {
                0 | 1 => self.write(category, 1).await?,
                2 => {
                    let count = 2 + self.drawn.below(9);
                    self.write(category, count).await?;
                }
                _ => self.transaction(category).await?,
            }
            self.tally.writes += 1;
        }
        Ok(self.tally)
    }

    fn stream(&mut self, category: u64) -> Result<StreamName> {
        Ok(StreamName::new(format!("counted{category}-{}", self.drawn.below(5)))?)
    }

    async fn write(&mut self, category: u64, count: u64) -> Result {
        let stream = self.stream(category)?;
        let batch = batch(count)?;
        self.store.write(&stream, &batch, ANY).await?;
        self.tally.written.extend(batch.iter().map(NewMessage::id));
        Ok(())
    }

    /// One or two writes in a transaction that stays open for some round trips; every second one is
    /// rolled back. Of two categories, the later comes second, so that nobody waits in a circle.
    async fn transaction(&mut self, category: u64) -> Result {
        let mut transaction = self.pool.begin().await?;
        let mut ids = Vec::new();
        let second = (category + self.drawn.below(2)).min(self.categories - 1);
        for category in [category, second] {
            match self.part(&mut transaction, category).await {
                Ok(written) => ids.extend(written),
                Err(_) if !self.locks => return Ok(transaction.rollback().await?),
                Err(error) => return Err(error),
            }
        }
        if self.drawn.below(2) == 0 {
            transaction.rollback().await?;
            self.tally.rolled_back += u64::try_from(ids.len())?;
        } else {
            transaction.commit().await?;
            self.tally.written.extend(ids);
        }
        Ok(())
    }

    async fn part(
        &mut self,
        transaction: &mut PgTransaction<'_>,
        category: u64,
    ) -> Result<Vec<Uuid>> {
        let stream = self.stream(category)?;
        let batch = batch(1 + self.drawn.below(3))?;
        self.store.within(transaction).write(&stream, &batch, ANY).await?;
        let (from, limit) = (Position::START, BatchSize::new(1)?);
        for _ in 0..self.drawn.below(4) {
            self.store.within(transaction).read_stream(&stream, from, limit).await?;
        }
        Ok(batch.iter().map(NewMessage::id).collect())
    }
}

fn batch(count: u64) -> Result<Vec<NewMessage>> {
    let data = RawValue::from_string(r#"{"amount":5}"#.to_owned())?;
    (0..count).map(|_| Ok(NewMessage::new(TimeOrderedIds.next(), "Deposited", &data)?)).collect()
}

struct Counted {
    written: usize,
    missed: usize,
    invented: usize,
    faults: Vec<String>,
    figures: String,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missed, invented, faults, figures, .. } = self;
        write!(f, "{figures}; {missed} missed, {invented} not written, {} others", faults.len())
    }
}

async fn count(
    database: &TestDatabase,
    options: Options,
    categories: u64,
    locks: bool,
) -> Result<Counted> {
    let seconds = std::env::var("EVENFOLD_COUNTING_SECONDS").map_or(Ok(3), |told| told.parse())?;
    let store = options.connections(20)?.connect(&database.url()).await?;
    let options: PgConnectOptions = database.url().parse()?;
    let options = options.options([("search_path", "message_store,public")]);
    let pool = PgPoolOptions::new().max_connections(8).connect_with(options).await?;
    let done = Arc::new(AtomicBool::new(false));

    let mut readers = JoinSet::new();
    for category in 0..categories {
        let reader = Reader::of(Category::new(format!("counted{category}"))?);
        readers.spawn(reader.follow(store.clone(), done.clone()));
    }
    let mut writers = JoinSet::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    for number in 1..=8 {
        let (store, pool, tally) = (store.clone(), pool.clone(), Tally::default());
        let writer = Writer { store, pool, categories, locks, drawn: Drawn(number), tally };
        writers.spawn(writer.write_until(end));
    }

    let (mut written, mut calls, mut rolled_back) = (HashSet::new(), 0, 0);
    while let Some(tally) = writers.join_next().await {
        let tally = tally??;
        written.extend(tally.written);
        calls += tally.writes;
        rolled_back += tally.rolled_back;
    }
    done.store(true, Ordering::SeqCst);
    let (mut seen, mut polls, mut faults) = (HashSet::new(), 0, Vec::new());
    while let Some(reader) = readers.join_next().await {
        let reader = reader??;
        polls += reader.polls;
        faults.extend(reader.faults);
        seen.extend(reader.seen);
    }
    Ok(Counted {
        written: written.len(),
        missed: written.difference(&seen).count(),
        invented: seen.difference(&written).count(),
        faults,
        figures: format!(
            "{seconds} s, 8 writers: {} messages in {calls} writes, {rolled_back} rolled back; \
             {polls} reads",
            written.len()
        ),
    })
}

async fn nothing_is_missed(
    database: TestDatabase,
    options: Options,
    name: &str,
    categories: u64,
) -> Result {
    let counted = count(&database, options, categories, true).await?;
    figures::tell(&named(name, options), &counted)?;
    assert!(counted.written > 100, "{counted}");
    assert!(counted.missed == 0 && counted.invented == 0, "{counted}");
    assert!(counted.faults.is_empty(), "{counted}\n{:#?}", counted.faults);
    Ok(())
}

async fn nothing_is_missed_in_one_category_of_message_db(options: Options) -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    nothing_is_missed(database, options, "postgres-counting-message-db-1-category", 1).await
}

async fn nothing_is_missed_in_eight_categories_of_message_db(options: Options) -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    nothing_is_missed(database, options, "postgres-counting-message-db-8-categories", 8).await
}

async fn nothing_is_missed_in_one_category_of_our_schema(options: Options) -> Result {
    nothing_is_missed(TestDatabase::new().await?, options, "postgres-counting-ours-1-category", 1)
        .await
}

async fn nothing_is_missed_in_eight_categories_of_our_schema(options: Options) -> Result {
    nothing_is_missed(TestDatabase::new().await?, options, "postgres-counting-ours-8-categories", 8)
        .await
}

in_groups_and_alone!(
    nothing_is_missed_in_one_category_of_message_db,
    nothing_is_missed_in_eight_categories_of_message_db,
    nothing_is_missed_in_one_category_of_our_schema,
    nothing_is_missed_in_eight_categories_of_our_schema,
    a_reader_misses_nothing_of_who_holds_the_lock_long,
);

/// The same readers and writers, in a Message DB whose lock somebody took out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_is_missed_without_the_lock() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let no_lock = "CREATE OR REPLACE FUNCTION acquire_lock(stream_name varchar) RETURNS bigint \
                   LANGUAGE sql AS 'SELECT 0::bigint'";
    execute(&mut raw(&database.url()).await?, no_lock).await?;
    let counted = count(&database, Postgres::options(), 1, false).await?;
    figures::tell("postgres-counting-without-the-lock", &counted)?;
    assert!(counted.missed > 0, "{counted}");
    Ok(())
}

/// The same reader, and a writer past the lock who commits after another who began later.
#[tokio::test]
async fn a_reader_would_miss_what_is_written_past_the_lock() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let store = Postgres::connect(&database.url()).await?;
        let mut reader = Reader::of(Category::new("counted0")?);
        let (mut first, mut second) = (raw(&database.url()).await?, raw(&database.url()).await?);
        let mut late = first.begin().await?;
        execute(
            &mut late,
            "INSERT INTO messages (stream_name, position, type) \
             VALUES ('counted0-1', 0, 'T')",
        )
        .await?;
        execute(
            &mut second,
            "INSERT INTO messages (stream_name, position, type) \
             VALUES ('counted0-2', 0, 'T')",
        )
        .await?;
        assert_eq!(reader.poll(&store).await?, 1);
        late.commit().await?;
        assert_eq!(reader.poll(&store).await?, 0, "nothing was missed");
        assert_eq!(reader.seen.len(), 1);
        let all = Reader::of(Category::new("counted0")?).poll(&store).await?;
        assert_eq!(all, 2);
    }
    Ok(())
}

/// The same course of things, with the lock: the second waits, so nothing can come before the first.
async fn a_reader_misses_nothing_of_who_holds_the_lock_long(options: Options) -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let store = options.connect(&database.url()).await?;
        let mut reader = Reader::of(Category::new("counted0")?);
        let mut first = raw(&database.url()).await?;
        let mut watcher = raw(&database.url()).await?;
        let mut late = first.begin().await?;
        let stream = StreamName::new("counted0-1")?;
        store.within(&mut late).write(&stream, &messages(0..2)?, ANY).await?;
        let waits = store.clone();
        let (stream, batch) = (StreamName::new("counted0-2")?, messages(2..4)?);
        let second = tokio::spawn(async move { waits.write(&stream, &batch, ANY).await });
        waiting(&mut watcher).await?;
        assert_eq!(reader.poll(&store).await?, 0);
        late.commit().await?;
        second.await??;
        assert_eq!(reader.poll(&store).await?, 4);
        let expected: HashSet<_> = (0..4).map(Uuid::from_u128).collect();
        assert_eq!((reader.seen, reader.faults), (expected, Vec::new()));
    }
    Ok(())
}
