//! Every read and write walks an index, whatever is in the file and whether it was analysed.
//!
//! The queries are those that the crate was checked with, taken from `.sqlx`: none is forgotten.
//! A plan that changed is accepted with `UPDATE_EXPECT=1`, after a look at what it walks now.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use evenfold_core::message::NewMessage;
use evenfold_core::store::WriteStore;
use evenfold_core::{ExpectedVersion, StreamName};
use evenfold_sqlite::Sqlite;
use expect_test::{ExpectFile, expect_file};
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};
use uuid::Uuid;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[tokio::test]
async fn every_query_walks_an_index_whether_the_file_was_analysed_or_not() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("plans.db");
    fill(&file).await?;

    let mut connection = SqliteConnectOptions::new().filename(&file).connect().await?;
    plans(&mut connection, &expect_file!["plans.txt"]).await?;
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await?;
    connection.close().await?;

    // What `ANALYZE` found is read when a file is opened.
    let mut connection = SqliteConnectOptions::new().filename(&file).connect().await?;
    plans(&mut connection, &expect_file!["plans.txt"]).await?;
    connection.close().await?;
    Ok(())
}

/// A plan says the same of a walk through the whole stream, so this looks at the steps themselves.
#[tokio::test]
async fn a_write_finds_the_version_at_the_end_of_the_stream() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("steps.db");
    Sqlite::connect(&format!("sqlite://{}", file.display())).await?.close().await;
    let mut connection = SqliteConnectOptions::new().filename(&file).connect().await?;
    let (mut inserts, mut backwards) = (0, 0);
    for query in queries()?.iter().filter(|query| query.starts_with("INSERT INTO messages")) {
        let explain = AssertSqlSafe(format!("EXPLAIN {query}"));
        let steps = sqlx::query(explain).fetch_all(&mut connection).await?;
        let steps: Vec<String> =
            steps.iter().map(|step| step.try_get("opcode")).collect::<sqlx::Result<_>>()?;
        inserts += 1;
        backwards += steps.iter().filter(|step| *step == "Prev").count();
    }
    assert_eq!((inserts, backwards), (2, 2));
    connection.close().await?;
    Ok(())
}

/// A frequent category of few streams, a category of many streams, and a rare one.
async fn fill(file: &Path) -> Result {
    let store = Sqlite::connect(&format!("sqlite://{}", file.display())).await?;
    let data = RawValue::from_string(r#"{"amount":5}"#.into())?;
    let mut id = 0;
    for batch in 0..60 {
        for stream in [format!("account-{}", batch % 3), format!("transfer-{batch}")] {
            let batch = (0..50).map(|_| {
                id += 1;
                NewMessage::new(Uuid::from_u128(id), "Deposited", &data)
            });
            let batch = batch.collect::<std::result::Result<Vec<_>, _>>()?;
            store.write(&StreamName::new(stream)?, &batch, ExpectedVersion::Any).await?;
        }
    }
    let rare = [NewMessage::new(Uuid::nil(), "Opened", &data)?];
    store.write(&StreamName::new("audit-1")?, &rare, ExpectedVersion::NoStream).await?;
    store.close().await;
    Ok(())
}

async fn plans(connection: &mut SqliteConnection, expected: &ExpectFile) -> Result {
    let mut actual = String::new();
    for query in queries()? {
        let explain = format!("EXPLAIN QUERY PLAN {query}");
        let plan = sqlx::query(AssertSqlSafe(explain)).fetch_all(&mut *connection).await?;
        writeln!(actual, "{query}")?;
        for step in plan {
            let step: String = step.try_get("detail")?;
            assert!(!step.starts_with("SCAN messages"), "{step} in\n{query}");
            writeln!(actual, "    > {step}")?;
        }
        actual.push('\n');
    }
    expected.assert_eq(&actual);
    Ok(())
}

/// The queries of this crate, each on one line.
fn queries() -> Result<BTreeSet<String>> {
    let mut queries = BTreeSet::new();
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx").read_dir()? {
        let query: Value = serde_json::from_str(&std::fs::read_to_string(entry?.path())?)?;
        let text = |key| query.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("db_name") == "SQLite" {
            let sql = text("query");
            queries.insert(sql.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    Ok(queries)
}
