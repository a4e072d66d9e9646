//! What a person asks of a database that a store does not work well with.
//!
//! Owns the questions, which change nothing and need no right but to connect. What keeps a store from
//! being opened at all is found by `schema.rs`, and is one of the facts.

use std::time::Duration;

use evenfold_core::Error;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row, query, query_as, query_scalar, raw_sql};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::connections::Connections;
use crate::error::while_doing;
use crate::fault::Fault;
use crate::hosts::{Asked, Role, name};
use crate::install;
use crate::schema::{Schema, has_leases, look};

/// How long a session is waited for that a pooler may have to give, when we hold it ourselves.
const PATIENCE: Duration = Duration::from_secs(1);

/// A pooler is found that has up to so many sessions at rest.
const SESSIONS_KEPT: usize = 4;

/// What is known of a database, from [`Options::facts`](crate::Options::facts).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// The version of the server, as in `15.18`.
    pub server: String,
    /// The host that answered, as in `db.example:5432`, or the folder of its socket.
    pub host: String,
    /// What that is.
    pub role: Role,
    /// What each host that is known says that it is; where the store was opened on an application's
    /// pool, the one that this leads to.
    pub hosts: Vec<Asked>,
    /// The store, or why a store cannot be opened.
    pub store: Result<Schema, Fault>,
    /// The last migration of evenfold that was run; none where none was.
    pub migration: Option<i64>,
    /// Whether leases are installed, and this role may use them.
    pub leases: bool,
    /// The `search_path` of the session.
    pub search_path: String,
    /// The isolation that a transaction has which asks for none. Where it is not `read committed`, a
    /// writer that waited for another one ends in a conflict more often.
    pub isolation: String,
    /// How many numbers a session takes from the sequence of global positions at a time; none where
    /// there is no store. Where it is not 1, positions are not in the order of commits, and
    /// subscribers miss messages.
    pub sequence_cache: Option<i64>,
    /// The function that takes the lock of a category, where that is not Message DB's own: one that
    /// stands before it in the `search_path` of the session, or was put in its place. Writers that do
    /// not lock as others do make subscribers miss messages.
    pub lock_override: Option<String>,
    /// Indexes of a store that are missing or not valid.
    pub missing_indexes: Vec<&'static str>,
    /// Whether a pooler was seen that leads the transactions of one client to several sessions. Not
    /// seen is no proof that there is none; none says that it could not be tried.
    pub transaction_pooler: Option<bool>,
    /// Sessions that do nothing and have written, or hold a lock as that of a category is: nobody
    /// writes to that category until they go on.
    pub idle_writers: Vec<IdleWriter>,
}

/// A session that holds what others wait for, and does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdleWriter {
    /// The process of the server, for `pg_terminate_backend`.
    pub process: i32,
    /// Its role; unknown where we may not know of the sessions of others.
    pub user: Option<String>,
    /// What it called itself; unknown in the same case.
    pub application: Option<String>,
    /// When its transaction began; unknown in the same case, and then it may be busy.
    pub since: Option<OffsetDateTime>,
}

impl Facts {
    /// Asks the database that these connections lead to.
    pub(crate) async fn of(on: &Connections) -> Result<Self, Error> {
        Self::ask(on).await.map_err(|error| while_doing("asking about the message store", error))
    }

    async fn ask(on: &Connections) -> Result<Self, sqlx::Error> {
        let found = look(on).await?;
        let session = query!(
            r#"
            SELECT
                current_setting('server_version') AS "server!",
                pg_is_in_recovery() AS "standby!",
                current_setting('transaction_read_only') = 'on' AS "only_reads!",
                current_setting('search_path') AS "search_path!",
                current_setting('default_transaction_isolation') AS "isolation!",
                (
                    SELECT cache_size FROM pg_catalog.pg_sequences
                    WHERE schemaname = 'message_store'
                        AND sequencename = 'messages_global_position_seq'
                ) AS sequence_cache
            "#,
        )
        .fetch_one(on.alone())
        .await?;
        Ok(Self {
            server: session.server.split(' ').take(1).collect(),
            host: name(&on.options()),
            role: Role::told(session.standby, session.only_reads),
            hosts: on.ask().await,
            migration: found.as_ref().ok().map(|found| found.applied).filter(|last| *last > 0),
            store: found.and_then(install::ready),
            leases: has_leases(on).await?,
            search_path: session.search_path,
            isolation: session.isolation,
            sequence_cache: session.sequence_cache,
            lock_override: lock_override(on).await?,
            missing_indexes: missing_indexes(on).await?,
            transaction_pooler: is_pooled(&on.options()).await,
            idle_writers: idle_writers(on).await?,
        })
    }
}

/// Both what an unqualified call finds, as those of Message DB are, and what its own function does.
pub(crate) async fn lock_override(on: &Connections) -> Result<Option<String>, sqlx::Error> {
    query_scalar!(
        r#"
        SELECT function.oid::regprocedure::text AS "name!"
        FROM pg_catalog.pg_proc AS function
        JOIN pg_catalog.pg_namespace AS schema ON schema.oid = function.pronamespace
        WHERE function.proname = 'acquire_lock'
            AND (
                schema.nspname = 'message_store' AND (
                    function.prosrc NOT LIKE '%advisory_xact_lock%'
                    OR function.prosrc NOT LIKE '%hash_64%'
                    OR function.prosrc NOT LIKE '%category%'
                )
                OR schema.nspname <> 'message_store'
                    AND function.oid = to_regprocedure('acquire_lock(varchar)')
            )
        ORDER BY schema.nspname = 'message_store'
        LIMIT 1
        "#,
    )
    .fetch_optional(on.alone())
    .await
}

async fn missing_indexes(on: &Connections) -> Result<Vec<&'static str>, sqlx::Error> {
    let valid = query_scalar!(
        r#"
        SELECT class.relname::text AS "name!"
        FROM pg_catalog.pg_index AS index
        JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
        JOIN pg_catalog.pg_class AS messages ON messages.oid = index.indrelid
        JOIN pg_catalog.pg_namespace AS schema ON schema.oid = messages.relnamespace
        WHERE schema.nspname = 'message_store' AND messages.relname = 'messages'
            AND index.indisvalid
            AND (index.indisunique OR class.relname = 'messages_category')
        "#,
    )
    .fetch_all(on.alone())
    .await?;
    let mut missing = vec!["messages_pkey", "messages_id", "messages_stream", "messages_category"];
    missing.retain(|name| !valid.iter().any(|valid| valid == name));
    Ok(missing)
}

/// The locks of categories are advisory ones with one number; who has written holds the table's.
async fn idle_writers(on: &Connections) -> Result<Vec<IdleWriter>, sqlx::Error> {
    query_as!(
        IdleWriter,
        r#"
        SELECT
            held.pid AS "process!", activity.usename::text AS user,
            activity.application_name AS application, activity.xact_start AS since
        FROM (
            SELECT DISTINCT pid FROM pg_catalog.pg_locks
            WHERE granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND (
                    locktype = 'advisory' AND objsubid = 1
                    OR mode = 'RowExclusiveLock' AND relation = (
                        SELECT messages.oid FROM pg_catalog.pg_class AS messages
                        JOIN pg_catalog.pg_namespace AS schema ON schema.oid = messages.relnamespace
                        WHERE schema.nspname = 'message_store' AND messages.relname = 'messages'
                    )
                )
        ) AS held
        LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = held.pid
        WHERE coalesce(activity.state LIKE 'idle in transaction%', true)
        ORDER BY activity.xact_start NULLS LAST, held.pid
        "#,
    )
    .fetch_all(on.alone())
    .await
}

/// Asks again and again who serves one connection, and meanwhile keeps more and more others busy: a
/// server cannot change that, and a pooler must once the one is among them.
async fn is_pooled(options: &PgConnectOptions) -> Option<bool> {
    let (mut one, first) = timeout(PATIENCE, one_session(options)).await.ok()?.ok()?;
    let mut busy = Vec::new();
    while busy.len() < SESSIONS_KEPT {
        match timeout(PATIENCE, busy_session(options)).await {
            Ok(Ok(session)) => busy.push(session),
            // There may be no more of them than we have.
            _ if !busy.is_empty() => break,
            _ => return None,
        }
        match timeout(PATIENCE, process_of(&mut one)).await {
            Ok(again) if again.as_ref().ok()? == &first => {}
            // A pooler that has no other session lets us wait for one.
            Ok(_) | Err(_) => return Some(true),
        }
    }
    Some(false)
}

/// A connection, and who served it.
async fn one_session(options: &PgConnectOptions) -> Result<(PgConnection, i32), sqlx::Error> {
    let mut one = PgConnection::connect_with(options).await?;
    let first = process_of(&mut one).await?;
    Ok((one, first))
}

/// A connection that keeps whoever serves it.
async fn busy_session(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut other = PgConnection::connect_with(options).await?;
    raw_sql("BEGIN; SELECT 1").execute(&mut other).await?;
    Ok(other)
}

/// Without preparing anything, which a pooler might give to another client.
async fn process_of(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?;
    row.try_get(0)
}
