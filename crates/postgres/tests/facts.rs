//! The facts tell what is wrong with a database, and change nothing of it.

use crate::common::pooler::Pooler;
use crate::common::{MESSAGE_DB, Result, execute, raw};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Facts, Fault, Postgres};

async fn facts(database: &TestDatabase) -> Result<Facts> {
    Ok(Postgres::options().facts(&database.url()).await?)
}

#[tokio::test]
async fn of_a_healthy_store_there_is_nothing_to_tell() -> Result {
    for (database, ours) in [
        (TestDatabase::from_template(MESSAGE_DB).await?, false),
        (TestDatabase::new().await?, true),
    ] {
        for facts in [
            facts(&database).await?,
            Postgres::connect(&database.url()).await?.facts().await?,
            Postgres::options().facts(&database.url_as("message_store")).await?,
        ] {
            let schema = facts.store.as_ref().map_err(Clone::clone)?;
            assert_eq!((schema.is_ours(), schema.version()), (ours, "1.3.0"));
            assert_eq!(facts.migration, ours.then_some(3));
            assert_eq!((facts.leases, schema.has_leases()), (ours, ours));
            assert_eq!(facts.search_path, "message_store,public");
            assert_eq!(facts.isolation, "read committed");
            assert_eq!(facts.sequence_cache, Some(1));
            assert_eq!(facts.lock_override, None);
            assert!(facts.missing_indexes.is_empty(), "{facts:?}");
            assert!(facts.idle_writers.is_empty(), "{facts:?}");
            assert_eq!(facts.transaction_pooler, Some(false));
            assert!(facts.server.starts_with(|digit: char| digit.is_ascii_digit()), "{facts:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_has_facts_too() -> Result {
    let database = TestDatabase::from_template("template1").await?;
    let facts = facts(&database).await?;
    assert!(matches!(facts.store, Err(Fault::NotInstalled { .. })), "{facts:?}");
    assert_eq!((facts.migration, facts.sequence_cache), (None, None));
    assert!(!facts.leases);
    assert_eq!(facts.missing_indexes.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_role_without_rights_hears_which_it_lacks() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let create = "DO $$ BEGIN CREATE ROLE stranger LOGIN; \
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";
        execute(&mut raw(&database.url()).await?, create).await?;
        let facts = Postgres::options().facts(&database.url_as("stranger")).await?;
        assert!(matches!(facts.store, Err(Fault::MissingGrant { .. })), "{facts:?}");
        assert!(facts.missing_indexes.is_empty() && facts.sequence_cache == Some(1), "{facts:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_makes_subscribers_miss_messages_is_told() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let mut owner = raw(&database.url()).await?;
    execute(&mut owner, "ALTER SEQUENCE messages_global_position_seq CACHE 20").await?;
    execute(&mut owner, "DROP INDEX messages_id").await?;
    let unlocked = "CREATE OR REPLACE FUNCTION acquire_lock(stream_name varchar) RETURNS bigint
        LANGUAGE sql AS 'SELECT 1::bigint'";
    execute(&mut owner, unlocked).await?;
    let told = facts(&database).await?;
    assert_eq!(told.sequence_cache, Some(20));
    assert_eq!(told.missing_indexes, ["messages_id"]);
    assert_eq!(told.lock_override.as_deref(), Some("acquire_lock(character varying)"));
    Ok(())
}

#[tokio::test]
async fn a_writer_that_does_nothing_is_named() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let mut writer = raw(&database.url()).await?;
    let name = "SET application_name = 'teller'; BEGIN;
        SELECT write_message(gen_random_uuid()::varchar, 'account-1', 'Opened', '{}')";
    execute(&mut writer, name).await?;
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut writer).await?;

    let [idle] = &facts(&database).await?.idle_writers[..] else { return Err("none".into()) };
    assert_eq!((idle.process, idle.application.as_deref()), (process, Some("teller")));
    assert!(idle.since.is_some());
    // A role that may not look at others still learns which process it is.
    let of_other = Postgres::options().facts(&database.url_as("message_store")).await?;
    let [idle] = &of_other.idle_writers[..] else { return Err("none".into()) };
    assert_eq!((idle.process, idle.since), (process, None));

    execute(&mut writer, "COMMIT").await?;
    assert!(facts(&database).await?.idle_writers.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_seen() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    for sessions in [1, 4] {
        let pooler = Pooler::start(sessions)?;
        let url = pooler.url(&database, "message_store") + "&pooler=transaction";
        let facts = Postgres::options().facts(&url).await?;
        assert!(facts.transaction_pooler == Some(true) && facts.store.is_ok(), "{facts:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pooler_with_more_sessions_than_it_needs_is_seen() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    // Each call goes to the session that is at rest for longest, so one that is kept is missed by none.
    let turns = "pool_mode = transaction\ndefault_pool_size = 2\nserver_round_robin = 1\n\
        ignore_startup_parameters = extra_float_digits\n";
    let pooler = Pooler::with(turns, &[])?;
    let url = pooler.url(&database, "message_store");
    let (mut one, mut other) = (raw(&url).await?, raw(&url).await?);
    execute(&mut one, "BEGIN").await?;
    execute(&mut other, "SELECT 1").await?;
    execute(&mut one, "COMMIT").await?;
    let facts = Postgres::options().facts(&(url + "&pooler=transaction")).await?;
    assert_eq!(facts.transaction_pooler, Some(true));
    Ok(())
}
