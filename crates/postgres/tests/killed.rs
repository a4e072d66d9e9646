//! A server that is killed under load, all of its processes at once, and started again on its files:
//! what was acknowledged is there, and each error was an honest one.
//!
//! Single connections that break are in `faults.rs`. How a server is killed is in `crates/xtask`.

use std::time::{Duration, Instant};

use evenfold_postgres::Postgres;
use xtask::{Cluster, message_db};

use crate::common::figures;
use crate::common::load::Load;
use crate::common::{MESSAGE_DB, Result, execute, raw};

/// At least.
const KILLS: usize = 4;
/// Calls that are acknowledged between two kills, and before the first and after the last.
const BETWEEN: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_on_message_db_outlives_the_server() -> Result {
    let cluster = Cluster::durable("postgres-killed-message-db")?;
    message_db::install_newest(&cluster)?;
    let store = Postgres::connect(&cluster.url(MESSAGE_DB)).await?;
    assert!(!store.schema().is_ours());
    let load = Load::on(&store);
    kill_under_load("postgres-killed-message-db", cluster, load).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_on_our_schema_outlives_the_server() -> Result {
    let cluster = Cluster::durable("postgres-killed-ours")?;
    let store = Postgres::connect(&format!("{}&install=yes", cluster.url("postgres"))).await?;
    assert!(store.schema().is_ours());
    let load = Load::on(&store);
    kill_under_load("postgres-killed-ours", cluster, load).await
}

/// They go together in groups, and each hears of its own write alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_writers_who_wait_together_each_hear_the_truth_on_message_db() -> Result {
    let cluster = Cluster::durable("postgres-killed-crowd-message-db")?;
    message_db::install_newest(&cluster)?;
    let store = Postgres::connect(&cluster.url(MESSAGE_DB)).await?;
    let load = Load::of_one_category(64, &store);
    kill_under_load("postgres-killed-crowd-message-db", cluster, load).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_writers_who_wait_together_each_hear_the_truth_on_our_schema() -> Result {
    let cluster = Cluster::durable("postgres-killed-crowd-ours")?;
    let store = Postgres::connect(&format!("{}&install=yes", cluster.url("postgres"))).await?;
    let load = Load::of_one_category(64, &store);
    kill_under_load("postgres-killed-crowd-ours", cluster, load).await
}

async fn kill_under_load(name: &str, mut cluster: Cluster, mut load: Load) -> Result {
    let keeps = "DO $$ BEGIN
        ASSERT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') = 'on';
    END $$";
    execute(&mut raw(&cluster.url("postgres")).await?, keeps).await?;
    let end = Instant::now() + at_least()?;
    let mut kills = 0;
    loop {
        load.acknowledged(BETWEEN).await?;
        if kills >= KILLS && Instant::now() >= end {
            break;
        }
        load.server_is_up(false);
        tokio::task::block_in_place(|| cluster.kill().and_then(|()| cluster.start()))?;
        load.server_is_up(true);
        kills += 1;
    }
    let written = load.end().await?;
    assert!(written.lost >= kills, "the server was not killed under load");
    figures::tell(name, format!("{kills} kills; {}", written.figures))?;
    Ok(())
}

/// For how long the server is killed again and again: until it was so often, or for
/// `$EVENFOLD_SOAK_SECONDS`.
fn at_least() -> Result<Duration> {
    let seconds = std::env::var("EVENFOLD_SOAK_SECONDS").map_or(Ok(0), |told| told.parse())?;
    Ok(Duration::from_secs(seconds))
}
