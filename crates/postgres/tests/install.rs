//! Installing, adopting and bringing up to date: whole or not at all, and only when asked.
//!
//! Databases that are no store are in `database.rs`; that what is installed answers as Message DB
//! does is proven in `differential/`.

use crate::common::{MESSAGE_DB, Result, execute, messages, raw};
use evenfold_core::store::{ReadStore, WriteStore};
use evenfold_core::{Error, ExpectedVersion, Memory, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Fault, Install, Postgres};
use evenfold_testkit::model;
use sqlx::PgPool;

async fn open(database: &TestDatabase, what: Install) -> Result<Postgres, Error> {
    Postgres::options().install(what).connect(&database.url()).await
}

fn fault(refused: Result<Postgres, Error>) -> Result<Fault> {
    let error = refused.err().ok_or("opened")?;
    Fault::of(&error).cloned().ok_or_else(|| format!("{error:?}").into())
}

#[tokio::test]
async fn a_message_db_is_adopted_only_when_asked_and_keeps_what_it_has() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let stream = StreamName::new("account-1")?;
    let before = open(&database, Install::Missing).await?;
    assert!(!before.schema().has_additions());
    before.write(&stream, &messages(0..3)?, ExpectedVersion::NoStream).await?;

    for _ in 0..2 {
        let store = open(&database, Install::Adopt).await?;
        assert!(store.schema().has_additions() && !store.schema().is_ours());
    }
    // Whoever was there goes on as before, beside one who has learned of the additions.
    let after = open(&database, Install::Nothing).await?;
    assert!(after.schema().has_additions());
    let at = |position| Ok::<_, Error>(ExpectedVersion::At(Position::new(position)?));
    after.write(&stream, &messages(3..6)?, at(2)?).await?;
    before.write(&stream, &messages(6..9)?, at(5)?).await?;
    let write =
        "SELECT write_message(gen_random_uuid()::varchar, 'account-1', 'Opened', '{}', NULL, 8)";
    execute(&mut raw(&database.url()).await?, write).await?;
    assert_eq!(after.stream_version(&stream).await?, Some(Position::new(9)?));
    Ok(())
}

#[tokio::test]
async fn an_adopted_message_db_answers_as_memory_does() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let store = open(&database, Install::Adopt).await?;
    let tally = model::compare(&Memory::new(), &store, 20_262, 400).await?;
    assert!(tally.count("write", "conflict") > 4, "{tally}");
    Ok(())
}

#[tokio::test]
async fn an_adoption_that_fails_leaves_the_message_db_as_it_was() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let mut owner = raw(&database.url()).await?;
    // Has every right that a store needs, and to make things in the schema, but not the table.
    execute(&mut owner, "GRANT CREATE ON SCHEMA message_store TO message_store").await?;
    let adopting = Postgres::options().install(Install::Adopt);
    let refused = adopting.connect(&database.url_as("message_store")).await.unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("migration 2 was undone, so the database is as it was"), "{refused:?}");

    let store = Postgres::connect(&database.url_as("message_store")).await?;
    assert!(!store.schema().has_additions());
    store.write(&StreamName::new("a-1")?, &messages(0..3)?, ExpectedVersion::NoStream).await?;
    assert!(open(&database, Install::Adopt).await?.schema().has_additions());
    Ok(())
}

/// Our schema as the first migration alone leaves it.
async fn of_the_first_migration() -> Result<TestDatabase> {
    let database = TestDatabase::new().await?;
    let back = "DROP FUNCTION append_messages, append_items;
                DELETE FROM _evenfold_migrations WHERE version > 1";
    execute(&mut raw(&database.url()).await?, back).await?;
    Ok(database)
}

#[tokio::test]
async fn a_schema_of_an_earlier_release_is_refused_or_brought_up_to_date() -> Result {
    let database = of_the_first_migration().await?;
    let refused = open(&database, Install::Nothing).await;
    assert_eq!(fault(refused)?, Fault::Outdated { applied: 1, needed: 3 });

    let store = open(&database, Install::Missing).await?;
    store.write(&StreamName::new("a-1")?, &messages(0..3)?, ExpectedVersion::NoStream).await?;
    open(&database, Install::Nothing).await?;
    Ok(())
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_last_whole_version_and_says_so() -> Result {
    let database = of_the_first_migration().await?;
    let mut owner = raw(&database.url()).await?;
    let in_the_way =
        "CREATE FUNCTION append_items(text[], bigint[], integer[], uuid[], text[], text[],
        text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    execute(&mut owner, in_the_way).await?;
    for _ in 0..2 {
        let refused = open(&database, Install::Missing).await.unwrap_err();
        assert!(refused.to_string().contains("migration 2 was undone"), "{refused:?}");
        // What the server says is told once, and without the line of its own source.
        let told = format!("{refused:#}");
        assert_eq!(told.matches("already exists").count(), 1, "{told}");
        assert!(!told.contains(" at line "), "{told}");
        let refused = open(&database, Install::Nothing).await;
        assert_eq!(fault(refused)?, Fault::Outdated { applied: 1, needed: 3 });
    }
    execute(&mut owner, "DROP FUNCTION append_items").await?;
    open(&database, Install::Missing).await?;
    Ok(())
}

#[tokio::test]
async fn a_later_release_is_in_the_way_only_where_it_made_a_break() -> Result {
    let database = TestDatabase::new().await?;
    let mut owner = raw(&database.url()).await?;
    let note = |version: i64| {
        format!("INSERT INTO _evenfold_migrations VALUES ({version}, 'later', now(), true, '', 0)")
    };
    execute(&mut owner, &note(4)).await?;
    open(&database, Install::Nothing).await?;
    open(&database, Install::Missing).await?;

    execute(&mut owner, &note(1001)).await?;
    for what in [Install::Nothing, Install::Missing, Install::Adopt] {
        let refused = open(&database, what).await;
        assert_eq!(fault(refused)?, Fault::LaterRelease { applied: 1001, known: 3 });
    }
    Ok(())
}

#[tokio::test]
async fn of_several_that_install_at_once_each_gets_the_same_store() -> Result {
    let database = TestDatabase::from_template("template1").await?;
    let all = (0..4).map(|_| open(&database, Install::Missing));
    for opened in futures::future::join_all(all).await {
        assert!(opened?.schema().is_ours());
    }
    Ok(())
}

#[tokio::test]
async fn an_adoption_needs_no_search_path_and_none_goes_beside_another_lock() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let pool = PgPool::connect(&database.url()).await?;
    assert!(Postgres::adopt(&pool).await?.has_additions());

    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let other = "CREATE OR REPLACE FUNCTION acquire_lock(stream_name varchar) RETURNS bigint
        LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN 42; END $$";
    execute(&mut raw(&database.url()).await?, other).await?;
    let refused = open(&database, Install::Adopt).await;
    assert!(matches!(fault(refused)?, Fault::LockOverride { .. }));
    assert!(!open(&database, Install::Nothing).await?.schema().has_additions());
    Ok(())
}

#[tokio::test]
async fn an_adoption_that_gives_up_keeps_nobody_out() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let mut reader = raw(&database.url()).await?;
    execute(&mut reader, "BEGIN; SELECT count(*) FROM messages").await?;
    let refused = open(&database, Install::Adopt).await.unwrap_err();
    assert!(refused.is_unavailable() && refused.to_string().contains("was undone"), "{refused:?}");
    let service = Postgres::connect(&database.url_as("message_store")).await?;
    assert!(!service.schema().has_additions());
    Ok(())
}

/// A server that writes nothing and says nothing, as a trigger can make it.
#[tokio::test]
async fn a_write_that_comes_to_nothing_is_an_error_and_no_endless_try() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let nothing =
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER nothing BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION nothing()";
    execute(&mut raw(&database.url()).await?, nothing).await?;
    let store = Postgres::connect(&database.url()).await?;
    let stream = StreamName::new("account-1")?;
    let refused = store.write(&stream, &messages(0..2)?, ExpectedVersion::Any).await.unwrap_err();
    assert!(format!("{refused:?}").contains("is there a trigger"), "{refused:?}");
    Ok(())
}
