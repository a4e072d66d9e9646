//! Servers that only read: a standby is refused when a store is opened, and a store that comes to one
//! later says so, loses nothing, and goes on where it may write. A store for reading is opened on one.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use evenfold_core::message::NewMessage;
use evenfold_core::store::{
    Ability, Announcement, BatchSize, Categories, LeaseGroup, LeaseStore, Member, Merged,
    MergedStore, MessageStore, ReadStore, WriteStore, Written,
};
use evenfold_core::{ExpectedVersion, GlobalPosition, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Fault, Install, Postgres, Role, Target};
use futures::StreamExt;
use sqlx::PgConnection;
use tempfile::TempDir;
use tokio::task::block_in_place;
use xtask::{Cluster, message_db};

use crate::common::{MESSAGE_DB, Result, execute, messages, raw};
use crate::failover::{set, until, urls};
use crate::notify::{hearing, until as until_heard};

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

/// Whether a store is on the host of this cluster, and what that is.
async fn at(store: &Postgres, cluster: &Cluster) -> Result<(bool, Role)> {
    let facts = store.facts().await?;
    Ok((facts.host.starts_with(&cluster.folder().display().to_string()), facts.role))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_for_reading_is_on_a_standby_and_writes_nothing() -> Result {
    let mut primary = block_in_place(|| Cluster::durable("postgres-readers-primary"))?;
    message_db::install_newest(&primary)?;
    let ours = "postgres";
    Postgres::connect(&format!("{}&install=yes", primary.url(ours))).await?.close().await;
    let standby = block_in_place(|| primary.standby("postgres-readers-standby"))?;
    let stream = StreamName::new("account-1")?;
    for database in [MESSAGE_DB, ours] {
        let url = urls(database, [&primary, &standby]);
        let writer = Postgres::connect(&url).await?;
        assert_eq!(at(&writer, &primary).await?, (true, Role::Primary));
        writer.write(&stream, &messages(0..2)?, ExpectedVersion::NoStream).await?;
        assert!(!writer.only_reads());
        for target in ["standby", "prefer-standby", "read-only"] {
            let url = format!("{url}&target_session_attrs={target}");
            let reader = Postgres::connect(&url).await?;
            assert_eq!(at(&reader, &standby).await?, (true, Role::Standby));
            assert!(reader.only_reads());
            read_until(2, &reader, &stream).await?;
            let refused = reader.write(&stream, &messages(2..3)?, ExpectedVersion::Any).await;
            let refused = refused.unwrap_err();
            assert!(!refused.is_unavailable(), "{refused:?}");
            let said =
                format!("this store is for reading, as `target_session_attrs={target}` says");
            assert!(Fault::of(&refused).ok_or("no fault")?.to_string().starts_with(&said));
            let target = target.parse().map_err(|()| "not a target")?;
            does_no_more_than_read(&reader, target, database).await?;
        }
        // Nor does it write where the server would.
        for target in [Target::PreferStandby, Target::Any] {
            let options = Postgres::options().target_session_attrs(target);
            let reader = options.connect(&primary.url(database)).await?;
            assert_eq!(at(&reader, &primary).await?, (true, Role::Primary));
            let refused = reader.write(&stream, &messages(2..3)?, ExpectedVersion::Any).await;
            let fault = Fault::ForReading { target };
            assert_eq!(Fault::of(&refused.unwrap_err()), Some(&fault));
        }
        let reading = Postgres::options().target_session_attrs(Target::Standby);
        let refused = reading.install(Install::Missing).connect(&url).await.unwrap_err();
        assert!(refused.is_invalid(), "{refused:?}");
        assert_eq!(writer.stream_version(&stream).await?, Some(Position::new(1)?));
    }
    Ok(())
}

/// It hands out no transaction and holds no lease, and a standby neither knows who writes nor tells.
async fn does_no_more_than_read(reader: &Postgres, target: Target, database: &str) -> Result {
    let abilities = reader.abilities();
    assert!(!abilities.contains(&Ability::Transactions) && !abilities.contains(&Ability::Leases));
    assert_eq!(reader.announcements().next().await, None);
    let for_reading = Fault::ForReading { target };
    let refused = reader.context().await.err().ok_or("there is a transaction")?;
    assert_eq!(Fault::of(&refused), Some(&for_reading), "{refused:?}");
    if reader.schema().has_leases() {
        let group = LeaseGroup::new("account:position-teller".parse()?, 4)?;
        let member = Member { id: uuid::Uuid::from_u128(1), label: "host:1".into() };
        let renewed = reader.renew_leases(&group, &member, Duration::from_mins(1)).await;
        assert_eq!(renewed.err().as_ref().and_then(Fault::of), Some(&for_reading));
        let left = reader.leave_group(&group, member.id).await;
        assert_eq!(left.err().as_ref().and_then(Fault::of), Some(&for_reading));
        assert!(reader.group_members(&group).await?.is_empty());
    }
    let standby = Fault::Standby { database: database.into() };
    for refused in [reader.check_merged().await.err(), read_all(reader).await.err()] {
        let refused = refused.ok_or("it was read")?;
        assert_eq!(Fault::of(&refused), Some(&standby), "{refused:?}");
    }
    Ok(())
}

/// A primary with our schema, and its standby.
pub(crate) async fn pair(name: &str) -> Result<(Cluster, Cluster)> {
    let mut primary = block_in_place(|| Cluster::durable(&format!("{name}-primary")))?;
    Postgres::connect(&format!("{}&install=yes", primary.url("postgres"))).await?.close().await;
    let standby = block_in_place(|| primary.standby(&format!("{name}-standby")))?;
    Ok((primary, standby))
}

/// Asked at the primary: whether its standby has what it has.
const HAS_ALL: &str = "SELECT coalesce(bool_and(replay_lsn = pg_current_wal_lsn()), false)
    FROM pg_stat_replication";

/// Writes until an answer is not that of the host that was asked, and says for which call.
async fn write_until_repeated(store: Postgres, stream: StreamName) -> Result<u128> {
    for id in 0.. {
        if store.write(&stream, &messages(id..id + 1)?, ExpectedVersion::Any).await?.is_repetition()
        {
            return Ok(id);
        }
    }
    Err("no more ids".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_its_host_never_acknowledges_is_settled_on_the_next() -> Result {
    let (primary, standby) = pair("postgres-hung").await?;
    let store = Postgres::connect(&urls("postgres", [&primary, &standby])).await?;
    let stream = StreamName::new("account-1")?;
    let writing = tokio::spawn(write_until_repeated(store.clone(), stream.clone()));
    // What a handler commits, too.
    let (context, progress) = (store.context().await?, StreamName::new("account:position-1")?);
    let record = messages(u128::MAX - 1..u128::MAX)?;
    context.write(&progress, &record, ExpectedVersion::NoStream).await?;

    // As a primary is that is cut off from its standbys, and does not know it.
    let mut owner = raw(&primary.url("postgres")).await?;
    set(&mut owner, "synchronous_standby_names = 'nobody'").await?;
    let hangs = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')";
    until(&mut owner, hangs).await?;
    let committing = tokio::spawn(context.commit());
    let both_hang = "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until(&mut owner, both_hang).await?;
    set(&mut owner, "default_transaction_read_only = on").await?;
    until(&mut owner, HAS_ALL).await?;
    execute(&mut raw(&standby.url("postgres")).await?, "SELECT pg_promote()").await?;

    let unknown = committing.await?.unwrap_err();
    assert!(unknown.is_unavailable(), "{unknown:?}");
    let context = store.context().await?;
    let again = context.write(&progress, &record, ExpectedVersion::NoStream).await?;
    assert!(again.is_repetition(), "it had happened, and is there on the next host");
    context.rollback().await;
    let last = writing.await??;
    assert_eq!(at(&store, &standby).await?, (true, Role::Primary));
    let version = Position::new(i64::try_from(last)?)?;
    assert_eq!(store.stream_version(&stream).await?, Some(version));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_host_only_reads_from_now_on_goes_over_to_the_one_that_writes() -> Result {
    let (primary, standby) = pair("postgres-over").await?;
    let url = urls("postgres", [&primary, &standby]);
    let store = Postgres::connect(&url).await?;
    let stream = StreamName::new("account-1")?;
    store.write(&stream, &messages(0..2)?, ExpectedVersion::NoStream).await?;
    let mut heard = hearing(&store).await?;

    set(&mut raw(&primary.url("postgres")).await?, "default_transaction_read_only = on").await?;
    // What the session that writes hears of the setting, if not at once.
    let batch = messages(2..4)?;
    let mut said = String::new();
    let mut known = 0;
    while said.is_empty() {
        let batch = messages(100 + known..101 + known)?;
        known += 1;
        if let Err(error) = store.write(&stream, &batch, ExpectedVersion::Any).await {
            assert!(error.is_unavailable(), "{error:?}");
            said = error.to_string();
        }
    }
    assert!(said.contains(ONLY_READS), "{said}");
    let version = Position::new(i64::try_from(known)?)?;
    let refused = Postgres::connect(&url).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused:?}");
    let fault = Fault::of(&refused).ok_or("no fault")?.to_string();
    let folder = |cluster: &Cluster| cluster.folder().display().to_string();
    let hosts = [
        format!("`{}:5432` only reads, for default_transaction_read_only is on", folder(&primary)),
        format!("`{}:5432` is a standby", folder(&standby)),
    ];
    assert!(fault.ends_with(&hosts.join("; ")), "{fault}");

    until(&mut raw(&primary.url("postgres")).await?, HAS_ALL).await?;
    let write = store.write(&stream, &batch, ExpectedVersion::At(version));
    let promoted =
        async { execute(&mut raw(&standby.url("postgres")).await?, "SELECT pg_promote()").await };
    let (written, promoted) = tokio::join!(write, promoted);
    promoted?;
    assert!(!written?.is_repetition(), "the old primary has written");
    assert_eq!(at(&store, &standby).await?, (true, Role::Primary));
    // It tells there, and listens there.
    store.announce(&"account".parse()?);
    until_heard(&mut heard, &Announcement::Deaf).await?;
    until_heard(&mut heard, &Announcement::Alive).await?;
    execute(&mut raw(&standby.url("postgres")).await?, "NOTIFY evenfold, 'transfer'").await?;
    until_heard(&mut heard, &Announcement::Heard("transfer".parse()?)).await?;
    let place = primary.url("postgres") + "&target_session_attrs=any";
    let old = Postgres::connect(&place).await?;
    assert_eq!(old.stream_version(&stream).await?, Some(version));
    Ok(())
}

/// Sessions of clients that a host had, and a store that asks a host what it is makes one.
async fn sessions(owners: &mut [PgConnection]) -> Result<i64> {
    let mut all = 0;
    for owner in owners {
        let sum = "SELECT sum(sessions)::bigint FROM pg_stat_database";
        all += sqlx::query_scalar::<_, i64>(sum).fetch_one(owner).await?;
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_for_reading_stays_where_it_is_while_its_host_suits() -> Result {
    const STORES: i64 = 8;
    let (primary, standby) = pair("postgres-stay").await?;
    let url = urls("postgres", [&primary, &standby]) + "&target_session_attrs=any";
    let stream = StreamName::new("account-1")?;
    let mut writer = raw(&primary.url("postgres")).await?;
    let mut owners = [raw(&primary.url("postgres")).await?, raw(&standby.url("postgres")).await?];

    // What is locked on a primary is locked on its standby when that hears of it, so all wait,
    // wherever they are.
    execute(&mut writer, "BEGIN; LOCK TABLE message_store.messages").await?;
    execute(&mut owners[0], "SELECT pg_switch_wal()").await?;
    let locked = "SELECT EXISTS (SELECT FROM pg_locks
        WHERE relation = 'message_store.messages'::regclass AND mode = 'AccessExclusiveLock')";
    until(&mut owners[1], locked).await?;
    let mut reading = Vec::new();
    for _ in 0..STORES {
        let (store, stream) = (Postgres::connect(&url).await?, stream.clone());
        reading.push(tokio::spawn(async move { store.stream_version(&stream).await }));
    }
    // Each has asked three times where it is to be.
    let so_far = sessions(&mut owners).await?;
    while sessions(&mut owners).await? < so_far + 3 * STORES {
        tokio::task::yield_now().await;
    }
    execute(&mut writer, "ROLLBACK").await?;
    for reading in reading {
        assert_eq!(reading.await??, None, "a read was ended, and its host is in order");
    }
    Ok(())
}
