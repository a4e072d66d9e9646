//! Looking at a database before it is used: which store it has, or why it is none to write to.
//!
//! Owns the questions. What is installed and how stands in `install.rs`, the texts of refusals in
//! `fault.rs`, and what a person asks when something is wrong in `facts.rs`.

use sqlx::{AssertSqlSafe, query_as, query_scalar};

use crate::connections::Connections;
use crate::error::is_missing;
use crate::fault::Fault;
use crate::install;

/// Which store a database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    version: String,
    maker: Maker,
    leases: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    MessageDb,
    /// Message DB's scripts, and then our functions beside theirs.
    Both,
    Evenfold,
}

impl Schema {
    /// The version of Message DB whose interface it has, as in `1.3.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether evenfold installed it, rather than Message DB's own scripts.
    pub fn is_ours(&self) -> bool {
        self.maker == Maker::Evenfold
    }

    /// Whether it has the functions that evenfold adds to the interface: where evenfold installed
    /// it, and where it [adopted](crate::Postgres::adopt) a Message DB.
    pub fn has_additions(&self) -> bool {
        self.maker != Maker::MessageDb
    }

    /// Whether it has leases, for this role: where evenfold installed or adopted it, and where they were
    /// [installed](crate::Postgres::install_leases) beside a Message DB.
    pub fn has_leases(&self) -> bool {
        self.leases
    }
}

/// What is there: the store, and the last migration of ours that made it so, 0 for none.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) schema: Schema,
    pub(crate) applied: i64,
    /// What keeps its functions from finding each other; to add to it they need not.
    pub(crate) path: Option<Fault>,
}

/// What the catalogs tell of a database to whoever asks, before anything of the store is touched.
#[expect(clippy::struct_excessive_bools, reason = "a row of answers")]
struct Seen {
    database: String,
    user: String,
    encoding: String,
    standby: bool,
    only_reads: bool,
    has_messages: bool,
    has_bookkeeping: bool,
    may_use: bool,
    may_read: bool,
    may_write: bool,
    may_count: bool,
    may_call: bool,
    may_read_books: bool,
    in_path: bool,
}

async fn see(on: &Connections) -> Result<Seen, sqlx::Error> {
    query_as!(
        Seen,
        r#"
        SELECT
            current_database()::text AS "database!",
            current_user::text AS "user!",
            current_setting('server_encoding') AS "encoding!",
            pg_is_in_recovery() AS "standby!",
            current_setting('transaction_read_only') = 'on' AS "only_reads!",
            messages.oid IS NOT NULL AS "has_messages!",
            bookkeeping.oid IS NOT NULL AS "has_bookkeeping!",
            coalesce(has_schema_privilege(schema.oid, 'USAGE'), false) AS "may_use!",
            coalesce(has_table_privilege(messages.oid, 'SELECT'), false) AS "may_read!",
            coalesce(has_table_privilege(messages.oid, 'INSERT'), false) AS "may_write!",
            coalesce(has_sequence_privilege(numbers.oid, 'USAGE'), false) AS "may_count!",
            coalesce((
                SELECT bool_and(has_function_privilege(function.oid, 'EXECUTE'))
                FROM pg_catalog.pg_proc AS function
                WHERE function.pronamespace = schema.oid AND function.proname IN (
                    'acquire_lock', 'append_items', 'append_messages', 'category',
                    'message_store_version', 'stream_version', 'write_message'
                )
            ), false) AS "may_call!",
            coalesce(has_table_privilege(bookkeeping.oid, 'SELECT'), true) AS "may_read_books!",
            coalesce(to_regclass('messages')::oid = messages.oid, false)
                AND coalesce(schema.oid = (
                    SELECT function.pronamespace FROM pg_catalog.pg_proc AS function
                    WHERE function.oid = to_regprocedure('acquire_lock(varchar)')
                ), false) AS "in_path!"
        FROM (SELECT 1) AS one
        LEFT JOIN pg_catalog.pg_namespace AS schema ON schema.nspname = 'message_store'
        LEFT JOIN pg_catalog.pg_class AS messages
            ON messages.relnamespace = schema.oid AND messages.relname = 'messages'
        LEFT JOIN pg_catalog.pg_class AS numbers
            ON numbers.relnamespace = schema.oid
            AND numbers.relname = 'messages_global_position_seq'
        LEFT JOIN pg_catalog.pg_class AS bookkeeping
            ON bookkeeping.relnamespace = schema.oid
            AND bookkeeping.relname = '_evenfold_migrations'
        "#,
    )
    .fetch_one(on.alone())
    .await
}

impl Seen {
    /// The first right of a store that the role does not have.
    fn missing_grant(&self, writes: bool) -> Option<&'static str> {
        let rights = [
            (self.may_use, "USAGE on schema message_store"),
            (self.may_read, "SELECT on message_store.messages"),
            (self.may_write || !writes, "INSERT on message_store.messages"),
            (self.may_count || !writes, "USAGE on message_store.messages_global_position_seq"),
            (self.may_call, "EXECUTE on the functions of message_store"),
            (self.may_read_books, "SELECT on message_store._evenfold_migrations"),
        ];
        rights.into_iter().find_map(|(granted, right)| (!granted).then_some(right))
    }
}

/// What kind of store a database is, or why it is none for what it is to be used for.
pub(crate) async fn look(on: &Connections) -> Result<Result<Found, Fault>, sqlx::Error> {
    let found = see(on).await?;
    let writes = on.target.writes();
    let missing = found.missing_grant(writes);
    let (database, user) = (found.database, found.user);
    if found.encoding != "UTF8" {
        return Ok(Err(Fault::Encoding { database, encoding: found.encoding }));
    }
    if writes && found.standby {
        return Ok(Err(Fault::Standby { database }));
    }
    if writes && found.only_reads {
        return Ok(Err(Fault::ReadOnly { database, user }));
    }
    if !found.has_messages {
        return Ok(Err(Fault::NotInstalled { database }));
    }
    if let Some(missing) = missing {
        return Ok(Err(Fault::MissingGrant { user, missing }));
    }
    let version = match version(on).await {
        Ok(version) => version,
        // It came with 1.0.
        Err(error) if is_missing(&error) => "before 1.0".into(),
        Err(error) => return Err(error),
    };
    if !supported(&version) {
        return Ok(Err(Fault::UnsupportedVersion { version }));
    }
    let (maker, applied) =
        if found.has_bookkeeping { books(on).await? } else { (Maker::MessageDb, 0) };
    if install::is_of_later_kind(applied) {
        return Ok(Err(Fault::LaterRelease { applied, known: install::last() }));
    }
    let leases = has_leases(on).await?;
    let lost = maker != Maker::Evenfold && !found.in_path;
    let path = lost.then_some(Fault::SearchPath { database, user });
    Ok(Ok(Found { schema: Schema { version, maker, leases }, applied, path }))
}

/// Whether leases are installed, and the role may use them.
pub(crate) async fn has_leases(on: &Connections) -> Result<bool, sqlx::Error> {
    query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT FROM pg_catalog.pg_namespace AS schema
            JOIN pg_catalog.pg_proc AS function ON function.pronamespace = schema.oid
            JOIN pg_catalog.pg_class AS leases ON leases.relnamespace = schema.oid
            WHERE schema.nspname = 'evenfold'
                AND function.proname = 'renew_leases'
                AND leases.relname = 'leases'
                AND has_schema_privilege(schema.oid, 'USAGE')
                AND has_table_privilege(leases.oid, 'UPDATE')
        ) AS "has!"
        "#,
    )
    .fetch_one(on.alone())
    .await
}

async fn version(on: &Connections) -> Result<String, sqlx::Error> {
    query_scalar!(r#"SELECT message_store.message_store_version() AS "version!""#)
        .fetch_one(on.alone())
        .await
}

/// Who made the store, and the last migration that was run. Not a checked query: the driver makes
/// that table, so no schema has it to check against.
async fn books(on: &Connections) -> Result<(Maker, i64), sqlx::Error> {
    let sql = format!(
        "SELECT coalesce(max(version), 0), coalesce(bool_or(description = '{}'), false)
         FROM message_store._evenfold_migrations WHERE success",
        install::ADOPTED,
    );
    let (applied, adopted) = query_as(AssertSqlSafe(sql)).fetch_one(on.alone()).await?;
    let maker = match applied {
        // An adoption that went no further than the note that it was begun.
        0 => Maker::MessageDb,
        1 if adopted => Maker::MessageDb,
        _ if adopted => Maker::Both,
        _ => Maker::Evenfold,
    };
    Ok((maker, applied))
}

/// Message DB has the functions and columns that we use from 1.2 on.
fn supported(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    matches!((parts.next(), parts.next()), (Some(Ok(1)), Some(Ok(2..))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_1_2_on_are_supported() {
        for version in ["1.2.0", "1.2.6", "1.3.0", "1.10"] {
            assert!(supported(version), "{version}");
        }
        for version in ["1.1.7", "0.9", "2.0.0", "", "1", "0", "one.three"] {
            assert!(!supported(version), "{version}");
        }
    }
}
