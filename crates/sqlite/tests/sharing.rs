//! Several at once: tasks, stores and processes on one file, and futures dropped in between.
//!
//! Other stores prove the same laws in `conformance.rs`; here stands what is particular to a file.

mod common;

use std::env;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use evenfold_core::message::NewMessage;
use evenfold_core::store::{
    BatchSize, CategoryQuery, ReadStore, WriteStore, Written, category_messages,
};
use evenfold_core::{Error, ExpectedVersion, GlobalPosition, Position, StreamName};
use evenfold_sqlite::Sqlite;
use futures::future::{BoxFuture, try_join_all};
use futures::{FutureExt, TryStreamExt, poll};
use sqlx::Connection;
use tokio::task::JoinSet;

use common::{Result, messages, raw, url};

/// Every message of the category, as their streams and positions in global order.
async fn all(store: &Sqlite, category: &str) -> Result<Vec<(String, i64)>> {
    let query = CategoryQuery::new(category.parse()?);
    let all = category_messages(store, query, GlobalPosition::START, BatchSize::new(100)?);
    Ok(all
        .map_ok(|message| (message.stream_name.to_string(), message.position.get()))
        .try_collect()
        .await?)
}

/// Writes messages with these ids, one by one.
async fn append(store: Sqlite, stream: StreamName, ids: Range<u128>) -> Result {
    for id in ids {
        store.write(&stream, &messages(id..id + 1)?, ExpectedVersion::Any).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_through_two_stores_leave_no_gap_and_meet_no_error() -> Result {
    let folder = tempfile::tempdir()?;
    let file = url(&folder.path().join("bank.db"));
    let stores = try_join_all([Sqlite::connect(&file), Sqlite::connect(&file)]).await?;
    let mut tasks = JoinSet::new();
    for (task, store) in (0_u128..8).zip(stores.iter().cycle().cloned()) {
        // Half of them append to one stream, the others each to its own.
        let stream = StreamName::new(format!("account-{}", if task < 4 { 0 } else { task }))?;
        tasks.spawn(append(store, stream, task * 1000..task * 1000 + 100));
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let written = all(&stores[1], "account").await?;
    assert_eq!(written.len(), 800);
    for (stream, count) in [("account-0", 400), ("account-4", 100), ("account-7", 100)] {
        let positions = written.iter().filter(|(name, _)| name == stream).map(|(_, at)| *at);
        assert!(positions.eq(0..count), "{stream}");
    }
    Ok(())
}

async fn begin(
    store: Sqlite,
    stream: StreamName,
    batch: Vec<NewMessage>,
) -> std::result::Result<Written, Error> {
    store.write(&stream, &batch, ExpectedVersion::NoStream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writers_who_expect_the_same_version_one_succeeds() -> Result {
    let folder = tempfile::tempdir()?;
    let file = url(&folder.path().join("bank.db"));
    let stores = try_join_all([Sqlite::connect(&file), Sqlite::connect(&file)]).await?;
    for round in 0_u32..50 {
        let stream = StreamName::new(format!("account-{round}"))?;
        let mut tasks = JoinSet::new();
        for (task, store) in (0_u32..8).zip(stores.iter().cycle().cloned()) {
            let first = u128::from(round * 100 + task * 10);
            // Single messages and batches take different statements.
            let batch = messages(first..first + 1 + u128::from(task % 3))?;
            tasks.spawn(begin(store, stream.clone(), batch));
        }
        let (written, refused): (Vec<_>, Vec<_>) =
            tasks.join_all().await.into_iter().partition(std::result::Result::is_ok);
        assert_eq!(written.len(), 1);
        assert!(refused.iter().filter_map(|answer| answer.as_ref().err()).all(Error::is_conflict));
    }
    Ok(())
}

/// Set for a process that this test starts from its own binary.
const CHILD: &str = "EVENFOLD_SQLITE_CHILD";

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_make_and_fill_a_file_at_the_same_moment_all_succeed() -> Result {
    if let Ok(child) = env::var(CHILD) {
        let (number, file) = child.split_once(' ').unwrap();
        return write_as_a_process(number.parse()?, Path::new(file)).await;
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    let own_name = "processes_that_make_and_fill_a_file_at_the_same_moment_all_succeed";
    let children = (0..4).map(|number| {
        Command::new(env::current_exe()?)
            .args([own_name, "--exact", "--nocapture"])
            .stdout(Stdio::null())
            .env(CHILD, format!("{number} {}", file.display()))
            .spawn()
    });
    for mut child in children.collect::<std::io::Result<Vec<_>>>()? {
        assert!(child.wait()?.success());
    }
    let store = Sqlite::connect(&url(&file)).await?;
    let positions = all(&store, "account").await?.into_iter().map(|(_, position)| position);
    assert!(positions.eq(0..4 * 50));
    Ok(())
}

async fn write_as_a_process(number: u128, file: &Path) -> Result {
    let store = Sqlite::connect(&url(file)).await?;
    let ids = number * 1000..number * 1000 + 50;
    append(store.clone(), StreamName::new("account-1")?, ids).await?;
    store.close().await;
    Ok(())
}

/// Drops a future at another point each time: some never began, some are done.
async fn poll_some<T>(mut future: BoxFuture<'_, T>, times: u128) {
    for _ in 0..times {
        if poll!(&mut future).is_ready() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// The messages of a round: few, several, or more than fit into the driver's buffer.
fn batch_of(round: u128) -> Result<Vec<NewMessage>> {
    let count = match round % 3 {
        0 => 1,
        1 => 7,
        _ => 70,
    };
    messages(round * 100..round * 100 + count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_write_lands_whole_or_not_at_all_and_leaves_the_store_healthy() -> Result {
    let folder = tempfile::tempdir()?;
    let store = Sqlite::connect(&url(&folder.path().join("bank.db"))).await?;
    let stream = StreamName::new("account-1")?;
    for round in 0_u128..200 {
        let batch = batch_of(round)?;
        poll_some(store.write(&stream, &batch, ExpectedVersion::Any), round % 7).await;
    }
    // One connection writes, in the order asked for, so what was under way is done before this.
    store.write(&stream, &messages(1_000_000..1_000_001)?, ExpectedVersion::Any).await?;

    let written = store.read_stream(&stream, Position::START, BatchSize::new(100_000)?).await?;
    assert!(written.iter().zip(0..).all(|(message, position)| message.position.get() == position));
    for round in 0_u128..200 {
        let count = batch_of(round)?.len();
        let of_round = written.iter().filter(|m| m.id.as_u128() / 100 == round).count();
        assert!(of_round == 0 || of_round == count, "{of_round} of {count} in round {round}");
    }
    // A caller who lost the answer asks again with the same ids, and then all of it is there.
    for round in 0_u128..200 {
        let batch = batch_of(round)?;
        store.write(&stream, &batch, ExpectedVersion::Any).await?;
    }
    let total = all(&store, "account").await?.len();
    assert_eq!(total, 67 + 67 * 7 + 66 * 70 + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_reads_leave_the_store_healthy() -> Result {
    let folder = tempfile::tempdir()?;
    let store = Sqlite::connect(&url(&folder.path().join("bank.db"))).await?;
    let stream = StreamName::new("account-1")?;
    store.write(&stream, &messages(0..1000)?, ExpectedVersion::NoStream).await?;
    for _ in 0..100 {
        drop(store.read_stream(&stream, Position::START, BatchSize::DEFAULT).now_or_never());
    }
    assert_eq!(all(&store, "account").await?.len(), 1000);
    Ok(())
}

#[tokio::test]
async fn a_write_that_does_not_get_its_turn_is_unavailable_and_a_read_needs_none() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    let store = Sqlite::connect(&url(&file)).await?;
    let stream = StreamName::new("account-1")?;

    let mut other = raw(&file).await?;
    let transaction = other.begin_with("BEGIN IMMEDIATE").await?;
    let message = messages(0..1)?;
    let late = store.write(&stream, &message, ExpectedVersion::Any);
    let (late, version) = futures::join!(late, store.stream_version(&stream));
    let late = late.unwrap_err();
    assert!(late.is_unavailable(), "{late:?}");
    assert_eq!(
        late.to_string(),
        "the store is not available: writing a message to `account-1`: another connection had the file \
         for 5 seconds, of another process or of another store in this one; if that is in the \
         transaction of a handler that waits for this, write in the transaction, by `.through(context)`"
    );
    assert_eq!(version?, None);

    transaction.rollback().await?;
    store.write(&stream, &message, ExpectedVersion::NoStream).await?;
    Ok(())
}
