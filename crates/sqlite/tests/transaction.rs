//! The transaction of a handler: its own tables and the record of progress, together or not at all.
//!
//! What holds for messages alone is proven in `conformance.rs`.

mod common;

use std::time::Duration;

use evenfold_core::handler::Context;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{LeaseGroup, LeaseStore, Member, MessageStore, ReadStore, WriteStore};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_sqlite::{Sqlite, Transaction};
use futures::future::{Either, select};
use futures::{FutureExt, poll};
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};
use uuid::Uuid;

use common::{Result, messages, raw, url};

const FIRST: ExpectedVersion = ExpectedVersion::NoStream;

/// A store beside a table of the application, in one file.
struct Beside {
    folder: TempDir,
    store: Sqlite,
    progress: StreamName,
}

impl Beside {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = Sqlite::connect(&url(&folder.path().join("bank.db"))).await?;
        let progress = StreamName::new("account:position-balances")?;
        let beside = Self { folder, store, progress };
        let create = "CREATE TABLE balances (amount INTEGER NOT NULL ON CONFLICT ROLLBACK)";
        sqlx::query(create).execute(&mut beside.raw().await?).await?;
        Ok(beside)
    }

    async fn raw(&self) -> Result<SqliteConnection> {
        raw(&self.folder.path().join("bank.db")).await
    }

    async fn again(&self) -> Result<Sqlite> {
        Ok(Sqlite::connect(&url(self.store.path())).await?)
    }

    /// The rows, and how many records stand beside them.
    async fn found(&self) -> Result<(i64, Option<i64>)> {
        let rows = sqlx::query_scalar("SELECT count(*) FROM balances");
        let rows = rows.fetch_one(&mut self.raw().await?).await?;
        let version = self.store.stream_version(&self.progress).await?;
        Ok((rows, version.map(Position::get)))
    }
}

async fn insert(context: &mut Context, amount: i64) -> Result<(), Error> {
    let transaction = context.require::<Transaction>()?;
    let insert = sqlx::query("INSERT INTO balances VALUES (nullif(?1, 0))").bind(amount);
    let inserted = insert.execute(transaction.connection()).await;
    inserted.map(drop).map_err(|error| Error::failed("inserting", error))
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_it_is_dropped_the_effect_and_its_record_come_together() -> Result {
    let beside = Beside::new().await?;
    for polls in 0..40_u32 {
        let (before, version) = beside.found().await?;
        let expected = ExpectedVersion::from(version.map(Position::new).transpose()?);
        let record = messages(u128::from(polls)..u128::from(polls) + 1)?;
        let mut whole = Box::pin(async {
            let mut context = beside.store.context().await?;
            insert(&mut context, 5).await?;
            context.write(&beside.progress, &record, expected).await?;
            context.commit().await
        });
        let mut left = polls;
        while left > 0 && poll!(&mut whole).is_pending() {
            left -= 1;
            tokio::task::yield_now().await;
        }
        drop(whole);
        // Nothing is left open: another store can write, and then it is decided.
        let other = beside.again().await?;
        let after = messages(1_000 + u128::from(polls)..1_001 + u128::from(polls))?;
        other.write(&StreamName::new("other-1")?, &after, ExpectedVersion::Any).await?;
        other.close().await;
        let (rows, records) = beside.found().await?;
        let done = records != version;
        assert_eq!(rows, before + i64::from(done), "after {polls} polls");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_that_record_the_same_place_one_has_an_effect() -> Result {
    let beside = Beside::new().await?;
    for round in 0..10_u128 {
        let version = beside.store.stream_version(&beside.progress).await?;
        let mut tasks = JoinSet::new();
        for (number, store) in (0..).zip([beside.store.clone(), beside.again().await?]) {
            let record = messages(round * 10 + number..round * 10 + number + 1)?;
            tasks.spawn(run(store, beside.progress.clone(), record, version.into()));
        }
        let answers = tasks.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.is_ok());
        assert_eq!(won.len(), 1, "{answers:?}");
        let is_conflict =
            |answer: &&Result<(), Error>| answer.as_ref().is_err_and(Error::is_conflict);
        assert!(lost.iter().all(is_conflict), "{answers:?}");
        let round = i64::try_from(round)?;
        assert_eq!(beside.found().await?, (round + 1, Some(round)));
    }
    Ok(())
}

async fn run(
    store: Sqlite,
    progress: StreamName,
    record: Vec<NewMessage>,
    expected: ExpectedVersion,
) -> Result<(), Error> {
    let mut context = store.context().await?;
    insert(&mut context, 5).await?;
    if let Err(error) = context.write(&progress, &record, expected).await {
        context.rollback().await;
        return Err(error);
    }
    context.commit().await
}

#[tokio::test]
async fn a_message_that_comes_again_is_known_by_its_record() -> Result {
    let beside = Beside::new().await?;
    let record = messages(1..2)?;
    for round in 0..3 {
        // Each is a process that did not hear of the commit before.
        let store = beside.again().await?;
        let mut context = store.context().await?;
        insert(&mut context, 5).await?;
        let written = context.write(&beside.progress, &record, FIRST).await?;
        assert_eq!(written.is_repetition(), round > 0);
        if written.is_repetition() {
            context.rollback().await;
        } else {
            context.commit().await?;
        }
        assert_eq!(beside.found().await?, (1, Some(0)));
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_where_a_statement_has_ended_the_transaction() -> Result {
    let beside = Beside::new().await?;
    for amount in [0, 1] {
        let mut context = beside.store.context().await?;
        insert(&mut context, 5).await?;
        if amount == 0 {
            // The table takes all of it back, and the handler does not care.
            assert!(insert(&mut context, amount).await.is_err());
        } else {
            let connection = context.require::<Transaction>()?.connection();
            sqlx::query("ROLLBACK").execute(connection).await?;
        }
        let refused = context.write(&beside.progress, &messages(1..2)?, FIRST).await;
        assert!(format!("{:#}", refused.unwrap_err()).contains("it has ended"));
        assert!(context.commit().await.is_err());
        assert_eq!(beside.found().await?, (0, None));
    }
    beside.store.write(&beside.progress, &messages(1..2)?, FIRST).await?;
    Ok(())
}

/// A member that is not heard of loses its buckets, so whatever a handler did may not keep it from that.
#[tokio::test]
async fn leases_are_renewed_and_left_behind_a_transaction_that_a_statement_has_ended() -> Result {
    let beside = Beside::new().await?;
    let group = LeaseGroup::new("account:position-teller".parse()?, 4)?;
    let member = Member { id: Uuid::from_u128(1), label: "host:1".into() };
    let ended = async || -> Result {
        let mut context = beside.store.context().await?;
        assert!(insert(&mut context, 0).await.is_err());
        assert!(context.commit().await.is_err());
        Ok(())
    };
    ended().await?;
    let held = beside.store.renew_leases(&group, &member, Duration::from_hours(1)).await?;
    assert_eq!(held.buckets(), [0, 1, 2, 3]);
    ended().await?;
    beside.store.release_leases(&group, member.id, &[3]).await?;
    ended().await?;
    beside.store.leave_group(&group, member.id).await?;
    assert_eq!(beside.store.group_members(&group).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_handler_that_renews_leases_beside_its_transaction_is_told_at_once() -> Result {
    let beside = Beside::new().await?;
    let group = LeaseGroup::new("account:position-teller".parse()?, 4)?;
    let member = Member { id: Uuid::from_u128(1), label: "host:1".into() };
    let term = Duration::from_hours(1);
    beside.store.renew_leases(&group, &member, term).await?;
    let context = beside.store.context().await?;
    let mark = context.inside().ok_or("a transaction without a mark")?;
    let renewed = mark.run(beside.store.renew_leases(&group, &member, term)).await.map(drop);
    let released = mark.run(beside.store.release_leases(&group, member.id, &[3])).await;
    let left = mark.run(beside.store.leave_group(&group, member.id)).await;
    for refused in [renewed, released, left] {
        let refused = refused.unwrap_err();
        assert!(format!("{refused:#}").contains("would wait for itself"), "{refused:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_statement_that_fails_is_undone_alone() -> Result {
    let beside = Beside::new().await?;
    let mut context = beside.store.context().await?;
    insert(&mut context, 5).await?;
    let connection = context.require::<Transaction>()?.connection();
    assert!(sqlx::query("INSERT INTO missing VALUES (1)").execute(connection).await.is_err());
    context.write(&beside.progress, &messages(1..2)?, FIRST).await?;
    context.commit().await?;
    assert_eq!(beside.found().await?, (1, Some(0)));
    Ok(())
}

#[tokio::test]
async fn a_handler_that_writes_beside_its_transaction_is_told_at_once_that_it_waits_for_itself()
-> Result {
    let beside = Beside::new().await?;
    let (stream, message) = (StreamName::new("account-1")?, messages(1..2)?);
    let mut context = beside.store.context().await?;
    let mark = context.inside().ok_or("a transaction without a mark")?;
    let inside = mark.run(async {
        insert(&mut context, 5).await?;
        let refused = beside.store.write(&stream, &message, FIRST).now_or_never();
        let nested = beside.store.context().now_or_never().map(|begun| begun.map(drop));
        context.write(&stream, &message, FIRST).await?;
        Ok::<_, Error>((refused.map(|written| written.map(drop)), nested))
    });
    let (refused, nested) = inside.await?;
    for refused in [refused, nested] {
        let refused = refused.ok_or("it waits")?.unwrap_err();
        // The same call would meet it again, so it is a failure of the handler and its policy holds.
        assert!(!refused.is_unavailable(), "{refused:?}");
        assert!(format!("{refused:#}").contains("by `.through(context)`"), "{refused:#}");
    }
    let own = context.require::<Transaction>()?.stream_version(&stream).await?;
    assert_eq!(own, Some(Position::START));
    // The mark is of this transaction: a handler whose own has ended is not refused.
    let after = messages(2..3)?;
    let ended = mark.run(async {
        context.commit().await?;
        beside.store.write(&stream, &after, ExpectedVersion::Any).await
    });
    assert_eq!(ended.await?.last(), Position::new(1)?);
    Ok(())
}

#[tokio::test]
async fn who_waits_behind_a_slow_handler_is_told_so_and_may_try_again() -> Result {
    let beside = Beside::new().await?;
    let (stream, message) = (StreamName::new("account-1")?, messages(1..2)?);
    let mut context = beside.store.context().await?;
    let mark = context.inside().ok_or("a transaction without a mark")?;
    let slow = mark.run(std::future::pending::<()>());
    let waits = beside.store.write(&stream, &message, FIRST);
    // While all wait, the clock goes on by itself to what they wait for.
    time::pause();
    let asked = Instant::now();
    let waited = match select(Box::pin(slow), waits).await {
        Either::Left(((), _)) => return Err("it never ends".into()),
        Either::Right((waited, _)) => waited.unwrap_err(),
    };
    assert_eq!(asked.elapsed().as_secs(), 5);
    time::resume();
    assert!(waited.is_unavailable(), "{waited:?}");
    assert!(format!("{waited:#}").contains("has had the file for 5 seconds"), "{waited:#}");
    insert(&mut context, 5).await?;
    context.commit().await?;
    assert_eq!(beside.store.write(&stream, &message, FIRST).await?.last(), Position::START);
    Ok(())
}

#[tokio::test]
async fn who_waits_for_several_handlers_is_told_when_one_of_them_is_slow() -> Result {
    let beside = Beside::new().await?;
    let (stream, message) = (StreamName::new("account-1")?, messages(1..2)?);
    let first = beside.store.context().await?;
    let mut second = beside.store.context();
    let mut waits = beside.store.write(&stream, &message, FIRST);
    assert!(poll!(&mut second).is_pending() && poll!(&mut waits).is_pending());
    time::pause();
    time::advance(Duration::from_secs(3)).await;
    assert!(poll!(&mut waits).is_pending());
    time::resume();
    first.commit().await?;
    let second = second.await?;
    time::pause();
    time::advance(Duration::from_secs(3)).await;
    assert!(poll!(&mut waits).is_pending(), "it waits for 6 seconds, but for none so long");
    time::advance(Duration::from_millis(2_100)).await;
    let told = waits.now_or_never().ok_or("it waits on")?.unwrap_err();
    assert!(format!("{told:#}").contains("has had the file for 5 seconds"), "{told:#}");
    time::resume();
    Ok(second.commit().await?)
}
