//! What went wrong is told once, though errors of a driver have the text of their cause in their own.
//!
//! How it is told is decided in evenfold's `Error`, whatever stands beneath; here are the errors of the
//! driver that both stores have, and one that each of them really meets.

use std::io;

use evenfold::Error;
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::Outcome;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// In one line and in several.
fn told(error: &Error) -> [String; 2] {
    [format!("{error:#}"), format!("{error:?}")]
}

#[test]
fn no_cause_is_told_twice() {
    let cause = || "the cause".into();
    let errors = [
        sqlx::Error::Io(io::Error::other("the cause")),
        sqlx::Error::Tls(cause()),
        sqlx::Error::Encode(cause()),
        sqlx::Error::Decode(cause()),
        sqlx::Error::Configuration(cause()),
        sqlx::Error::ColumnDecode { index: "data".into(), source: cause() },
        sqlx::Error::Protocol("the cause".into()),
    ];
    for error in errors {
        for told in told(&Error::failed("reading `account-1`", error)) {
            assert_eq!(told.matches("the cause").count(), 1, "{told}");
        }
    }
}

/// The last message of the stream is of another program, which counts from before the beginning.
async fn is_told_once(url: &str) -> Outcome {
    let store = evenfold::connect(url).await?;
    let stream = "account-1".parse()?;
    let last = store.messages().last_message(&stream, None).await;
    for told in told(&last.err().ok_or("it was read")?) {
        assert!(told.starts_with("reading the end of `account-1`"), "{told}");
        assert_eq!(told.matches("a position cannot be negative").count(), 1, "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_row_on_sqlite_is_told_once() -> Outcome {
    let folder = TempDir::new()?;
    let url = format!("sqlite://{}/bank.db", folder.path().display());
    evenfold::connect(&url).await?;
    let row = "INSERT INTO messages (id, stream_name, category, type, position, time)
         VALUES (zeroblob(16), 'account-1', 'account', 'Opened', -1, 0)";
    sqlx::query(row).execute(&mut SqliteConnection::connect(&url).await?).await?;
    is_told_once(&url).await
}

#[tokio::test]
async fn what_is_wrong_with_a_row_on_postgres_is_told_once() -> Outcome {
    let database = TestDatabase::new().await?;
    let row = "INSERT INTO message_store.messages (stream_name, type, position)
         VALUES ('account-1', 'Opened', -1)";
    sqlx::query(row).execute(&mut PgConnection::connect(&database.url()).await?).await?;
    is_told_once(&database.url()).await
}
