//! Databases that are no store, or not one to write to, and messages that Postgres cannot keep: each
//! is refused with what to do.
//!
//! The laws of a store are in `conformance.rs`; what happens under a write in `faults.rs`.

use evenfold_core::store::{BatchSize, ReadStore, WriteStore};
use evenfold_core::{ExpectedVersion, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Fault, Install, Postgres};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

use crate::common::{MESSAGE_DB, Result, execute, message, messages, raw};

/// The fault that connecting ends with.
async fn fault(url: &str) -> Result<Fault> {
    match Postgres::connect(url).await {
        Ok(store) => Err(format!("opened {store:?}").into()),
        Err(error) => Fault::of(&error).cloned().ok_or_else(|| format!("{error:?}").into()),
    }
}

#[tokio::test]
async fn a_database_without_a_store_is_refused_or_gets_ours_when_that_is_asked_for() -> Result {
    let database = TestDatabase::from_template("template1").await?;
    assert!(matches!(fault(&database.url()).await?, Fault::NotInstalled { .. }));

    let store = Postgres::options().install(Install::Missing).connect(&database.url()).await?;
    assert!(store.schema().is_ours());
    assert_eq!(store.schema().version(), "1.3.0");
    store
        .write(&StreamName::new("account-1")?, &messages(0..3)?, ExpectedVersion::NoStream)
        .await?;

    // Once more is nothing new, and needs no search_path.
    let pool = PgPool::connect(&database.url()).await?;
    assert!(Postgres::install(&pool).await?.is_ours());
    let same = Postgres::from_pool(pool).await?;
    let version = same.stream_version(&StreamName::new("account-1")?).await?;
    assert_eq!(version, Some(Position::new(2)?));
    Ok(())
}

#[tokio::test]
async fn message_db_is_used_as_it_is_and_nothing_is_installed_beside_it() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let store = Postgres::options().install(Install::Missing).connect(&database.url()).await?;
    assert!(!store.schema().is_ours());

    let pool = PgPool::connect(&database.url()).await?;
    let refused = Postgres::install(&pool).await.unwrap_err();
    assert!(Fault::of(&refused).is_some(), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn an_older_message_db_is_used_or_refused_by_its_version() -> Result {
    let database = TestDatabase::from_template("message_db_1_2").await?;
    let store = Postgres::connect(&database.url_as("message_store")).await?;
    assert_eq!(store.schema().version(), "1.2.6");

    let database = TestDatabase::from_template("message_db_1_1").await?;
    for url in [database.url(), database.url_as("message_store")] {
        let fault = fault(&url).await?;
        assert_eq!(fault, Fault::UnsupportedVersion { version: "1.1.6".into() });
    }
    // Not even beside it is anything installed.
    let refused = Postgres::install(&PgPool::connect(&database.url()).await?).await.unwrap_err();
    assert!(matches!(Fault::of(&refused), Some(Fault::UnsupportedVersion { .. })), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_pool_that_does_not_lead_to_the_schema_is_told_what_to_set() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let pool = PgPool::connect(&database.url()).await?;
    let refused = Postgres::from_pool(pool).await.unwrap_err();
    assert!(matches!(Fault::of(&refused), Some(Fault::SearchPath { .. })), "{refused:?}");
    let refused = format!("{refused:?}");
    assert!(refused.contains("SET search_path = public, message_store"), "{refused}");

    // A table of the same name in front of it would be written to instead.
    execute(&mut raw(&database.url()).await?, "CREATE TABLE public.messages (id int)").await?;
    let options: PgConnectOptions = database.url().parse()?;
    let options = options.options([("search_path", "public,message_store")]);
    let refused = Postgres::from_pool(PgPool::connect_with(options).await?).await.unwrap_err();
    assert!(matches!(Fault::of(&refused), Some(Fault::SearchPath { .. })), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_missing_grant_is_named() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let mut owner = raw(&database.url()).await?;
    for (revoke, missing) in [
        ("INSERT ON messages", "INSERT on message_store.messages"),
        ("SELECT ON messages", "SELECT on message_store.messages"),
        ("USAGE ON SCHEMA message_store", "USAGE on schema message_store"),
    ] {
        execute(&mut owner, &format!("REVOKE {revoke} FROM message_store")).await?;
        let fault = fault(&database.url_as("message_store")).await?;
        assert_eq!(fault, Fault::MissingGrant { user: "message_store".into(), missing });
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused() -> Result {
    let database = TestDatabase::from_template("template0").await?;
    let mut owner = raw(&database.url()).await?;
    let name: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut owner).await?;
    let other = database.url().replace(&name, &format!("{name}_ascii"));
    let create =
        format!("CREATE DATABASE {name}_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
    execute(&mut owner, &create).await?;
    let fault = fault(&other).await;
    execute(&mut owner, &format!("DROP DATABASE {name}_ascii WITH (FORCE)")).await?;
    assert!(matches!(fault?, Fault::Encoding { .. }));
    Ok(())
}

#[tokio::test]
async fn what_postgres_cannot_keep_is_refused_with_what_to_do() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let store = Postgres::connect(&database.url()).await?;
    let stream = StreamName::new("account-1")?;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (data, said) in [
        (r#"{"note":"a\u0000b"}"#, "keeps no NUL character"),
        (r#"{"note":"\ud800"}"#, "half of a surrogate pair"),
        (r#"{"amount":1e999999}"#, "write it as a text"),
        (&deep, "nested thousands deep"),
    ] {
        // The JSON reader of the message type itself does not go as deep.
        let Ok(refused) = message(0, data) else { continue };
        let alone =
            store.write(&stream, std::slice::from_ref(&refused), ExpectedVersion::Any).await;
        let batch = [messages(1..2)?, vec![refused]].concat();
        let in_batch = store.write(&stream, &batch, ExpectedVersion::Any).await;
        for refused in [alone, in_batch] {
            let refused = refused.unwrap_err();
            assert!(refused.is_invalid(), "{refused:?}");
            assert!(refused.to_string().contains(said), "{refused}");
        }
    }
    let long = StreamName::new(format!("account-{}", noise(9_000)))?;
    let refused = store.write(&long, &messages(0..1)?, ExpectedVersion::Any).await.unwrap_err();
    assert!(refused.to_string().contains("about 2,600 bytes"), "{refused:?}");
    let page = store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await?;
    assert!(page.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_time_beyond_all_years_that_another_client_wrote_is_the_last_or_the_first() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let store = Postgres::connect(&database.url()).await?;
    let mut owner = raw(&database.url()).await?;
    for (position, (time, year)) in
        [("infinity", 9999), ("20000-01-01", 9999), ("-infinity", -9999)].into_iter().enumerate()
    {
        let insert = format!(
            "INSERT INTO messages (stream_name, type, position, time)
             VALUES ('account-1', 'Opened', {position}, '{time}')"
        );
        execute(&mut owner, &insert).await?;
        let last = store.last_message(&StreamName::new("account-1")?, None).await?;
        assert_eq!(last.map(|message| message.time.year()), Some(year));
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_at_once() -> Result {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let place = listener.local_addr()?;
    drop(listener);
    let refused = Postgres::connect(&format!("postgres://me@{place}/bank")).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused:?}");
    assert!(format!("{refused:?}").contains(&format!("connecting to {place}")), "{refused:?}");
    assert!(format!("{refused:?}").contains("refused"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_message_of_more_than_postgres_keeps_is_refused_before_it_is_kept() -> Result {
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&database.url()).await?;
    let stream = StreamName::new("account-1")?;
    let huge = format!(r#"{{"note":"{}"}}"#, "a".repeat(256 << 20));
    let refused = store.write(&stream, &[message(0, &huge)?], ExpectedVersion::Any).await;
    let refused = refused.unwrap_err();
    assert!(refused.is_invalid(), "{refused}");
    assert!(refused.to_string().contains("no more than 256 MB of JSON"), "{refused}");
    assert_eq!(store.stream_version(&stream).await?, None);
    Ok(())
}

/// A text that cannot be compressed into an index.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from_u32(97 + u32::try_from(state >> 60).unwrap_or_default()).unwrap_or('a')
    });
    letters.take(length).collect()
}
