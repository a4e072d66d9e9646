//! Makes a SQLite file with a schema: `scratch FILE MIGRATION…`, in the order given.
//!
//! A part of `cargo xtask prepare`, and an example only so that the driver it needs is not built
//! before every `cargo xtask`. Applications install the schema through `evenfold-sqlite`.

use std::error::Error;
use std::fs;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("usage: scratch FILE MIGRATION…")?;
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await?;
    for migration in args {
        let sql = fs::read_to_string(&migration)?;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .map_err(|error| format!("{migration}: {error}"))?;
    }
    connection.close().await?;
    Ok(())
}
