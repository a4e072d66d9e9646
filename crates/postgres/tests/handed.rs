//! The transaction of a handler: its own tables and the record of progress, together or not at all; and
//! that nobody waits without an end for it, or in it.
//!
//! What holds for messages alone is proven in `conformance.rs`, behind a pooler in `pooler.rs`; an
//! application's own transaction in `transaction.rs`.

use evenfold_core::handler::Context;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{MessageStore, ReadStore, WriteStore};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Postgres, Transaction};
use futures::FutureExt;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgPool};
use tokio::task::JoinSet;

use crate::common::pooler::Pooler;
use crate::common::wire::{Then, Wire};
use crate::common::{MESSAGE_DB, Result, execute, messages, poll_some, raw};
use crate::failover::{set, until, urls};
use crate::standby::pair;

const FIRST: ExpectedVersion = ExpectedVersion::NoStream;

/// A store beside a table of the application.
struct Beside {
    database: TestDatabase,
    store: Postgres,
    progress: StreamName,
}

impl Beside {
    /// Message DB and our schema, by the store's own connections and by an application's.
    async fn all() -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for own in [true, false] {
            all.push(Self::on(TestDatabase::from_template(MESSAGE_DB).await?, own).await?);
            all.push(Self::on(TestDatabase::new().await?, own).await?);
        }
        Ok(all)
    }

    async fn on(database: TestDatabase, own: bool) -> Result<Self> {
        let store = if own {
            Postgres::connect(&database.url()).await?
        } else {
            let options: PgConnectOptions = database.url().parse()?;
            let options = options.options([("search_path", "message_store,public")]);
            Postgres::from_pool(PgPool::connect_with(options).await?).await?
        };
        Self::with(database, store).await
    }

    async fn with(database: TestDatabase, store: Postgres) -> Result<Self> {
        let create =
            "CREATE TABLE public.balances (amount int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)";
        execute(&mut raw(&database.url()).await?, create).await?;
        Ok(Self { database, store, progress: StreamName::new("account:position-balances")? })
    }

    /// The rows, and the version of the progress beside them.
    async fn found(&self) -> Result<(i64, Option<i64>)> {
        let rows = "SELECT count(*) FROM public.balances";
        let rows =
            sqlx::query_scalar(rows).fetch_one(&mut raw(&self.database.url()).await?).await?;
        let version = self.store.stream_version(&self.progress).await?;
        Ok((rows, version.map(Position::get)))
    }

    /// A context in which a row was inserted, and the process of the server that has it.
    async fn inserted(&self, amount: i32) -> Result<(Context, i32)> {
        let mut context = self.store.context().await?;
        insert(&mut context, amount).await?;
        let connection = context.require::<Transaction>()?.connection();
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()").persistent(false);
        let pid = pid.fetch_one(connection).await?;
        Ok((context, pid))
    }

    async fn terminate(&self, pid: i32) -> Result {
        let mut killer = raw(&self.database.url()).await?;
        sqlx::query("SELECT pg_terminate_backend($1, 10000)")
            .bind(pid)
            .execute(&mut killer)
            .await?;
        Ok(())
    }
}

async fn insert(context: &mut Context, amount: i32) -> Result<(), Error> {
    let transaction = context.require::<Transaction>()?;
    let insert = sqlx::query("INSERT INTO balances VALUES ($1)").bind(amount).persistent(false);
    let inserted = insert.execute(transaction.connection()).await;
    inserted.map(drop).map_err(|error| Error::failed("inserting", error))
}

#[tokio::test]
async fn a_backend_that_is_terminated_takes_the_effect_with_the_record() -> Result {
    for beside in Beside::all().await? {
        let record = messages(1..2)?;
        // Before the record, and between the record and the commit.
        let (context, pid) = beside.inserted(1).await?;
        beside.terminate(pid).await?;
        let lost = context.write(&beside.progress, &record, FIRST).await.unwrap_err();
        assert!(lost.is_unavailable(), "{lost:?}");
        context.rollback().await;
        assert_eq!(beside.found().await?, (0, None));

        let (context, pid) = beside.inserted(1).await?;
        context.write(&beside.progress, &record, FIRST).await?;
        beside.terminate(pid).await?;
        let lost = context.commit().await.unwrap_err();
        assert!(lost.is_unavailable(), "{lost:?}");
        assert_eq!(beside.found().await?, (0, None));

        // The same record is new in the transaction that is made again.
        let (context, _) = beside.inserted(1).await?;
        assert!(!context.write(&beside.progress, &record, FIRST).await?.is_repetition());
        context.commit().await?;
        assert_eq!(beside.found().await?, (1, Some(0)));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_settled_by_its_record() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let wire = Wire::to(&database.url(), "COMMIT\0", Then::HangsUp).await?;
        let behind = Beside::with(database, Postgres::connect(&wire.url).await?).await?;
        let (context, _) = behind.inserted(1).await?;
        context.write(&behind.progress, &messages(1..2)?, FIRST).await?;
        let lost = context.commit().await.unwrap_err();
        assert!(lost.is_unavailable(), "{lost:?}");

        let store = Postgres::connect(&behind.database.url()).await?;
        let beside = Beside { store, ..behind };
        assert_eq!(beside.found().await?, (1, Some(0)), "it happened");
        let (context, _) = beside.inserted(2).await?;
        let again = context.write(&beside.progress, &messages(1..2)?, FIRST).await?;
        assert!(again.is_repetition());
        context.rollback().await;
        assert_eq!(beside.found().await?, (1, Some(0)));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_that_record_the_same_place_one_has_an_effect() -> Result {
    for beside in Beside::all().await? {
        for round in 0..10 {
            race(&beside, round).await?;
        }
    }
    Ok(())
}

async fn race(beside: &Beside, round: i32) -> Result {
    let expected = ExpectedVersion::from(beside.store.stream_version(&beside.progress).await?);
    let mut tasks = JoinSet::new();
    for number in [1, 2] {
        let (context, _) = beside.inserted(round * 10 + number).await?;
        let id = u128::try_from(round * 10 + number)?;
        tasks.spawn(end(context, beside.progress.clone(), messages(id..id + 1)?, expected));
    }
    let answers = tasks.join_all().await;
    let lost: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(lost.len() == 1 && lost.iter().all(|lost| lost.is_conflict()), "{answers:?}");
    assert_eq!(beside.found().await?, (i64::from(round) + 1, Some(round.into())));
    Ok(())
}

/// Writes the record as the last thing, and commits; or rolls back.
async fn end(
    context: Context,
    progress: StreamName,
    record: Vec<NewMessage>,
    expected: ExpectedVersion,
) -> Result<(), Error> {
    if let Err(error) = context.write(&progress, &record, expected).await {
        context.rollback().await;
        return Err(error);
    }
    context.commit().await
}

#[tokio::test]
async fn wherever_it_is_dropped_the_effect_and_its_record_come_together() -> Result {
    for beside in Beside::all().await? {
        for polls in 0..30 {
            drop_after(&beside, polls).await?;
        }
    }
    Ok(())
}

async fn drop_after(beside: &Beside, polls: i32) -> Result {
    let (before, version) = beside.found().await?;
    let expected = ExpectedVersion::from(version.map(Position::new).transpose()?);
    let id = u128::try_from(polls)? + 1;
    let record = messages(id..id + 1)?;
    let whole = async {
        let mut context = beside.store.context().await?;
        insert(&mut context, polls).await?;
        end(context, beside.progress.clone(), record, expected).await
    };
    poll_some(whole.boxed(), u128::try_from(polls * 2)?).await;
    // Nothing is left open: others can write to the category, and to the row.
    let after = messages(1_000 + id..1_001 + id)?;
    let other = StreamName::new("account:position-other")?;
    beside.store.write(&other, &after, ExpectedVersion::Any).await?;
    let (rows, records) = beside.found().await?;
    assert_eq!(rows, before + i64::from(records != version), "after {polls} polls");
    Ok(())
}

/// A commit of a failed transaction is one that undoes it, and the server says nothing of that.
#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_does_not_commit() -> Result {
    for beside in Beside::all().await? {
        let (mut context, _) = beside.inserted(1).await?;
        let connection = context.require::<Transaction>()?.connection();
        assert!(execute(connection, "SELECT 1 / 0").await.is_err());
        let failed = context.commit().await.unwrap_err();
        assert!(!failed.is_unavailable(), "{failed:?}");
        assert!(format!("{failed:#}").contains("current transaction is aborted"), "{failed:#}");
        assert_eq!(beside.found().await?, (0, None));

        // One that the commit itself finds, too.
        beside.inserted(1).await?.0.commit().await?;
        let (context, _) = beside.inserted(1).await?;
        context.write(&beside.progress, &messages(1..2)?, FIRST).await?;
        assert!(context.commit().await.is_err());
        assert_eq!(beside.found().await?, (1, None));

        // A savepoint of the handler's own keeps it whole.
        let (mut context, _) = beside.inserted(2).await?;
        let mut inner = context.require::<Transaction>()?.connection().begin().await?;
        assert!(execute(&mut inner, "SELECT 1 / 0").await.is_err());
        inner.rollback().await?;
        context.write(&beside.progress, &messages(1..2)?, FIRST).await?;
        context.commit().await?;
        assert_eq!(beside.found().await?, (2, Some(0)));
    }
    Ok(())
}

#[tokio::test]
async fn behind_a_pooler_the_tables_of_a_handler_are_found_too() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let pooler = Pooler::start(2)?;
        let url = pooler.url(&database, "postgres") + "&pooler=transaction";
        let beside = Beside::with(database, Postgres::connect(&url).await?).await?;
        for amount in 0..20_i32 {
            let (context, _) = beside.inserted(amount).await?;
            let id = u128::try_from(amount)?;
            let record = messages(id * 10..id * 10 + 1 + id % 2)?;
            context.write(&beside.progress, &record, ExpectedVersion::Any).await?;
            context.commit().await?;
            drop(beside.inserted(amount + 100).await?);
        }
        assert_eq!(beside.found().await?, (20, Some(29)));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_is_told_that_its_store_left_the_host_where_a_statement_of_its_own_hangs()
-> Result {
    let (primary, standby) = pair("postgres-handed").await?;
    let store = Postgres::connect(&urls("postgres", [&primary, &standby])).await?;
    let mut context = store.context().await?;
    let lost = tokio::spawn(context.lost());
    let hangs = "SELECT pg_sleep(3600)";
    let mut owner = raw(&primary.url("postgres")).await?;
    let handler = sqlx::query(hangs).execute(context.require::<Transaction>()?.connection());
    let mut handler = Box::pin(handler);
    let fails_over = async {
        let is_hanging =
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')";
        until(&mut owner, is_hanging).await?;
        set(&mut owner, "default_transaction_read_only = on").await?;
        execute(&mut raw(&standby.url("postgres")).await?, "SELECT pg_promote()").await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(lost.await?)
    };
    let error = tokio::select! {
        _ = &mut handler => return Err("it slept for an hour".into()),
        error = fails_over => error?,
    };
    assert!(error.is_unavailable(), "{error:?}");
    assert!(format!("{error:#}").contains("for another host"), "{error:#}");
    drop(handler);
    context.rollback().await;
    store.context().await?.write(&StreamName::new("account-1")?, &messages(0..1)?, FIRST).await?;
    Ok(())
}

#[tokio::test]
async fn a_write_beside_a_transaction_that_would_wait_for_that_is_refused_at_once() -> Result {
    let stream = |name| StreamName::new(name);
    for beside in Beside::all().await? {
        let store = &beside.store;
        let context = store.context().await?;
        let handler = context.inside().ok_or("it has no mark")?;
        // What was refused in it keeps nobody waiting.
        let (first, batch) = (stream("account-1")?, messages(1..2)?);
        let stale = context.write(&first, &batch, ExpectedVersion::At(Position::START)).await;
        assert!(stale.unwrap_err().is_conflict());
        handler.run(store.write(&first, &batch, FIRST)).await?;

        context.write(&stream("account-2")?, &messages(2..4)?, FIRST).await?;
        let (third, fourth) = (stream("account-3")?, messages(4..5)?);
        let refused = handler.run(store.write(&third, &fourth, FIRST)).await.unwrap_err();
        assert!(!refused.is_unavailable(), "{refused:?}");
        let said = "a transaction of a handler, which has written to `account`";
        assert!(format!("{refused:#}").contains(said), "{refused:#}");
        // Another category is free, and who is not inside of it waits.
        let command = stream("account:command-3")?;
        handler.run(store.write(&command, &messages(5..6)?, FIRST)).await?;
        let mut waits = store.write(&third, &fourth, FIRST);
        poll_some(async { (&mut waits).await }.boxed(), 20).await;
        context.commit().await?;
        waits.await?;
        handler.run(store.write(&third, &messages(6..7)?, ExpectedVersion::Any)).await?;
    }
    Ok(())
}
