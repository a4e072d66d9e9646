//! Two databases of one server, Message DB beside ours, and what a backend of it cost.
//!
//! Owns on which core the server runs and how its processor time is read, which Linux
//! alone tells.

use std::fs;
use std::time::Duration;

use evenfold::Store;
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::Outcome;
use evenfold_tests::asked::say;
use sqlx::{Connection, PgConnection};

use crate::harness::moved;

/// A database with Message DB as its own scripts made it, and one with our schema.
pub(crate) struct Both {
    pub(crate) genuine: Database,
    pub(crate) ours: Database,
}

/// Where the server runs from now on.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    /// With us, for what is a round trip, which between two cores takes five times as long.
    Ours,
    /// Beside us, as it does everywhere, for what it sends while we are at work.
    Another,
}

impl Core {
    /// Pins the main process of the server behind this URL, and so all connections that are made later.
    pub(crate) async fn take_server(self, url: &str) -> Outcome {
        let main = status_of(&Backend::at(url).await?.pid.to_string(), "PPid:")?;
        let ours = status_of("self", "Cpus_allowed_list:")?;
        let core = match self {
            Self::Another if ours != "0" => "0",
            Self::Another => {
                say("the server shares our core where it should have another: there is one alone")?;
                &ours
            }
            Self::Ours => &ours,
        };
        if !moved(&main, core) {
            say("the server is not pinned to a core: `taskset` is missing or may not")?;
        }
        Ok(())
    }
}

impl Both {
    pub(crate) async fn prepare(core: Core) -> Outcome<Self> {
        let genuine = Database(TestDatabase::from_template("message_db").await?);
        core.take_server(&genuine.url()).await?;
        let both = Self { genuine, ours: Database(TestDatabase::new().await?) };
        for database in [&both.genuine, &both.ours] {
            let mut backend = database.backend().await?;
            // It would run beside the one and not beside the other.
            let sql = "ALTER TABLE message_store.messages SET (autovacuum_enabled = false)";
            sqlx::query(sql).execute(&mut backend.connection).await?;
        }
        Ok(both)
    }
}

/// Gone with this handle.
pub(crate) struct Database(TestDatabase);

impl Database {
    /// One with our schema and nothing in it.
    pub(crate) async fn new(core: Core) -> Outcome<Self> {
        let made = Self(TestDatabase::new().await?);
        core.take_server(&made.url()).await?;
        Ok(made)
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// A store as an application opens it.
    pub(crate) async fn store(&self) -> Outcome<Store> {
        Ok(evenfold::connect(&self.url()).await?)
    }

    pub(crate) async fn backend(&self) -> Outcome<Backend> {
        Backend::at(&self.url()).await
    }
}

/// A connection, and the process of the server that answers it.
pub(crate) struct Backend {
    pub(crate) connection: PgConnection,
    pid: i32,
}

impl Backend {
    /// A connection as Message DB needs it.
    async fn at(url: &str) -> Outcome<Self> {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query("SET search_path = message_store, public").execute(&mut connection).await?;
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        Ok(Self { connection, pid })
    }

    /// How long the process has been on a processor until now.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let file = format!("/proc/{}/schedstat", self.pid);
        let stat = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let nanos = stat.split(' ').next().unwrap_or_default().parse()?;
        Ok(Duration::from_nanos(nanos))
    }
}

/// A line of what the kernel tells about a process.
fn status_of(process: &str, line: &str) -> Outcome<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|found| found.strip_prefix(line));
    Ok(value.ok_or("not a line of the status")?.trim().to_owned())
}
