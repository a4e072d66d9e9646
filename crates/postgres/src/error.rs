//! From an error of the driver to one of core: what went wrong while doing what.
//!
//! Owns which of Postgres's codes mean that the store did not answer, that a writer was too late, or
//! that a value cannot be kept. What to do about a database that is not a store is in `fault.rs`.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use evenfold_core::Error;
use evenfold_core::error::{BoxError, Invalid};
use sqlx::error::{DatabaseError, ErrorKind};

use crate::fault::Fault;

/// Codes of Postgres: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
mod code {
    pub(super) const RAISED: &str = "P0001";
    pub(super) const UNIQUE_VIOLATION: &str = "23505";
    pub(super) const SERIALIZATION_FAILURE: &str = "40001";
    pub(super) const DEADLOCK: &str = "40P01";
    pub(super) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(super) const QUERY_CANCELED: &str = "57014";
    pub(super) const READ_ONLY: &str = "25006";
    pub(super) const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub(super) const UNDEFINED_FUNCTION: &str = "42883";
    pub(super) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(super) const UNKNOWN_STATEMENT: &str = "26000";
    pub(super) const KNOWN_STATEMENT: &str = "42P05";
    pub(super) const NOT_IN_ENCODING: &str = "22021";
    pub(super) const UNTRANSLATABLE: &str = "22P05";
    pub(super) const BAD_TEXT: &str = "22P02";
    pub(super) const OUT_OF_RANGE: &str = "22003";
    /// Its kind of errors: too large, too deep.
    pub(super) const OVER_LIMIT: &str = "54";
}

/// What Message DB raises when a stream is not at the expected version.
const WRONG_VERSION: &str = "Wrong expected version: ";

/// The error of something that was being done, as in "reading `account-1`".
pub(crate) fn while_doing(doing: impl fmt::Display, error: sqlx::Error) -> Error {
    let code = code_of(&error);
    if let Some(refused) = code.as_deref().and_then(|code| refused(code, &error)) {
        return refused.into();
    }
    let code = code.as_deref().unwrap_or_default();
    let doing = match hint(code, &error) {
        Some(hint) => format!("{doing}: {hint}"),
        None => doing.to_string(),
    };
    let passes = is_lost(&error) || is_passing(code) || is_out_of_turn(&error);
    let for_good = is_of_pooler(code, &error);
    if passes && !for_good {
        Error::unavailable(doing, said(error))
    } else {
        Error::failed(doing, said(error))
    }
}

/// What the server said, or we did, or the driver.
fn said(error: sqlx::Error) -> BoxError {
    match error {
        sqlx::Error::Database(said) => Said(said).into(),
        sqlx::Error::Configuration(fault) => fault,
        other => other.into(),
    }
}

/// What the server said, without the line of its own source that the driver adds.
#[derive(Debug)]
struct Said(Box<dyn DatabaseError>);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl StdError for Said {}

/// What to do, where the server's own words do not say it.
fn hint(code: &str, error: &sqlx::Error) -> Option<&'static str> {
    match code {
        code::READ_ONLY => {
            Some("this transaction only reads, as each does on a standby; connect to the primary")
        }
        code::DEADLOCK => Some(
            "another transaction and this one wait for each other; roll this one back, which lets the \
             other go on, and make it again, writing to several categories in one order everywhere",
        ),
        code::UNDEFINED_FUNCTION => Some(
            "Message DB is not found; does the search_path of this session lead to message_store? \
             Behind a pooler it is set on the role or the database",
        ),
        _ if is_of_pooler(code, error) => Some(
            "a pooler in transaction mode stands before the server; write `pooler=transaction` in \
             the URL, or choose it in the options",
        ),
        _ if matches!(error, sqlx::Error::PoolTimedOut) => Some(
            "no connection was had in time: the server does not answer, or all connections are in use",
        ),
        _ if matches!(error, sqlx::Error::Tls(_)) && !cfg!(feature = "tls") => {
            Some("build with the feature `tls`, of evenfold or of evenfold-postgres")
        }
        _ => None,
    }
}

/// A value that Postgres cannot keep, with what to do about it.
fn refused(code: &str, error: &sqlx::Error) -> Option<Invalid> {
    let rule = match code {
        code::UNTRANSLATABLE | code::NOT_IN_ENCODING => {
            "Postgres keeps no NUL character in a text or in JSON, not even as `\\u0000`; \
             take it out, or encode what is binary, as in base64"
        }
        code::BAD_TEXT => {
            "Postgres refuses this JSON; a text in it may hold half of a surrogate pair, \
             as in `\\ud800`"
        }
        code::OUT_OF_RANGE => "a number is outside of what Postgres keeps; write it as a text",
        _ if code.starts_with(code::OVER_LIMIT) && is_of_index(error) => {
            "Postgres keeps no stream name or category of more than about 2,600 bytes; shorten it"
        }
        _ if code.starts_with(code::OVER_LIMIT) => {
            "Postgres keeps no more than 256 MB of JSON, and nothing nested thousands deep, in a \
             message; keep large content elsewhere and write down where"
        }
        _ => return None,
    };
    let said = error.as_database_error().map(DatabaseError::message).unwrap_or_default();
    Some(Invalid::new("message", said, rule))
}

/// Whether a pooler in transaction mode stands in the way: it gave our statement to a session that
/// does not know it, or knows another by its name; or it refused what a session sets for itself.
fn is_of_pooler(code: &str, error: &sqlx::Error) -> bool {
    let said = || error.as_database_error().map(DatabaseError::message).unwrap_or_default();
    match code {
        code::UNKNOWN_STATEMENT | code::KNOWN_STATEMENT => true,
        code::PROTOCOL_VIOLATION => said().contains("unsupported startup parameter"),
        _ => false,
    }
}

/// Whether a value is too large to be found by.
fn is_of_index(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with("index row"))
}

/// Whether the connection went away under a call, so that nobody knows how it ended.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        // The connection itself, and a server that shuts down or starts.
        _ => code_of(error).is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
    }
}

/// Whether the call never had a connection.
fn is_out_of_turn(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Configuration(fault) => {
            matches!(
                fault.downcast_ref(),
                Some(Fault::NoHost { .. } | Fault::QueueFull { .. } | Fault::TurnTooLate { .. })
            )
        }
        _ => false,
    }
}

/// Whether another host may be the right one by now.
pub(crate) fn is_of_host(error: &sqlx::Error) -> bool {
    is_lost(error) || is_out_of_turn(error) || has_code(error, code::READ_ONLY)
}

/// Whether the same call may succeed later without anyone changing it.
fn is_passing(code: &str) -> bool {
    use code::{
        DEADLOCK, LOCK_NOT_AVAILABLE, QUERY_CANCELED, READ_ONLY, SERIALIZATION_FAILURE,
        TOO_MANY_CONNECTIONS,
    };
    matches!(
        code,
        DEADLOCK
            | LOCK_NOT_AVAILABLE
            | QUERY_CANCELED
            | READ_ONLY
            | SERIALIZATION_FAILURE
            | TOO_MANY_CONNECTIONS
    )
}

/// Whom an error of writers who were written together befalls.
pub(crate) enum Scope {
    /// One of them, by a value of its own.
    Item,
    /// Them together: what takes too long so, or meets others in another order, may go well one by one.
    Together(Whole),
    /// All of them, in any company.
    All(Whole),
}

impl Scope {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::All(Whole::Io(error.kind(), error.to_string().into())),
            sqlx::Error::PoolTimedOut => Self::All(Whole::NoConnection),
            sqlx::Error::PoolClosed => Self::All(Whole::Closed),
            sqlx::Error::Configuration(fault) => fault
                .downcast_ref()
                .map_or(Self::Item, |it| Self::All(Whole::Fault(Fault::clone(it)))),
            sqlx::Error::Tls(how) => Self::All(Whole::Tls(how.to_string().into())),
            sqlx::Error::Database(said) => Self::of_code(&said.code().unwrap_or_default(), &**said),
            _ if is_lost(error) => {
                Self::All(Whole::Io(io::ErrorKind::Other, error.to_string().into()))
            }
            _ => Self::Item,
        }
    }

    /// By the class, of which some are of the server, the session or the schema, and no value's.
    fn of_code(code: &str, said: &dyn DatabaseError) -> Self {
        const OF_ALL: [&str; 13] =
            ["08", "25", "26", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "XX"];
        let whole = || {
            let said = said.message().into();
            Whole::Answer(Answer { code: code.into(), said })
        };
        match code {
            code::DEADLOCK | code::QUERY_CANCELED => Self::Together(whole()),
            // By a rule on rows, it may be about one of them.
            code::INSUFFICIENT_PRIVILEGE => Self::Item,
            _ if OF_ALL.iter().any(|class| code.starts_with(class)) => Self::All(whole()),
            _ => Self::Item,
        }
    }
}

/// What befell more than one: no answer, or one that is about none of them.
#[derive(Clone, Debug)]
pub(crate) enum Whole {
    Io(io::ErrorKind, Arc<str>),
    NoConnection,
    Closed,
    Tls(Arc<str>),
    Fault(Fault),
    Answer(Answer),
}

impl From<Whole> for sqlx::Error {
    fn from(whole: Whole) -> Self {
        match whole {
            Whole::Io(kind, how) => Self::Io(io::Error::new(kind, &*how)),
            Whole::NoConnection => Self::PoolTimedOut,
            Whole::Closed => Self::PoolClosed,
            Whole::Tls(how) => Self::Tls((*how).into()),
            Whole::Fault(fault) => Self::Configuration(fault.into()),
            Whole::Answer(answer) => Self::Database(Box::new(answer)),
        }
    }
}

/// What the server said, for more than one to hear.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{said}")]
pub(crate) struct Answer {
    code: Arc<str>,
    said: Arc<str>,
}

impl DatabaseError for Answer {
    fn message(&self) -> &str {
        &self.said
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.code))
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// Why a write was refused by the store itself, where that is not the fault of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The stream is not at the expected version.
    Version,
    /// An id is known.
    Id,
    /// Another writer took the position: without the category lock, or behind our snapshot.
    Position,
}

pub(crate) fn refusal(error: &sqlx::Error) -> Option<Refusal> {
    let database = error.as_database_error()?;
    refusal_of(&database.code()?, database.message(), database.constraint())
}

/// The same by the parts of an error: its code, what was said, and the constraint that was violated.
pub(crate) fn refusal_of(code: &str, said: &str, constraint: Option<&str>) -> Option<Refusal> {
    match (code, constraint) {
        (code::RAISED, _) if said.starts_with(WRONG_VERSION) => Some(Refusal::Version),
        (code::UNIQUE_VIOLATION, Some("messages_id")) => Some(Refusal::Id),
        (code::UNIQUE_VIOLATION, Some("messages_stream")) | (code::SERIALIZATION_FAILURE, _) => {
            Some(Refusal::Position)
        }
        _ => None,
    }
}

/// Whether the whole transaction is to be made again, whatever its statement was.
pub(crate) fn is_of_transaction(error: &sqlx::Error) -> bool {
    has_code(error, code::SERIALIZATION_FAILURE)
}

/// Whether the role lacks a right.
pub(crate) fn is_not_allowed(error: &sqlx::Error) -> bool {
    has_code(error, code::INSUFFICIENT_PRIVILEGE)
}

/// Whether the statement named a function that is not there.
pub(crate) fn is_missing(error: &sqlx::Error) -> bool {
    has_code(error, code::UNDEFINED_FUNCTION)
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    code_of(error).is_some_and(|found| found == code)
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope_of(code: &str) -> Scope {
        let answer = Answer { code: code.into(), said: "as the server said".into() };
        Scope::of(&sqlx::Error::Database(Box::new(answer)))
    }

    #[test]
    fn what_the_server_lacks_befalls_all_and_what_a_value_has_its_writer_alone() {
        for code in ["53100", "53200", "42883", "28P01", "25006", "57P01", "XX000"] {
            assert!(matches!(scope_of(code), Scope::All(_)), "{code}");
        }
        for code in ["22P02", "23514", "42501", "54000", code::RAISED, "EV001"] {
            assert!(matches!(scope_of(code), Scope::Item), "{code}");
        }
        for code in [code::DEADLOCK, code::QUERY_CANCELED] {
            assert!(matches!(scope_of(code), Scope::Together(_)), "{code}");
        }
    }

    #[test]
    fn what_all_are_told_is_what_one_would_hear() {
        let closed = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        let (alone, Scope::All(whole)) = (closed.to_string(), Scope::of(&closed.into())) else {
            panic!("a lost connection is nobody's fault");
        };
        let told = sqlx::Error::from(whole);
        assert!(is_lost(&told), "{told:?}");
        assert!(told.to_string().contains(&alone), "{told}");
    }
}
