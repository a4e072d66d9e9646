//! Asks a Postgres database for the queries of a folder: `describe URL FOLDER INTO`.
//!
//! A part of `cargo xtask prepare`, and an example only so that the driver it needs is not built
//! before every `cargo xtask`. Which answers must be equal is decided in `src/prepare.rs`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr};

/// Writes a file of the same name for each, in which `describe` is what this database says, or which
/// has its `error`. It is the question that the macros ask, which is why nothing is compiled again.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("usage: describe URL FOLDER INTO");
    let (url, from, into) = (next()?, PathBuf::from(next()?), PathBuf::from(next()?));
    let mut connection = PgConnection::connect(&url).await?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let mut query: Value = serde_json::from_str(&fs::read_to_string(entry.path())?)?;
        let text = |key| query.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("db_name") != "PostgreSQL" {
            continue;
        }
        let sql = AssertSqlSafe(text("query").to_owned()).into_sql_str();
        let (key, answer) = match connection.describe(sql).await {
            Ok(description) => ("describe", serde_json::to_value(description)?),
            Err(error) => ("error", json!(error.to_string())),
        };
        query.as_object_mut().ok_or("no query")?.insert(key.to_owned(), answer);
        fs::write(into.join(entry.file_name()), query.to_string())?;
    }
    connection.close().await?;
    Ok(())
}
