//! From an error of the driver to one of core: what went wrong while doing what.
//!
//! Owns which of SQLite's codes mean that the store did not answer. What to do about a file that
//! cannot be opened is in `install.rs`; conflicts and known ids are settled in `write.rs`.

use std::fmt;

use evenfold_core::Error;
use evenfold_core::error::BoxError;

/// Codes of SQLite, without the detail in their higher bits: <https://sqlite.org/rescode.html>.
pub(crate) mod code {
    pub(crate) const BUSY: i32 = 5;
    pub(crate) const LOCKED: i32 = 6;
    pub(crate) const READONLY: i32 = 8;
    pub(crate) const IOERR: i32 = 10;
    pub(crate) const CORRUPT: i32 = 11;
    pub(crate) const FULL: i32 = 13;
    pub(crate) const CANTOPEN: i32 = 14;
    pub(crate) const PROTOCOL: i32 = 15;
    pub(crate) const NOTADB: i32 = 26;
}

/// The error of something that was being done, as in "reading `account-1`".
pub(crate) fn while_doing(doing: impl fmt::Display, error: sqlx::Error) -> Error {
    let doing = match hint(&error) {
        Some(hint) => format!("{doing}: {hint}"),
        None => doing.to_string(),
    };
    if is_unavailable(&error) {
        Error::unavailable(doing, said(error))
    } else {
        Error::failed(doing, said(error))
    }
}

/// What it is about, where SQLite's own words do not say it. Who has the file is not known.
fn hint(error: &sqlx::Error) -> Option<&'static str> {
    // With a detail in its higher bits the code tells another story.
    (code_of(error)? == code::BUSY).then_some(
        "another connection had the file for 5 seconds, of another process or of another store in this \
         one; if that is in the transaction of a handler that waits for this, write in the transaction, \
         by `.through(context)`",
    )
}

/// What SQLite said, or the driver.
pub(crate) fn said(error: sqlx::Error) -> BoxError {
    match error {
        sqlx::Error::Database(said) => said.into_error(),
        other => other.into(),
    }
}

/// Whether the same call may succeed later without anyone changing it.
fn is_unavailable(error: &sqlx::Error) -> bool {
    use code::{BUSY, FULL, IOERR, LOCKED, PROTOCOL};
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => true,
        _ => matches!(primary_code(error), Some(BUSY | LOCKED | IOERR | FULL | PROTOCOL)),
    }
}

pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::BUSY | code::LOCKED | code::PROTOCOL))
}

pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// The kind of a SQLite error, which is the lowest byte of its code.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    code_of(error).map(|code| code & 0xff)
}

fn code_of(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
