//! A primary that is killed under load while two standbys follow it, of which one is promoted: a store
//! that was told all three goes over, and nothing that was acknowledged is lost, twice or out of order.
//!
//! `$EVENFOLD_FAILOVER_CALLS` are acknowledged before the kill and after it, 300 unless told. A server
//! that comes back on its own files is in `killed.rs`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use evenfold_core::store::{BatchSize, ReadStore, WriteStore};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_postgres::{Facts, Postgres, Role};
use sqlx::PgConnection;
use tokio::task::{JoinSet, block_in_place};
use xtask::{Cluster, message_db};

use crate::common::load::{CATEGORIES, Load, Written};
use crate::common::{MESSAGE_DB, Result, execute, figures, messages, raw};
use crate::counting::Reader;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_on_our_schema_loses_nothing_that_was_acknowledged() -> Result {
    let name = "postgres-failover-ours";
    let primary = block_in_place(|| Cluster::durable(name))?;
    Postgres::connect(&format!("{}&install=yes", primary.url("postgres"))).await?.close().await;
    fail_over_under_load(name, primary, "postgres").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_on_message_db_loses_nothing_that_was_acknowledged() -> Result {
    let name = "postgres-failover-message-db";
    let primary = block_in_place(|| Cluster::durable(name))?;
    message_db::install_newest(&primary)?;
    fail_over_under_load(name, primary, MESSAGE_DB).await
}

async fn fail_over_under_load(name: &str, mut primary: Cluster, database: &str) -> Result {
    let names = [format!("{name}-1"), format!("{name}-2")];
    let first = block_in_place(|| primary.standby(&names[0]))?;
    let second = block_in_place(|| primary.standby(&names[1]))?;
    let url = urls(database, [&first, &primary, &second]);
    let mut owner = raw(&primary.url("postgres")).await?;
    acknowledge_with(&mut owner, &[&names[0], &names[1]]).await?;
    let both = "SELECT count(*) = 2 FROM pg_stat_replication WHERE sync_state = 'quorum'";
    until(&mut owner, both).await?;

    let store = Postgres::connect(&url).await?;
    let calls = std::env::var("EVENFOLD_FAILOVER_CALLS");
    let calls = calls.map_or(Ok(300), |calls| calls.parse())?;
    let mut load = Load::on(&store);
    let (mut readers, done) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    for category in CATEGORIES {
        let reader = Reader::of(category.parse()?);
        readers.spawn(follow(reader, Postgres::connect(&url).await?, Arc::clone(&done)));
    }
    load.acknowledged(calls).await?;
    block_in_place(|| primary.kill())?;
    let killed = Instant::now();
    let behind = received(&first).await? < received(&second).await?;
    let (next, other, of_other) =
        if behind { (second, first, &names[0]) } else { (first, second, &names[1]) };
    promote(&next, &other, of_other).await?;
    let promoted = killed.elapsed();
    load.acknowledged(calls).await?;
    let written = load.end().await?;
    done.store(true, Ordering::SeqCst);
    let polls = nothing_was_missed(readers, &written).await?;

    let figures = format!(
        "{}; promoted {:.2} s after the kill, longest time without an answer {:.2} s; followed by {} \
         readers, {polls} polls, nothing missed",
        written.figures,
        promoted.as_secs_f64(),
        written.longest_gap.as_secs_f64(),
        CATEGORIES.len(),
    );
    figures::tell(name, figures)?;
    assert!(written.lost > 0, "the primary was not killed under load");
    block_in_place(|| primary.follow(&next))?;
    an_old_primary_takes_no_writes(&store, &url, &next).await
}

/// A URL of several hosts.
pub(crate) fn urls<const N: usize>(database: &str, clusters: [&Cluster; N]) -> String {
    let folders = clusters.map(|cluster| cluster.folder().display().to_string());
    format!("postgres://postgres@localhost/{database}?host={}", folders.join(","))
}

/// By itself, for it is not allowed in a transaction, as two statements at once are.
pub(crate) async fn set(owner: &mut PgConnection, setting: &str) -> Result {
    execute(owner, &format!("ALTER SYSTEM SET {setting}")).await?;
    execute(owner, "SELECT pg_reload_conf()").await
}

/// From now on a commit is acknowledged when one of these has it too.
async fn acknowledge_with(owner: &mut PgConnection, standbys: &[&str]) -> Result {
    let names: Vec<_> = standbys.iter().map(|name| format!("\"{name}\"")).collect();
    set(owner, &format!("synchronous_standby_names = 'ANY 1 ({})'", names.join(", "))).await
}

/// Asks until it is so.
pub(crate) async fn until(owner: &mut PgConnection, is_so: &'static str) -> Result {
    while !sqlx::query_scalar::<_, bool>(is_so).fetch_one(&mut *owner).await? {}
    Ok(())
}

/// How much of the primary's log a standby has.
async fn received(standby: &Cluster) -> Result<i64> {
    let mut owner = raw(&standby.url("postgres")).await?;
    until(&mut owner, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await?;
    let received = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::bigint";
    Ok(sqlx::query_scalar(received).fetch_one(&mut owner).await?)
}

/// As the operator does, or a program of theirs: the other standby follows the one that is promoted, and
/// that acknowledges what both have.
async fn promote(next: &Cluster, other: &Cluster, of_other: &str) -> Result {
    let place = next.folder().display();
    let mut owner = raw(&other.url("postgres")).await?;
    set(&mut owner, &format!("primary_conninfo = 'host={place} user=postgres'")).await?;
    let mut owner = raw(&next.url("postgres")).await?;
    acknowledge_with(&mut owner, &[of_other]).await?;
    execute(&mut owner, "SELECT pg_promote()").await
}

/// Follows a category as a subscriber does, which waits while there is no store.
async fn follow(mut reader: Reader, store: Postgres, done: Arc<AtomicBool>) -> Result<Reader> {
    loop {
        let last = done.load(Ordering::SeqCst);
        match reader.poll(&store).await {
            Ok(0) if last => return Ok(reader),
            Ok(_) => {}
            Err(error) if error.downcast_ref().is_some_and(Error::is_unavailable) => {}
            Err(error) => return Err(error),
        }
        tokio::task::yield_now().await;
    }
}

async fn nothing_was_missed(readers: JoinSet<Result<Reader>>, written: &Written) -> Result<u64> {
    let (mut seen, mut polls) = (0, 0);
    for reader in readers.join_all().await {
        let reader = reader?;
        assert!(reader.faults.is_empty(), "{:#?}", reader.faults);
        assert!(reader.seen.iter().all(|id| written.found.contains_key(id)), "seen, and gone");
        seen += reader.seen.len();
        polls += reader.polls;
    }
    assert_eq!(seen, written.found.len(), "a reader missed what was written");
    Ok(polls)
}

/// It came back as a standby, and its part of the URL leads to nothing that a store writes to.
async fn an_old_primary_takes_no_writes(store: &Postgres, url: &str, next: &Cluster) -> Result {
    let hang_up = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'evenfold'";
    execute(&mut raw(&next.url("postgres")).await?, hang_up).await?;
    let stream = StreamName::new("last-1")?;
    let batch = messages(u128::MAX - 2..u128::MAX)?;
    while let Err(error) = store.write(&stream, &batch, ExpectedVersion::NoStream).await {
        assert!(error.is_unavailable(), "{error:?}");
    }
    for store in [store.clone(), Postgres::connect(url).await?] {
        let Facts { host, role, hosts, .. } = store.facts().await?;
        assert_eq!(
            (host.rsplit_once(':').map(|host| Path::new(host.0)), role),
            (Some(next.folder()), Role::Primary)
        );
        let standbys = hosts.iter().filter(|asked| asked.role == Ok(Role::Standby)).count();
        assert_eq!((hosts.len(), standbys), (3, 2), "{hosts:?}");
        let page = store.read_stream(&stream, Position::START, BatchSize::new(10)?).await?;
        assert_eq!(page.len(), batch.len());
    }
    Ok(())
}
