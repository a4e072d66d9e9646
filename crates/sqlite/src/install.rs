//! Opening the file: made when missing, its schema brought up to date, one writer beside readers.
//!
//! Owns what a person reads when the file cannot be opened. Which file it is and how it is opened
//! stands in `options.rs`; the schema in `migrations/`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::store::BatchSize;
use evenfold_core::{Error, SystemClock};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::time::{Instant, sleep};

use crate::error::{code, is_busy, primary_code, said, while_doing};
use crate::{Durability, Options, Sqlite};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// How long a call waits for another process, or a transaction of a handler, to be done with the file.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn open(path: &Path, options: Options) -> Result<Sqlite, Error> {
    let writer = writer(path, options).await?;
    // They are made as they are needed, from a file that is there and in order.
    let readers = pool(options.readers).connect_lazy_with(connection(path, options));
    let clock = Arc::new(SystemClock);
    Ok(Sqlite { path: path.into(), writer, readers, clock, held: Arc::default() })
}

/// The one connection that writes, on a file with the schema of this release.
async fn writer(path: &Path, options: Options) -> Result<SqlitePool, Error> {
    let doing = format!("opening `{}`", path.display());
    // Write-ahead log: readers do not wait for the writer, nor the writer for readers.
    let connection = connection(path, options).journal_mode(SqliteJournalMode::Wal);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let failed = match pool(1).connect_with(connection.clone()).await {
            Ok(writer) => match migrate(&writer).await {
                Ok(()) => return Ok(writer),
                Err(error) => {
                    writer.close().await;
                    error
                }
            },
            Err(error) => error.into(),
        };
        let error = match failed {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
            other => sqlx::Error::Migrate(Box::new(other)),
        };
        if is_busy(&error) && Instant::now() < deadline {
            // Nobody signals that a file's lock is free, and SQLite itself does not wait for it
            // while another process makes the file or turns on its write-ahead log.
            sleep(Duration::from_millis(5)).await;
            continue;
        }
        return Err(match advice(path, &error) {
            Some(advice) => Error::failed(format!("{doing}: {advice}"), said(error)),
            None => while_doing(doing, error),
        });
    }
}

fn connection(path: &Path, options: Options) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        // A page goes through it whole: reader and worker do not take turns row by row.
        .row_buffer_size(BatchSize::DEFAULT.as_len())
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(PATIENCE)
        .synchronous(match options.durability {
            Durability::Normal => SqliteSynchronous::Normal,
            Durability::Full => SqliteSynchronous::Full,
        })
}

/// A connection is a thread of this process and a handle of a file: it does not age, and is there
/// or the process is not, so it is neither tested nor replaced.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(None)
}

/// Brings the schema up to date, all of it or nothing, while other processes wait to look: the
/// migrations run within the transaction that begins here.
async fn migrate(writer: &SqlitePool) -> Result<(), MigrateError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATOR.run_direct(None, &mut *transaction, false).await?;
    // A file that can only be read lets even this transaction begin; a statement that could write
    // is refused before it looks for a row.
    sqlx::query!("UPDATE messages SET type = type WHERE global_position = -1")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// What to do about a file that cannot be opened, where that is known.
fn advice(path: &Path, error: &sqlx::Error) -> Option<String> {
    if let sqlx::Error::Migrate(error) = error {
        return match **error {
            MigrateError::VersionMissing(version) => Some(format!(
                "its schema is of a later release, with migration {version}; update evenfold"
            )),
            MigrateError::VersionMismatch(version) => Some(format!(
                "its migration {version} is not the one of this release; \
                 open it with the build of evenfold that made it"
            )),
            _ => None,
        };
    }
    let advice = match primary_code(error)? {
        code::CANTOPEN if path.is_dir() => "this is a folder; name a file",
        code::CANTOPEN => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                return Some(format!("its folder `{}` is missing; make it", folder.display()));
            }
            _ => "the file or its folder may not be read and written by this user; allow it",
        },
        code::NOTADB => "this is not a SQLite file; name another",
        code::READONLY => {
            "it can only be read, and a store writes to its file and the folder around it; \
             allow that, or name another"
        }
        code::CORRUPT => "the file is damaged; restore it from a backup",
        _ if error.to_string().contains("already exists") => {
            "it has a table of another application under one of our names; name another file"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}
