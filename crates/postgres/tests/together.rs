//! Group append: writers of one category who would wait for each other are written together, and each
//! has the outcome that it would have had alone.
//!
//! A transaction of another client holds the category back, so that a group is there for certain. The
//! laws of a store are in `conformance.rs`, readers under load in `counting.rs`, what breaks in
//! `faults.rs` and `killed.rs`: all with group append on and off.

use std::ops::Range;

use evenfold_core::message::NewMessage;
use evenfold_core::store::{ReadStore, WriteStore, Written};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use futures::poll;
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::common::locks::waiting;
use crate::common::wire::{Then, Wire};
use crate::common::{MESSAGE_DB, Result, execute, message, messages, raw};

const ANY: ExpectedVersion = ExpectedVersion::Any;

type Outcome = std::result::Result<Written, Error>;

/// A store on each kind of schema, for there are two statements.
async fn homes() -> Result<[TestDatabase; 2]> {
    Ok([TestDatabase::new().await?, TestDatabase::from_template(MESSAGE_DB).await?])
}

fn stream(id: impl std::fmt::Display) -> Result<StreamName> {
    Ok(StreamName::new(format!("account-{id}"))?)
}

/// What goes on beside a store whose category is held back.
struct Held {
    store: Postgres,
    holder: PgConnection,
    watcher: PgConnection,
    /// The writer whose turn it is; all others wait for it.
    first: JoinHandle<Outcome>,
}

/// Another client holds the category back, and one writer waits for that client.
async fn held(url: &str) -> Result<Held> {
    held_from(url, url).await
}

/// The same, where the others come by another URL than the store.
async fn held_from(others: &str, url: &str) -> Result<Held> {
    let (mut holder, mut watcher) = (raw(others).await?, raw(others).await?);
    execute(&mut holder, "BEGIN; SELECT acquire_lock('account-9')").await?;
    let store = Postgres::connect(url).await?;
    let first = writing(&store, stream("first")?, messages(900..901)?, ANY).await;
    waiting(&mut watcher).await?;
    Ok(Held { store, holder, watcher, first })
}

/// Begins a write and lets it come to where it waits.
async fn writing(
    store: &Postgres,
    stream: StreamName,
    messages: Vec<NewMessage>,
    expected: ExpectedVersion,
) -> JoinHandle<Outcome> {
    let store = store.clone();
    let writing = tokio::spawn(async move { store.write(&stream, &messages, expected).await });
    tokio::task::yield_now().await;
    writing
}

/// Begins writes of one message each, each to a stream of its own.
async fn writing_each(store: &Postgres, ids: Range<u128>) -> Result<Vec<JoinHandle<Outcome>>> {
    let mut begun = Vec::new();
    for id in ids {
        begun.push(writing(store, stream(id)?, messages(id..id + 1)?, ANY).await);
    }
    Ok(begun)
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

const TRANSACTIONS: &str = "SELECT count(DISTINCT xmin::text) FROM messages";
const MESSAGES: &str = "SELECT count(*) FROM messages";

#[tokio::test]
async fn who_waits_is_written_in_one_transaction() -> Result {
    for database in homes().await? {
        let Held { store, mut holder, mut watcher, first } = held(&database.url()).await?;
        let group = writing_each(&store, 0..64).await?;
        execute(&mut holder, "COMMIT").await?;
        first.await??;
        for written in group {
            assert_eq!(written.await??, Written::now(Position::START));
        }
        assert_eq!(number(&mut watcher, MESSAGES).await?, 65);
        assert_eq!(number(&mut watcher, TRANSACTIONS).await?, 2);
    }
    Ok(())
}

#[tokio::test]
async fn without_it_each_is_written_by_itself() -> Result {
    for database in homes().await? {
        let store = Postgres::options().group_append(false).connect(&database.url()).await?;
        for written in writing_each(&store, 0..16).await? {
            written.await??;
        }
        let mut watcher = raw(&database.url()).await?;
        assert_eq!(number(&mut watcher, TRANSACTIONS).await?, 16);
    }
    Ok(())
}

/// Writes these in one group, behind what the stream `known` has, and tells what each heard.
async fn answers(
    database: &TestDatabase,
    writes: Vec<(&str, Vec<NewMessage>, ExpectedVersion)>,
) -> Result<Vec<String>> {
    let before = Postgres::connect(&database.url()).await?;
    before.write(&stream("known")?, &messages(0..3)?, ANY).await?;
    let Held { store, mut holder, first, .. } = held(&database.url()).await?;
    let mut group = Vec::new();
    for (id, batch, expected) in writes {
        group.push(writing(&store, stream(id)?, batch, expected).await);
    }
    execute(&mut holder, "COMMIT").await?;
    first.await??;
    let mut said = Vec::new();
    for outcome in group {
        said.push(match outcome.await? {
            Ok(written) if written.is_repetition() => format!("again at {}", written.last()),
            Ok(written) => format!("at {}", written.last()),
            Err(error) if error.is_duplicate_id() => "taken".to_owned(),
            Err(error) => error.conflict().map_or(error.to_string(), ToString::to_string),
        });
    }
    Ok(said)
}

#[tokio::test]
async fn batches_of_a_group_stand_one_upon_the_other_and_conflicts_are_their_own_writers_alone()
-> Result {
    let at = |version| Ok::<_, Error>(ExpectedVersion::At(Position::new(version)?));
    for database in homes().await? {
        let said = answers(
            &database,
            vec![
                ("known", messages(10..11)?, at(2)?),
                ("known", messages(11..14)?, ANY),
                ("known", messages(14..15)?, at(2)?),
                ("new", messages(20..23)?, ExpectedVersion::NoStream),
                ("new", messages(23..24)?, at(2)?),
                ("none", messages(30..31)?, at(7)?),
            ],
        );
        let expected = [
            "at 3",
            "at 6",
            "stream `account-known` was expected to be at version 2 and is at version 6",
            "at 2",
            "at 3",
            "stream `account-none` was expected to be at version 7 and is at no stream",
        ];
        assert_eq!(said.await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_repetition_a_taken_id_and_a_refused_value_are_their_own_writers_alone() -> Result {
    for database in homes().await? {
        let mut said = answers(
            &database,
            vec![
                ("known", messages(0..3)?, ExpectedVersion::NoStream),
                ("taken", vec![message(0, r#"{"amount":6}"#)?], ANY),
                ("refused", vec![message(60, r#"{"half":"\ud800"}"#)?], ANY),
                ("one", messages(61..62)?, ANY),
                ("other", messages(62..64)?, ExpectedVersion::NoStream),
            ],
        )
        .await?;
        let refused = said.remove(2);
        assert!(refused.contains("Postgres refuses this JSON"), "{refused}");
        assert_eq!(said, ["again at 2", "taken", "at 0", "at 1"]);
    }
    Ok(())
}

#[tokio::test]
async fn of_those_who_expect_the_same_version_one_writes() -> Result {
    for database in homes().await? {
        let Held { store, mut holder, first, .. } = held(&database.url()).await?;
        let mut group = Vec::new();
        for id in 0..64 {
            let batch = messages(id..id + 1)?;
            group.push(writing(&store, stream("one")?, batch, ExpectedVersion::NoStream).await);
        }
        execute(&mut holder, "COMMIT").await?;
        first.await??;
        let mut written = 0;
        for outcome in group {
            match outcome.await? {
                Ok(at) => written += i32::from(at == Written::now(Position::START)),
                Err(error) => assert!(error.is_conflict(), "{error:?}"),
            }
        }
        assert_eq!(written, 1);
        assert_eq!(store.stream_version(&stream("one")?).await?, Some(Position::START));
    }
    Ok(())
}

#[tokio::test]
async fn who_goes_away_while_it_waits_writes_nothing_and_holds_up_nobody() -> Result {
    for database in homes().await? {
        let Held { store, mut holder, mut watcher, first } = held(&database.url()).await?;
        let group = writing_each(&store, 0..20).await?;
        group.iter().step_by(3).for_each(JoinHandle::abort);
        // The one whose turn it is goes too; what it has asked for may happen.
        first.abort();
        execute(&mut holder, "COMMIT").await?;
        for (outcome, id) in group.into_iter().zip(0..) {
            match outcome.await {
                Ok(written) => assert_eq!(written?, Written::now(Position::START)),
                Err(gone) => assert!(gone.is_cancelled() && id % 3 == 0),
            }
        }
        let written = number(
            &mut watcher,
            "SELECT count(*) FROM messages WHERE stream_name <> 'account-first'",
        );
        assert_eq!(written.await?, 13);
    }
    Ok(())
}

#[tokio::test]
async fn when_the_server_breaks_off_each_learns_that_its_outcome_is_open() -> Result {
    for database in homes().await? {
        let Held { store, mut holder, mut watcher, first } = held(&database.url()).await?;
        let group = writing_each(&store, 0..64).await?;
        // So the turn goes to the group, and what waits for the other client is its statement.
        first.abort();
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while !group.iter().all(JoinHandle::is_finished) {
            number(&mut watcher, kill).await?;
        }
        for outcome in group {
            let lost = outcome.await?.unwrap_err();
            assert!(lost.is_unavailable(), "{lost:?}");
        }
        execute(&mut holder, "COMMIT").await?;
        for again in writing_each(&store, 0..64).await? {
            assert_eq!(again.await??.last(), Position::START);
        }
        let written = number(
            &mut watcher,
            "SELECT count(*) FROM messages WHERE stream_name <> 'account-first'",
        );
        assert_eq!(written.await?, 64);
    }
    Ok(())
}

/// A group is under way on a connection that has fallen silent; how many messages the server has by then
/// shows that it heard it.
async fn silent(database: &TestDatabase) -> Result<(Held, Vec<JoinHandle<Outcome>>)> {
    let wire = Wire::to(&database.url(), "silence", Then::IsSilent).await?;
    let mut held = held(&wire.url).await?;
    let silence = vec![message(0, r#"{"word":"silence"}"#)?];
    let mut group = vec![writing(&held.store, stream(0)?, silence, ANY).await];
    group.extend(writing_each(&held.store, 1..10).await?);
    execute(&mut held.holder, "COMMIT").await?;
    while number(&mut held.watcher, MESSAGES).await? < 11 {}
    Ok((held, group))
}

#[tokio::test]
async fn a_group_that_nobody_waits_for_any_more_has_no_turn() -> Result {
    for database in homes().await? {
        let (Held { store, .. }, group) = silent(&database).await?;
        let later = writing_each(&store, 20..24).await?;
        group.iter().for_each(JoinHandle::abort);
        for written in later {
            assert_eq!(written.await??, Written::now(Position::START));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_group_that_is_not_answered_leaves_the_turn_to_others_in_time() -> Result {
    let database = TestDatabase::new().await?;
    let (Held { store, .. }, group) = silent(&database).await?;
    for written in writing_each(&store, 20..24).await? {
        assert_eq!(written.await??, Written::now(Position::START));
    }
    assert!(!group.iter().any(JoinHandle::is_finished), "they hear nothing still");
    Ok(())
}

/// As that of a `select!` which went another way: the turn is in a future that nobody polls.
#[tokio::test]
async fn a_write_that_is_begun_and_not_gone_on_with_stops_nobody_for_good() -> Result {
    let database = TestDatabase::new().await?;
    let (mut holder, mut watcher) = (raw(&database.url()).await?, raw(&database.url()).await?);
    let store = Postgres::connect(&database.url()).await?;
    store.write(&stream("before")?, &messages(0..1)?, ANY).await?;
    // So it is sent, and not answered at once.
    execute(&mut holder, "BEGIN; SELECT acquire_lock('account-9')").await?;
    let (stream, batch) = (stream("begun")?, messages(1..2)?);
    let mut begun = store.write(&stream, &batch, ANY);
    assert!(poll!(&mut begun).is_pending());
    waiting(&mut watcher).await?;
    let others = writing_each(&store, 20..24).await?;
    execute(&mut holder, "COMMIT").await?;
    for written in others {
        assert_eq!(written.await??, Written::now(Position::START));
    }
    assert_eq!(begun.await?, Written::now(Position::START));
    Ok(())
}

/// What befalls all, all hear at once: they do not come back each on a connection of its own.
async fn befalls_all(database: &TestDatabase, setting: &str, said: &str) -> Result {
    let url = format!("{}&options=-c%20{setting}%3D500ms", database.url());
    let Held { store, mut holder, mut watcher, first } = held_from(&database.url(), &url).await?;
    let group = writing_each(&store, 0..64).await?;
    for outcome in std::iter::once(first).chain(group) {
        let late = outcome.await?;
        assert!(late.as_ref().is_err_and(Error::is_unavailable), "{late:?}");
        assert!(late.is_err_and(|late| format!("{late:#}").contains(said)), "without {said}");
    }
    let connections = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'evenfold'";
    // The pool still asks that of the first whether it is there.
    let connections = number(&mut watcher, connections).await?;
    assert!(connections <= 2, "{connections}");
    store.close().await;
    execute(&mut holder, "ROLLBACK").await
}

#[tokio::test]
async fn what_befalls_a_group_is_told_to_all_of_it() -> Result {
    for database in homes().await? {
        befalls_all(&database, "lock_timeout", "lock timeout").await?;
        befalls_all(&database, "statement_timeout", "statement timeout").await?;
    }
    Ok(())
}

/// More than may wait, and more than go together.
#[tokio::test]
async fn a_crowd_is_written_to_the_last() -> Result {
    for database in homes().await? {
        let Held { store, mut holder, mut watcher, first } = held(&database.url()).await?;
        let crowd = writing_each(&store, 1000..2500).await?;
        execute(&mut holder, "COMMIT").await?;
        first.await??;
        for written in crowd {
            assert_eq!(written.await??, Written::now(Position::START));
        }
        assert_eq!(number(&mut watcher, MESSAGES).await?, 1501);
        // Who finds no room comes when others are done, in one wave or in some.
        let transactions = number(&mut watcher, TRANSACTIONS).await?;
        assert!(transactions < 150, "{transactions}");
    }
    Ok(())
}
