//! Messages in the application's own transaction: with its own tables or not at all.
//!
//! The laws of a store are in `conformance.rs`; they hold here too, and what is particular stands here.

mod common;

use evenfold_core::store::{BatchSize, ReadStore, WriteStore};
use evenfold_core::{ExpectedVersion, Position, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgPool, PgTransaction};

use common::{MESSAGE_DB, Result, execute, message, messages, raw};

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
