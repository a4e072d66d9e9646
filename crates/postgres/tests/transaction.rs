//! Messages in the application's own transaction: with its own tables or not at all.
//!
//! The laws of a store are in `conformance.rs`; they hold here too, and what is particular stands here.

use evenfold_core::error::Conflict;
use evenfold_core::store::{BatchSize, ReadStore, WriteStore, Written};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgPool, PgTransaction};

use crate::common::locks::waiting;
use crate::common::poll_some;
use crate::common::{MESSAGE_DB, Result, execute, message, messages, raw};

async fn pool(database: &TestDatabase) -> Result<PgPool> {
    let options: PgConnectOptions = database.url().parse()?;
    let options = options.options([("search_path", "message_store,public")]);
    Ok(PgPool::connect_with(options).await?)
}

#[tokio::test]
async fn messages_and_a_table_of_the_application_come_together_or_not_at_all() -> Result {
    together(&TestDatabase::from_template(MESSAGE_DB).await?).await?;
    together(&TestDatabase::new().await?).await
}

async fn together(database: &TestDatabase) -> Result {
    let create = "CREATE TABLE public.balances (amount int)";
    execute(&mut raw(&database.url()).await?, create).await?;
    let pool = pool(database).await?;
    let store = Postgres::from_pool(pool.clone()).await?;
    let stream = StreamName::new("account-1")?;

    write_both(&store, &pool, &stream).await?.rollback().await?;
    assert_eq!(store.stream_version(&stream).await?, None);

    write_both(&store, &pool, &stream).await?.commit().await?;
    assert_eq!(store.stream_version(&stream).await?, Some(Position::new(3)?));
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM balances").fetch_one(&pool).await?;
    assert_eq!(rows, 1);
    Ok(())
}

async fn write_both(
    store: &Postgres,
    pool: &PgPool,
    stream: &StreamName,
) -> Result<PgTransaction<'static>> {
    let mut transaction = pool.begin().await?;
    execute(&mut transaction, "INSERT INTO public.balances VALUES (5)").await?;
    let first = ExpectedVersion::NoStream;
    store.within(&mut transaction).write(stream, &messages(0..1)?, first).await?;
    let then = ExpectedVersion::At(Position::START);
    store.within(&mut transaction).write(stream, &messages(1..4)?, then).await?;
    let (from, limit) = (Position::START, BatchSize::DEFAULT);
    let own = store.within(&mut transaction).read_stream(stream, from, limit).await?;
    assert_eq!(own.len(), 4);
    Ok(transaction)
}

#[tokio::test]
async fn a_refused_write_leaves_the_transaction_usable() -> Result {
    refused(&TestDatabase::from_template(MESSAGE_DB).await?).await?;
    refused(&TestDatabase::new().await?).await
}

async fn refused(database: &TestDatabase) -> Result {
    let pool = pool(database).await?;
    let store = Postgres::from_pool(pool.clone()).await?;
    let stream = StreamName::new("account-1")?;
    store.write(&stream, &messages(0..2)?, ExpectedVersion::NoStream).await?;

    let mut transaction = pool.begin().await?;
    for count in [1, 3] {
        let batch = messages(10..10 + count)?;
        let stale = ExpectedVersion::NoStream;
        let refused = store.within(&mut transaction).write(&stream, &batch, stale).await;
        assert!(refused.is_err_and(|error| error.is_conflict()));
    }
    let other = [message(1, r#"{"amount":6}"#)?];
    let any = ExpectedVersion::Any;
    let refused = store.within(&mut transaction).write(&stream, &other, any).await;
    assert!(refused.is_err_and(|error| error.is_duplicate_id()));
    let bad = [message(20, r#"{"note":"\ud800"}"#)?];
    let refused = store.within(&mut transaction).write(&stream, &bad, any).await;
    assert!(refused.is_err_and(|error| error.is_invalid()));

    let again = store.within(&mut transaction).write(&stream, &messages(0..2)?, any).await?;
    assert!(again.is_repetition());
    let written = store.within(&mut transaction).write(&stream, &messages(2..4)?, any).await?;
    assert_eq!(written.last(), Position::new(3)?);
    transaction.commit().await?;
    assert_eq!(store.stream_version(&stream).await?, Some(Position::new(3)?));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_lock_two_categories_crosswise_one_is_told_of_the_deadlock() -> Result {
    crosswise(&TestDatabase::from_template(MESSAGE_DB).await?).await?;
    crosswise(&TestDatabase::new().await?).await
}

async fn crosswise(database: &TestDatabase) -> Result {
    let pool = pool(database).await?;
    let store = Postgres::from_pool(pool.clone()).await?;
    let (account, transfer) = (StreamName::new("account-1")?, StreamName::new("transfer-1")?);
    let any = ExpectedVersion::Any;

    let (mut one, mut other) = (pool.begin().await?, pool.begin().await?);
    store.within(&mut one).write(&account, &messages(0..1)?, any).await?;
    store.within(&mut other).write(&transfer, &messages(10..11)?, any).await?;
    let waits = tokio::spawn(second(store.clone(), one, transfer.clone(), 1));
    waiting(&mut raw(&database.url()).await?).await?;
    let closes = second(store.clone(), other, account.clone(), 11).await?;
    let outcomes = [waits.await??, closes];

    // Which of the two, the server decides.
    let lost: Vec<_> = outcomes.iter().filter_map(Option::as_ref).collect();
    let [lost] = lost[..] else { return Err(format!("not one lost: {outcomes:?}").into()) };
    assert!(lost.is_unavailable(), "{lost:?}");
    assert!(format!("{lost:?}").contains("deadlock detected"), "{lost:?}");
    assert!(lost.to_string().contains("roll this one back"), "{lost}");

    // Nothing of the loser is there; all of it is when it does the same once more.
    let version = async || store.stream_version(&account).await;
    assert_eq!(version().await?, Some(Position::START));
    let (ids, order) = match &outcomes {
        [Some(_), None] => (0, [&account, &transfer]),
        _ => (10, [&transfer, &account]),
    };
    let mut again = pool.begin().await?;
    for (stream, id) in order.into_iter().zip(ids..) {
        let written = store.within(&mut again).write(stream, &messages(id..id + 1)?, any).await?;
        assert!(!written.is_repetition());
    }
    again.commit().await?;
    assert_eq!(version().await?, Some(Position::new(1)?));
    assert_eq!(store.stream_version(&transfer).await?, Some(Position::new(1)?));
    Ok(())
}

/// The second write of a transaction, and its end: committed, or rolled back with the error.
async fn second(
    store: Postgres,
    mut transaction: PgTransaction<'static>,
    stream: StreamName,
    id: u128,
) -> Result<Option<Error>> {
    let any = ExpectedVersion::Any;
    match store.within(&mut transaction).write(&stream, &messages(id..id + 1)?, any).await {
        Ok(_) => {
            transaction.commit().await?;
            Ok(None)
        }
        Err(error) => {
            transaction.rollback().await?;
            Ok(Some(error))
        }
    }
}

/// Another client writes without the lock, and commits when the transaction waits for the position.
async fn raced(database: &TestDatabase, level: &str) -> Result<Result<Written, Error>> {
    let pool = pool(database).await?;
    let store = Postgres::from_pool(pool.clone()).await?;
    let stream = StreamName::new("account-1")?;
    let mut other = raw(&database.url()).await?;
    let mut transaction = pool.begin().await?;
    let begin = format!("SET TRANSACTION ISOLATION LEVEL {level}; SELECT 1");
    execute(&mut transaction, &begin).await?;
    let insert = "BEGIN; INSERT INTO messages (stream_name, position, type)
        VALUES ('account-1', 0, 'Opened')";
    execute(&mut other, insert).await?;
    let waits = tokio::spawn(async move {
        let (batch, any) = (messages(0..2)?, ExpectedVersion::Any);
        let written = store.within(&mut transaction).write(&stream, &batch, any).await;
        transaction.commit().await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(written)
    });
    waiting(&mut raw(&database.url()).await?).await?;
    execute(&mut other, "COMMIT").await?;
    waits.await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_was_taken_is_no_conflict_for_who_expects_nothing_and_sees_it() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let written = raced(&database, "READ COMMITTED").await??;
        assert_eq!(written.last(), Position::new(2)?);
    }
    // Whoever keeps an older snapshot can do nothing but begin again.
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let refused = raced(&database, "REPEATABLE READ").await?.unwrap_err();
        assert!(refused.is_unavailable(), "{refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_known_id_that_the_snapshot_does_not_show_asks_for_another_transaction() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let pool = pool(&database).await?;
        let store = Postgres::from_pool(pool.clone()).await?;
        let (stream, other) = (StreamName::new("account-1")?, StreamName::new("other-1")?);
        let mut transaction = pool.begin().await?;
        let begin =
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM messages";
        execute(&mut transaction, begin).await?;
        store.write(&other, &messages(0..1)?, ExpectedVersion::Any).await?;

        let within = store.within(&mut transaction);
        let refused = within.write(&stream, &messages(0..1)?, ExpectedVersion::Any).await;
        let refused = refused.unwrap_err();
        assert!(refused.is_unavailable() && refused.to_string().contains("make it again"));
        let late = within.write(&other, &messages(5..6)?, ExpectedVersion::NoStream).await;
        let conflict = late.unwrap_err();
        assert_eq!(conflict.conflict().and_then(Conflict::actual), Some(Position::START));
    }
    Ok(())
}

/// A store of ours beside a table of the application.
struct Beside {
    database: TestDatabase,
    pool: PgPool,
    store: Postgres,
}

impl Beside {
    async fn new() -> Result<Self> {
        let database = TestDatabase::new().await?;
        let create = "CREATE TABLE public.balances (amount int)";
        execute(&mut raw(&database.url()).await?, create).await?;
        let pool = pool(&database).await?;
        let store = Postgres::from_pool(pool.clone()).await?;
        Ok(Self { database, pool, store })
    }

    async fn rows(&self) -> Result<Vec<i32>> {
        let rows = "SELECT amount FROM public.balances ORDER BY amount";
        Ok(sqlx::query_scalar(rows).fetch_all(&mut raw(&self.database.url()).await?).await?)
    }
}

#[tokio::test]
async fn a_write_in_a_failed_transaction_leaves_it_failed() -> Result {
    let beside = Beside::new().await?;
    let (stream, any) = (StreamName::new("account-1")?, ExpectedVersion::Any);
    let mut transaction = beside.pool.begin().await?;
    execute(&mut transaction, "INSERT INTO public.balances VALUES (1)").await?;
    assert!(execute(&mut transaction, "SELECT 1 / 0").await.is_err());
    for id in 0..2 {
        let batch = messages(id..id + 1)?;
        assert!(beside.store.within(&mut transaction).write(&stream, &batch, any).await.is_err());
        let insert = "INSERT INTO public.balances VALUES (2)";
        assert!(execute(&mut transaction, insert).await.is_err());
    }
    transaction.rollback().await?;
    assert_eq!(beside.rows().await?, Vec::<i32>::new());
    assert_eq!(beside.store.stream_version(&stream).await?, None);
    Ok(())
}

/// Wherever it is dropped, the application's rows come together, or not at all.
#[tokio::test]
async fn a_dropped_write_does_not_end_the_transaction() -> Result {
    let beside = Beside::new().await?;
    for (polls, commits) in (1..12_u128).flat_map(|polls| [(polls, false), (polls, true)]) {
        let stream = StreamName::new(format!("account-{polls}"))?;
        let batch = messages(polls * 10..polls * 10 + 2)?;
        let mut transaction = beside.pool.begin().await?;
        execute(&mut transaction, "INSERT INTO public.balances VALUES (1)").await?;
        let within = beside.store.within(&mut transaction);
        poll_some(within.write(&stream, &batch, ExpectedVersion::Any), polls).await;
        drop(within);
        execute(&mut transaction, "INSERT INTO public.balances VALUES (2)").await?;
        if commits {
            transaction.commit().await?;
            assert_eq!(beside.rows().await?, [1, 2], "{polls}");
            execute(&mut raw(&beside.database.url()).await?, "TRUNCATE public.balances").await?;
        } else {
            transaction.rollback().await?;
            assert_eq!(beside.rows().await?, Vec::<i32>::new(), "{polls}");
            assert_eq!(beside.store.stream_version(&stream).await?, None, "{polls}");
        }
    }
    Ok(())
}
