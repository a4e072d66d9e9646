//! A server that is killed under load, all of its processes at once, and started again on its files:
//! what was acknowledged is there, and each error was an honest one.
//!
//! Single connections that break are in `faults.rs`. How a server is killed is in `crates/xtask`.

use std::time::{Duration, Instant};

use evenfold_postgres::{Install, Options};
use xtask::{Cluster, message_db};

use crate::common::figures;
use crate::common::load::Load;
use crate::common::{MESSAGE_DB, Result, execute, in_groups_and_alone, named, raw};

in_groups_and_alone!(
    what_was_acknowledged_on_message_db_outlives_the_server,
    what_was_acknowledged_on_our_schema_outlives_the_server,
    sixty_four_writers_each_hear_the_truth_on_message_db,
    sixty_four_writers_each_hear_the_truth_on_our_schema,
);

/// At least.
const KILLS: usize = 4;
/// Calls that are acknowledged between two kills, and before the first and after the last.
const BETWEEN: u32 = 100;

async fn what_was_acknowledged_on_message_db_outlives_the_server(options: Options) -> Result {
    let name = named("postgres-killed-message-db", options);
    let cluster = Cluster::durable(&name)?;
    message_db::install_newest(&cluster)?;
    let store = options.connect(&cluster.url(MESSAGE_DB)).await?;
    assert!(!store.schema().is_ours());
    let load = Load::on(&store);
    kill_under_load(&name, cluster, load).await
}

async fn what_was_acknowledged_on_our_schema_outlives_the_server(options: Options) -> Result {
    let name = named("postgres-killed-ours", options);
    let cluster = Cluster::durable(&name)?;
    let store = options.install(Install::Missing).connect(&cluster.url("postgres")).await?;
    assert!(store.schema().is_ours());
    let load = Load::on(&store);
    kill_under_load(&name, cluster, load).await
}

/// In groups, each hears of its own write alone.
async fn sixty_four_writers_each_hear_the_truth_on_message_db(options: Options) -> Result {
    let name = named("postgres-killed-crowd-message-db", options);
    let cluster = Cluster::durable(&name)?;
    message_db::install_newest(&cluster)?;
    let store = options.connect(&cluster.url(MESSAGE_DB)).await?;
    let load = Load::of_one_category(64, &store);
    kill_under_load(&name, cluster, load).await
}

async fn sixty_four_writers_each_hear_the_truth_on_our_schema(options: Options) -> Result {
    let name = named("postgres-killed-crowd-ours", options);
    let cluster = Cluster::durable(&name)?;
    let store = options.install(Install::Missing).connect(&cluster.url("postgres")).await?;
    let load = Load::of_one_category(64, &store);
    kill_under_load(&name, cluster, load).await
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
