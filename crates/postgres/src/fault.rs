//! Why a database cannot be used as a store, and what to do about it.
//!
//! Owns the texts alone; `schema.rs` finds the faults.

use std::error::Error as _;
use std::time::Duration;

use evenfold_core::Error;

use crate::hosts::{Asked, Target};

/// Why a database cannot be used as a message store; each text says what to do.
///
/// It is the source of the error that [`Postgres::connect`](crate::Postgres::connect) ends with, or a
/// later call: a write to a store for reading, say, or a cursor over several categories.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no message store.
    #[error(
        "database `{database}` has no message store; install ours by `Postgres::install` or \
         `install=yes` in the URL, or Message DB by its own scripts"
    )]
    NotInstalled {
        /// The database.
        database: String,
    },
    /// A store that is not ours stands where ours was to be installed.
    #[error(
        "Message DB {version} is installed already; connect to it as it is, or add our functions \
         beside its own by `Postgres::adopt` or `install=adopt` in the URL"
    )]
    InstalledByOthers {
        /// The version that is installed.
        version: String,
    },
    /// Message DB is too old, or of a later kind.
    #[error(
        "the Message DB here is of version {version}, and evenfold works with 1.2 and later 1.x; \
         bring it up to date by Message DB's update scripts"
    )]
    UnsupportedVersion {
        /// The version that is installed.
        version: String,
    },
    /// Our schema is that of an earlier release.
    #[error(
        "the message store is at migration {applied}, and this release of evenfold needs {needed}; \
         run `Postgres::install`, or write `install=yes` in the URL, as a role that owns the schema"
    )]
    Outdated {
        /// The last migration that was run.
        applied: i64,
        /// The last migration of this release.
        needed: i64,
    },
    /// Our schema is that of a later release, which made a break.
    #[error(
        "the message store is at migration {applied}, a break that a later release of evenfold made; \
         this release knows migrations up to {known}, so use that later release"
    )]
    LaterRelease {
        /// The last migration that was run.
        applied: i64,
        /// The last migration of this release.
        known: i64,
    },
    /// Migrations need one session, which a pooler in transaction mode does not give.
    #[error(
        "nothing is installed through a pooler in transaction mode; install by a URL that leads to \
         the server itself, and without `install=` in this one"
    )]
    InstallThroughPooler,
    /// The functions of Message DB would not find each other.
    #[error(
        "the search_path of role `{user}` in database `{database}` does not lead to schema \
         message_store, as the functions of Message DB need; run `ALTER ROLE {} IN DATABASE {} SET \
         search_path = public, message_store`, or let evenfold connect by a URL",
        quoted(user),
        quoted(database)
    )]
    SearchPath {
        /// The database.
        database: String,
        /// The role that connected.
        user: String,
    },
    /// The lock on categories is another than that of Message DB: a writer who takes the one does not
    /// wait for who takes the other, and a reader of several categories does not see who holds it.
    #[error(
        "the Message DB here takes its locks by another function, {function}, so neither our functions \
         nor readers of several categories would wait for its writers; put Message DB's own \
         acquire_lock in its place"
    )]
    LockOverride {
        /// The function.
        function: String,
    },
    /// Sessions keep global positions back, so who reads by them misses messages.
    #[error(
        "the sequence of global positions gives a session {cache} numbers at a time, so they are not \
         in the order of writes; run `ALTER SEQUENCE message_store.messages_global_position_seq CACHE 1` \
         as the owner of the schema, and let sessions that wrote before end"
    )]
    SequenceCache {
        /// How many numbers a session takes.
        cache: i64,
    },
    /// The role may not do what a store does.
    #[error(
        "role `{user}` lacks {missing}; run `GRANT message_store TO {}` as an administrator of that \
         role, or grant that alone as the owner of the schema",
        quoted(user)
    )]
    MissingGrant {
        /// The role that connected.
        user: String,
        /// The first privilege that is missing.
        missing: &'static str,
    },
    /// The server is a standby.
    #[error(
        "the server of database `{database}` is a standby, which only reads; name the primary, or open \
         the store for reading by `target_session_attrs=standby` in the URL"
    )]
    Standby {
        /// The database.
        database: String,
    },
    /// The sessions of the role only read.
    #[error(
        "the sessions of role `{user}` in database `{database}` only read, for \
         default_transaction_read_only is on; turn it off for this role or database, or open the store \
         for reading by `target_session_attrs=read-only` in the URL"
    )]
    ReadOnly {
        /// The database.
        database: String,
        /// The role that connected.
        user: String,
    },
    /// None of the hosts of the URL suits what the store is for.
    #[error("no host is one for `target_session_attrs={target}`: {}", listed(hosts))]
    NoHost {
        /// What the store is for.
        target: Target,
        /// What each host answered.
        hosts: Vec<Asked>,
    },
    /// As many writes of this process to a category as may wait already, and did so for as long as a
    /// connection is waited for.
    #[error(
        "{waiting} writes of this process to this category wait for those before them, or fewer that are \
         large, and no room came free for one more in 10 seconds; is the server slow, or does a transaction \
         hold the lock of a category?"
    )]
    QueueFull {
        /// How many may wait.
        waiting: usize,
    },
    /// A write waited for those before it of this process to its category twice as long as a connection is
    /// waited for. It was not sent then.
    #[error(
        "the write waited {} seconds for those of this process to its category before it; is the server \
         slow, or does a transaction hold the lock of a category?",
        waited.as_secs()
    )]
    TurnTooLate {
        /// For how long.
        waited: Duration,
    },
    /// The store was opened for reading.
    #[error(
        "this store is for reading, as `target_session_attrs={target}` says; write by one that is \
         opened without it"
    )]
    ForReading {
        /// What the store is for.
        target: Target,
    },
    /// The database does not keep every text.
    #[error(
        "the encoding of database `{database}` is {encoding}, and messages need UTF8; make one by \
         `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding {
        /// The database.
        database: String,
        /// Its encoding.
        encoding: String,
    },
}

impl Fault {
    /// The fault in an error, if that is what it is about.
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

fn listed(hosts: &[Asked]) -> String {
    hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A name as SQL takes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
