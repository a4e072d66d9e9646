//! Servers that only read: a standby is refused when a store is opened, and a store that comes to one
//! later says so, loses nothing, and goes on where it may write.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use evenfold_core::message::NewMessage;
use evenfold_core::store::{
    BatchSize, Categories, Merged, MergedStore, ReadStore, WriteStore, Written,
};
use evenfold_core::{ExpectedVersion, GlobalPosition, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Fault, Postgres};
use tempfile::TempDir;
use tokio::task::block_in_place;
use xtask::{Cluster, message_db};

use crate::common::{MESSAGE_DB, Result, execute, messages, raw};

/// The place that a store is told, which leads to a server and later to another, as a name does whose
/// address is changed after a failover.
struct Place(TempDir);

impl Place {
    fn leading_to(cluster: &Cluster) -> Result<Self> {
        let place = Self(TempDir::new()?);
        place.lead_to(cluster)?;
        Ok(place)
    }

    fn lead_to(&self, cluster: &Cluster) -> Result {
        const SOCKET: &str = ".s.PGSQL.5432";
        let next: PathBuf = self.0.path().join("next");
        symlink(cluster.folder().join(SOCKET), &next)?;
        std::fs::rename(next, self.0.path().join(SOCKET))?;
        Ok(())
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.0.path().display())
    }
}

/// Ends the connections of stores, and so they come again.
async fn hang_up(url: &str) -> Result {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'evenfold' AND datname = current_database()";
    execute(&mut raw(url).await?, sql).await
}

/// Makes the call again while its outcome is unknown, and tells what it heard until then. It ends
/// with what was written, or with an error in which this is said.
async fn write_until(
    said: Option<&str>,
    store: &Postgres,
    stream: &StreamName,
    messages: &[NewMessage],
) -> Result<Option<Written>> {
    loop {
        match store.write(stream, messages, ExpectedVersion::Any).await {
            Ok(written) => return Ok(Some(written)),
            Err(error) if !error.is_unavailable() => return Err(error.into()),
            Err(error) if said.is_some_and(|said| error.to_string().contains(said)) => {
                return Ok(None);
            }
            // The connection that was ended.
            Err(_) => {}
        }
    }
}

/// Reads until so many messages are there: what a primary acknowledged comes to its standby, if not
/// at once.
async fn read_until(count: u32, store: &Postgres, stream: &StreamName) -> Result {
    let limit = BatchSize::new(count.into())?;
    while store.read_stream(stream, Position::START, limit).await?.len() < limit.as_len() {}
    Ok(())
}

async fn read_all(store: &Postgres) -> Result<Merged, evenfold_core::Error> {
    store.read_merged(&Categories::all(), GlobalPosition::START, BatchSize::DEFAULT).await
}

const ONLY_READS: &str =
    "this transaction only reads, as each does on a standby; connect to the primary";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_led_to_a_standby_reads_there_and_goes_on_writing_at_the_primary() -> Result {
    let mut primary = block_in_place(|| Cluster::durable("postgres-primary"))?;
    message_db::install_newest(&primary)?;
    let ours = "postgres";
    Postgres::connect(&format!("{}&install=yes", primary.url(ours))).await?.close().await;
    let standby = block_in_place(|| primary.standby("postgres-standby"))?;
    let stream = StreamName::new("account-1")?;
    for database in [MESSAGE_DB, ours] {
        let refused = Postgres::connect(&standby.url(database)).await.unwrap_err();
        let fault = Fault::Standby { database: database.into() };
        assert_eq!(Fault::of(&refused), Some(&fault), "{refused:?}");
        let said =
            format!("database `{database}` is a standby, which only reads; name the primary");
        assert!(fault.to_string().contains(&said), "{fault}");

        let place = Place::leading_to(&primary)?;
        let store = Postgres::options().connections(1)?.connect(&place.url(database)).await?;
        store.write(&stream, &messages(0..2)?, ExpectedVersion::NoStream).await?;
        assert_eq!(read_all(&store).await?.messages.len(), 2);
        for batch in [messages(2..3)?, messages(3..6)?] {
            place.lead_to(&standby)?;
            hang_up(&primary.url(database)).await?;
            let written = write_until(Some(ONLY_READS), &store, &stream, &batch).await?;
            assert_eq!(written, None, "a standby has written");
            read_until(2, &store, &stream).await?;
            // Who writes is not known there.
            let refused = read_all(&store).await.unwrap_err();
            assert_eq!(Fault::of(&refused), Some(&fault), "{refused:?}");

            place.lead_to(&primary)?;
            hang_up(&standby.url(database)).await?;
            let written = write_until(None, &store, &stream, &batch).await?;
            assert_eq!(written.map(|it| it.is_repetition()), Some(false), "a standby has written");
        }
        assert_eq!(store.stream_version(&stream).await?, Some(Position::new(5)?));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_database_comes_to_be_read_only_says_so_and_loses_nothing() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let store = Postgres::options().connections(1)?.connect(&database.url()).await?;
        let mut owner = raw(&database.url()).await?;
        let name: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut owner).await?;
        let stream = StreamName::new("account-1")?;
        let (one, three) = (messages(0..1)?, messages(1..4)?);
        for (batch, only_reads) in [(&one, "on"), (&one, "off"), (&three, "on"), (&three, "off")] {
            let set = format!(
                "SET default_transaction_read_only = off;
                 ALTER DATABASE {name} SET default_transaction_read_only = {only_reads}"
            );
            execute(&mut owner, &set).await?;
            hang_up(&database.url()).await?;
            let written = write_until(Some(ONLY_READS), &store, &stream, batch).await?;
            let expected = (only_reads == "off").then_some(false);
            assert_eq!(written.map(|it| it.is_repetition()), expected);
        }
        assert_eq!(store.stream_version(&stream).await?, Some(Position::new(3)?));
    }
    Ok(())
}
