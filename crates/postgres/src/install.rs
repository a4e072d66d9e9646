//! Looking at a database before it is used, and making it a store when that is asked for.
//!
//! Owns what a person reads when the database is not one to write to. The schema is in
//! `migrations/`; how the connections are made is in `options.rs`.

use evenfold_core::Error;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, query, query_scalar};

use crate::error::while_doing;
use crate::fault::Fault;
use crate::{Postgres, Schema};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Checks that the database is a store, or makes it one.
pub(crate) async fn open(pool: &PgPool, install_if_missing: bool) -> Result<Postgres, Error> {
    let schema = match look(pool).await? {
        Ok(schema) => schema,
        Err(Fault::NotInstalled { .. }) if install_if_missing => install(pool).await?,
        Err(fault) => return Err(failed(fault)),
    };
    Ok(Postgres { pool: pool.clone(), schema })
}

/// Installs our schema, or brings it up to date, all of a version or nothing of it.
pub(crate) async fn install(pool: &PgPool) -> Result<Schema, Error> {
    match look(pool).await? {
        Err(Fault::NotInstalled { .. }) | Ok(Schema { ours: true, .. }) => {}
        Ok(Schema { version, .. }) => return Err(failed(Fault::InstalledByOthers { version })),
        Err(fault) => return Err(failed(fault)),
    }
    let doing = "installing the message store";
    MIGRATOR.run(pool).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error)
        | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => while_doing(doing, error),
        other => Error::failed(doing, other),
    })?;
    look(pool).await?.map_err(failed)
}

/// A name for the migrations of this release, as a whole.
#[cfg(feature = "testing")]
pub(crate) fn fingerprint() -> String {
    let bytes = MIGRATOR.iter().flat_map(|migration| migration.checksum.iter());
    let hash = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    format!("{hash:016x}")
}

fn failed(fault: Fault) -> Error {
    Error::failed("opening the message store", fault)
}

/// What kind of store a database is, or why it is none to write to.
async fn look(pool: &PgPool) -> Result<Result<Schema, Fault>, Error> {
    async {
        let mut connection = pool.acquire().await?;
        inspect(&mut connection).await
    }
    .await
    .map_err(|error| while_doing("opening the message store", error))
}

/// Asks the catalogs alone, which everybody may read, before anything of the store is touched.
async fn inspect(connection: &mut PgConnection) -> Result<Result<Schema, Fault>, sqlx::Error> {
    let found = query!(
        r#"
        SELECT
            current_database()::text AS "database!",
            current_user::text AS "user!",
            current_setting('server_encoding') AS "encoding!",
            pg_is_in_recovery() AS "standby!",
            schema.oid IS NOT NULL AS "has_schema!",
            messages.oid IS NOT NULL AS "has_messages!",
            bookkeeping.oid IS NOT NULL AS "ours!",
            coalesce(has_schema_privilege(schema.oid, 'USAGE'), false) AS "may_use!",
            coalesce(has_table_privilege(messages.oid, 'SELECT'), false) AS "may_read!",
            coalesce(has_table_privilege(messages.oid, 'INSERT'), false) AS "may_write!",
            coalesce(has_sequence_privilege(numbers.oid, 'USAGE'), false) AS "may_count!",
            coalesce((
                SELECT bool_and(has_function_privilege(function.oid, 'EXECUTE'))
                FROM pg_catalog.pg_proc AS function
                WHERE function.pronamespace = schema.oid AND function.proname IN (
                    'acquire_lock', 'category', 'message_store_version', 'stream_version',
                    'write_message'
                )
            ), false) AS "may_call!",
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
    .fetch_one(&mut *connection)
    .await?;

    let (database, user) = (found.database, found.user);
    if found.encoding != "UTF8" {
        return Ok(Err(Fault::Encoding { database, encoding: found.encoding }));
    }
    if !found.has_messages {
        return Ok(Err(Fault::NotInstalled { database }));
    }
    if found.standby {
        return Ok(Err(Fault::Standby { database }));
    }
    for (granted, missing) in [
        (found.may_use, "USAGE on schema message_store"),
        (found.may_read, "SELECT on message_store.messages"),
        (found.may_write, "INSERT on message_store.messages"),
        (found.may_count, "USAGE on message_store.messages_global_position_seq"),
        (found.may_call, "EXECUTE on the functions of message_store"),
    ] {
        if !granted {
            return Ok(Err(Fault::MissingGrant { user, missing }));
        }
    }
    let version = query_scalar!(r#"SELECT message_store.message_store_version() AS "version!""#)
        .fetch_one(connection)
        .await?;
    if !supported(&version) {
        return Ok(Err(Fault::UnsupportedVersion { version }));
    }
    if !found.ours && !found.in_path {
        return Ok(Err(Fault::SearchPath { database, user }));
    }
    Ok(Ok(Schema { version, ours: found.ours }))
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
        for version in ["1.1.7", "0.9", "2.0.0", "", "1", "one.three"] {
            assert!(!supported(version), "{version}");
        }
    }
}
