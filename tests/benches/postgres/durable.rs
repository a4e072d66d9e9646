//! Writers of one category, on a server that waits for its disk at each commit.
//!
//! Each waits for its own position before it writes again. The ratio is that of messages in a second,
//! and so that of the mean wait: as many wait on both sides. What is gained is the waiting, and disks of
//! virtual machines take 0.1 ms in one minute and 4 ms in the next: `slow_disk.c` makes it 2 ms at least.

use std::process::Command;
use std::time::{Duration, Instant};

use evenfold::{Ids, Store, TimeOrderedIds};
use evenfold_tests::asked;
use evenfold_tests::{Deposited, Outcome};
use futures::future::try_join_all;
use sqlx::{Connection, PgConnection, Row as _};

use xtask::{Cluster, message_db};

use crate::bare::DATA;
use crate::harness::{Pace, Report, compare_at};

const SINGLE: &str = "durable append, 1 writer, Message DB: store.write / the call";

/// A name, how many writers, the database, and how many times as fast it is to be.
const GROUPS: [(&str, u32, &str, f64); 4] = [
    ("durable append, 16 writers, ours: grouped / Message DB, each alone", 16, "ours", 10.0),
    ("durable append, 64 writers, ours: grouped / Message DB, each alone", 64, "ours", 20.0),
    ("durable append, 16 writers, Message DB: grouped / each alone", 16, "message_db", 10.0),
    ("durable append, 64 writers, Message DB: grouped / each alone", 64, "message_db", 20.0),
];

pub(super) async fn all(report: &mut Report) -> Outcome {
    let groups = || GROUPS.into_iter().filter(|(name, ..)| asked::for_this(name));
    if groups().next().is_none() && !asked::for_this(SINGLE) {
        return Ok(());
    }
    report.part("Postgres that waits for its disk: one category", "durable");
    let cluster = slow_cluster().map_err(|error| error.to_string())?;
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await?;
    sqlx::query("CREATE DATABASE ours").execute(&mut admin).await?;
    let version: String =
        sqlx::query("SHOW server_version").fetch_one(&mut admin).await?.try_get(0)?;
    let commit = Writers::connect(&cluster, 1).await?.time(50).await?.as_secs_f64() * 1e3;
    report.note(format!(
        "PostgreSQL {version}; where it waits for its disk, that takes 2 ms at least, and a call of \
         `write_message` {commit:.1} ms"
    ))?;

    if asked::for_this(SINGLE) {
        let store = open(&cluster, "message_db").await?;
        let mut theirs = Writers::connect(&cluster, 1).await?;
        let ours = async || write(&store, 1, 40).await;
        let theirs = async || theirs.time(40).await;
        report.add(compare_at(Pace::Slow, SINGLE, Some(0.9), ours, theirs).await?)?;
    }
    for (name, writers, database, goal) in groups() {
        let store = open(&cluster, database).await?;
        let mut theirs = Writers::connect(&cluster, writers).await?;
        let ours = async || write(&store, writers, 640 / writers).await;
        // About as long a turn, for a tenth and less.
        let theirs = async || theirs.time((96 / writers).max(1)).await;
        report.add(compare_at(Pace::Slow, name, Some(goal), ours, theirs).await?)?;
    }
    Ok(())
}

/// A server with Message DB in it, whose disk is slow.
fn slow_cluster() -> xtask::Result<Cluster> {
    let folder = tempfile::tempdir()?;
    let library = folder.path().join("slow_disk.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/postgres/slow_disk.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    if !compile.status().map_err(|error| format!("cc: {error}"))?.success() {
        return Err(format!("`cc` does not compile {source}").into());
    }
    let cluster = Cluster::preloaded("bench-durable", &library)?;
    message_db::install_newest(&cluster)?;
    Ok(cluster)
}

async fn open(cluster: &Cluster, database: &str) -> Outcome<Store> {
    let install = if database == "ours" { "&install=yes" } else { "" };
    Ok(evenfold::connect(&format!("{}{install}", cluster.url(database))).await?)
}

/// How long a message took, with so many writers that each write so often.
async fn write(store: &Store, writers: u32, times: u32) -> Outcome<Duration> {
    let begin = Instant::now();
    let each = async |writer| {
        for _ in 0..times {
            store.write(format!("account-{writer}").as_str(), Deposited::of(5)).await?;
        }
        Ok::<_, evenfold::Error>(())
    };
    try_join_all((0..writers).map(each)).await?;
    Ok(begin.elapsed() / (writers * times))
}

/// Those who call `write_message`, each on a connection of its own.
struct Writers(Vec<PgConnection>);

const CALL: &str = "SELECT message_store.write_message(
    $1::uuid::varchar, $2::varchar, 'Deposited', $3::text::jsonb
)";

impl Writers {
    async fn connect(cluster: &Cluster, writers: u32) -> Outcome<Self> {
        let url = cluster.url(message_db::DATABASE);
        let connect = async |_| {
            let mut connection = PgConnection::connect(&url).await?;
            sqlx::query("SET search_path = message_store, public").execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        Ok(Self(try_join_all((0..writers).map(connect)).await?))
    }

    async fn time(&mut self, times: u32) -> Outcome<Duration> {
        let writers = u32::try_from(self.0.len())?;
        let begin = Instant::now();
        let each = |(connection, writer)| call(connection, format!("account-{writer}"), times);
        try_join_all(self.0.iter_mut().zip(0..writers).map(each)).await?;
        Ok(begin.elapsed() / (writers * times))
    }
}

async fn call(connection: &mut PgConnection, stream: String, times: u32) -> sqlx::Result<()> {
    for _ in 0..times {
        let id = TimeOrderedIds.next();
        sqlx::query(CALL).bind(id).bind(&stream).bind(DATA).execute(&mut *connection).await?;
    }
    Ok(())
}
