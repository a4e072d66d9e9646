//! How the connections of a store go from one call to the next.
//!
//! What becomes of them when a call is dropped or the server restarts is in `faults.rs` and `killed.rs`.

use evenfold_core::store::{BatchSize, ReadStore, WriteStore};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use futures::future::try_join_all;

use crate::common::{Result, messages, raw};

async fn connections(database: &TestDatabase) -> Result<i64> {
    let count = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'evenfold'";
    Ok(sqlx::query_scalar(count).fetch_one(&mut raw(&database.url()).await?).await?)
}

#[tokio::test]
async fn one_call_after_another_uses_one_connection() -> Result {
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&database.url()).await?;
    let stream = StreamName::new("account-1")?;
    for message in messages(0..50)? {
        store.write(&stream, &[message], ExpectedVersion::Any).await?;
        store.read_stream(&stream, Position::START, BatchSize::new(10)?).await?;
    }
    assert_eq!(connections(&database).await?, 1);
    store.close().await;
    assert!(store.stream_version(&stream).await.is_err(), "it is closed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_callers_than_connections_all_have_their_turn() -> Result {
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&format!("{}&connections=2", database.url())).await?;
    let stream = StreamName::new("account-1")?;
    let caller = async |number: u128| -> Result<(), Error> {
        for message in messages(number * 100..number * 100 + 50).unwrap_or_default() {
            store.write(&stream, &[message], ExpectedVersion::Any).await?;
            store.read_stream(&stream, Position::START, BatchSize::new(10)?).await?;
        }
        Ok(())
    };
    try_join_all((1..=20).map(caller)).await?;
    assert_eq!(store.stream_version(&stream).await?, Some(Position::new(999)?));
    assert_eq!(connections(&database).await?, 2);
    Ok(())
}

#[test]
fn a_store_may_outlive_its_runtime() -> Result {
    let runtime = tokio::runtime::Runtime::new()?;
    let database = runtime.block_on(TestDatabase::new())?;
    let store = runtime.block_on(Postgres::connect(&database.url()))?;
    runtime.block_on(store.stream_version(&StreamName::new("account-1")?))?;
    drop(runtime);
    drop(store);
    Ok(())
}
