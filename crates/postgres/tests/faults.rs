//! Connections that break under a write, writers that meet without Message DB's lock, futures that
//! are dropped: every answer is an honest one.
//!
//! The laws of a store are in `conformance.rs`; databases that are none of ours in `database.rs`.

use evenfold_core::error::Conflict;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{BatchSize, ReadStore, WriteStore, Written};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Options, Postgres};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgPool};
use tokio::task::JoinHandle;

use crate::common::locks::waiting;
use crate::common::wire::{Then, Wire};
use crate::common::{
    MESSAGE_DB, Result, execute, in_groups_and_alone, message, messages, poll_some, raw,
};

in_groups_and_alone!(
    a_backend_terminated_in_mid_write_leaves_the_outcome_to_the_same_call,
    a_write_whose_answer_is_lost_is_found_by_its_id,
    a_conflict_behind_an_old_snapshot_is_the_same_conflict,
    a_dropped_write_lands_whole_or_not_at_all_and_leaves_the_store_healthy,
);

type Outcome = std::result::Result<Written, Error>;

fn writing(
    store: &Postgres,
    stream: &StreamName,
    messages: Vec<NewMessage>,
    expected: ExpectedVersion,
) -> JoinHandle<Outcome> {
    let (store, stream) = (store.clone(), stream.clone());
    tokio::spawn(async move { store.write(&stream, &messages, expected).await })
}

async fn a_backend_terminated_in_mid_write_leaves_the_outcome_to_the_same_call(
    options: Options,
) -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let store = options.connect(&database.url()).await?;
    let stream = StreamName::new("account-1")?;
    let mut other = raw(&database.url()).await?;
    let mut killer = raw(&database.url()).await?;
    for batch in [messages(0..1)?, messages(1..4)?] {
        let transaction = {
            let mut transaction = other.begin().await?;
            execute(&mut transaction, "SELECT acquire_lock('account-2')").await?;
            transaction
        };
        let written = writing(&store, &stream, batch.clone(), ExpectedVersion::Any);
        let pid = waiting(&mut killer).await?;
        sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&mut killer).await?;
        let lost = written.await?;
        assert!(lost.as_ref().is_err_and(Error::is_unavailable), "{lost:?}");
        transaction.rollback().await?;

        let again = store.write(&stream, &batch, ExpectedVersion::Any).await?;
        assert!(!again.is_repetition());
    }
    assert_eq!(store.stream_version(&stream).await?, Some(Position::new(3)?));
    Ok(())
}

const LOST: &str = r#"{"word":"lost"}"#;

async fn a_write_whose_answer_is_lost_is_found_by_its_id(options: Options) -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let wire = Wire::to(&database.url(), "lost", Then::HangsUp).await?;
    // With one connection, on which the statements are prepared: the next answer tells of the write.
    let store = options.connections(1)?.connect(&wire.url).await?;
    let stream = StreamName::new("account-1")?;
    for (id, count) in [(0, 1), (10, 3)] {
        store.write(&stream, &messages(id..id + count)?, ExpectedVersion::Any).await?;
        let lost: Result<Vec<_>> = (id + 5..id + 5 + count).map(|id| message(id, LOST)).collect();
        let written = store.write(&stream, &lost?, ExpectedVersion::Any).await?;
        assert!(written.is_uncertain(), "the answer was not lost: {written:?}");
    }
    assert_eq!(store.stream_version(&stream).await?, Some(Position::new(7)?));
    Ok(())
}

/// In these levels a writer who waited for the lock does not see what was written meanwhile: the
/// unique index refuses, or the server does.
async fn a_conflict_behind_an_old_snapshot_is_the_same_conflict(options: Options) -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let mut watcher = raw(&database.url()).await?;
    let mut other = raw(&database.url()).await?;
    let mut id = 0;
    for level in ["repeatable read", "serializable"] {
        let at: PgConnectOptions = database.url().parse()?;
        let at = at.options([
            ("search_path", "message_store,public"),
            ("default_transaction_isolation", level),
        ]);
        let store = options.open(PgPool::connect_with(at).await?).await?;
        for (count, expected) in [
            (1, ExpectedVersion::NoStream),
            (3, ExpectedVersion::NoStream),
            (1, ExpectedVersion::Any),
            (3, ExpectedVersion::Any),
        ] {
            id += 10;
            let stream = StreamName::new(format!("account-{id}"))?;
            let mut transaction = other.begin().await?;
            let write = format!(
                "SELECT write_message(gen_random_uuid()::varchar, '{stream}', 'Opened', '{{}}')"
            );
            execute(&mut transaction, &write).await?;
            let written = writing(&store, &stream, messages(id..id + count)?, expected);
            waiting(&mut watcher).await?;
            transaction.commit().await?;

            let outcome = written.await?;
            let outcome = outcome.map_err(|error| error.conflict().and_then(Conflict::actual));
            let last = Position::new(i64::try_from(count)?)?;
            let honest = match expected {
                ExpectedVersion::Any => Ok(Written::now(last)),
                _ => Err(Some(Position::START)),
            };
            assert_eq!(outcome, honest, "{level}");
        }
    }
    Ok(())
}

/// The messages of a round: few, several, or more than fit into the driver's buffer.
fn batch_of(round: u128) -> Result<Vec<NewMessage>> {
    let count = match round % 3 {
        0 => 1,
        1 => 7,
        _ => 70,
    };
    messages(round * 100..round * 100 + count)
}

async fn a_dropped_write_lands_whole_or_not_at_all_and_leaves_the_store_healthy(
    options: Options,
) -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let options = options.connections(2)?;
    let store = options.connect(&database.url()).await?;
    let stream = StreamName::new("account-1")?;
    for round in 0_u128..100 {
        let batch = batch_of(round)?;
        poll_some(store.write(&stream, &batch, ExpectedVersion::Any), round % 11).await;
        let read = store.read_stream(&stream, Position::START, BatchSize::DEFAULT);
        poll_some(read, round % 7).await;
    }
    // Closing waits for what the server was asked.
    store.close().await;

    let store = options.connect(&database.url()).await?;
    let written = store.read_stream(&stream, Position::START, BatchSize::new(100_000)?).await?;
    assert!(written.iter().zip(0..).all(|(message, position)| message.position.get() == position));
    for round in 0_u128..100 {
        let count = batch_of(round)?.len();
        let of_round = written.iter().filter(|m| m.id.as_u128() / 100 == round).count();
        assert!(of_round == 0 || of_round == count, "{of_round} of {count} in round {round}");
    }
    // A caller who lost the answer asks again with the same ids, and then all of it is there.
    let mut total = 0;
    for round in 0_u128..100 {
        let batch = batch_of(round)?;
        total += i64::try_from(batch.len())?;
        store.write(&stream, &batch, ExpectedVersion::Any).await?;
    }
    assert_eq!(store.stream_version(&stream).await?, Some(Position::new(total - 1)?));
    Ok(())
}
