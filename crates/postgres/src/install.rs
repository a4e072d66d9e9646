//! Making a database a store: our schema where there is none, our functions beside a Message DB's.
//!
//! Owns what is run, and what a person reads when that fails. The schema is in `migrations/`; what
//! is there before is looked at in `schema.rs`.

use evenfold_core::Error;
use evenfold_core::error::Invalid;
use futures::FutureExt;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{PgConnection, raw_sql};

use crate::Postgres;
use crate::connections::Connections;
use crate::error::{is_not_allowed, while_doing};
use crate::facts::lock_override;
use crate::fault::Fault;
use crate::hosts::Target;
use crate::options::Options;
use crate::schema::{Found, Schema, look};

/// Our migrations. One whose number begins a new thousand is a break: clients of an earlier release
/// cannot work on what it leaves. On all others they can.
static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The migration that needs nothing of those before it.
const LEASES: i64 = 3;

/// Beside the application's own `_sqlx_migrations`, whatever schema that is in.
const BOOKS: &str = "message_store._evenfold_migrations";

/// Stands in the bookkeeping for the migration that a Message DB had no need of.
pub(crate) const ADOPTED: &str = "adopted from Message DB";

/// A migration that waits for a lock keeps others waiting behind it.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '10s'";

const GRANT_BOOKS: &str = "DO $$ BEGIN
    IF pg_catalog.to_regrole('message_store') IS NOT NULL THEN
        GRANT SELECT ON message_store._evenfold_migrations TO message_store;
    END IF;
END $$";

/// What becomes of a database when a store is opened in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// It must have a store that is ready.
    #[default]
    Nothing,
    /// One without a store gets ours, and what evenfold once installed is brought up to date. A
    /// Message DB is used as it is.
    Missing,
    /// The same, and a Message DB is [adopted](Postgres::adopt).
    Adopt,
    /// It must have a store that is ready, and gets [leases](Postgres::install_leases) beside it.
    Leases,
}

/// Checks that the database is a store, or makes it one.
pub(crate) async fn open(on: Connections, options: Options) -> Result<Postgres, Error> {
    let what = options.what_to_install();
    if !on.target.writes() && what != Install::Nothing {
        let rule = "a store for reading installs nothing; leave out `install=` or this";
        return Err(Invalid::new("target_session_attrs", on.target, rule).into());
    }
    let found = seen(&on).await?;
    let schema = match (found.and_then(ready), what) {
        (Ok(schema), Install::Adopt) if !schema.has_additions() => adopt(&on).await?,
        (Ok(schema), Install::Leases) if !schema.has_leases() => install_leases(&on).await?,
        (Ok(schema), _) => schema,
        (
            Err(Fault::NotInstalled { .. } | Fault::Outdated { .. }),
            Install::Missing | Install::Adopt,
        ) => install(&on).await?,
        (Err(fault), _) => return Err(refused(fault)),
    };
    let notifier = options.notifier(&on);
    let groups = options.groups();
    let (evidence, writers) = Default::default();
    Ok(Postgres { connections: on, schema, evidence, notifier, groups, writers })
}

/// Installs our schema, or brings it up to date, all of a version or nothing of it.
pub(crate) async fn install(on: &Connections) -> Result<Schema, Error> {
    match seen(on).await? {
        Ok(Found { schema, .. }) if !schema.has_additions() => {
            Err(refused(Fault::InstalledByOthers { version: schema.version().into() }))
        }
        Ok(_) => migrate(on, Before::OfOurs).await,
        Err(Fault::NotInstalled { .. }) => migrate(on, Before::Nothing).await,
        Err(fault) => Err(refused(fault)),
    }
}

/// Adds our functions to a Message DB.
pub(crate) async fn adopt(on: &Connections) -> Result<Schema, Error> {
    match seen(on).await? {
        Ok(Found { schema, .. }) if schema.has_additions() => migrate(on, Before::OfOurs).await,
        Ok(_) => match lock_override(on).await.map_err(opening)? {
            Some(function) => Err(refused(Fault::LockOverride { function })),
            None => migrate(on, Before::MessageDb).await,
        },
        Err(fault) => Err(refused(fault)),
    }
}

/// Adds the schema of leases beside a store, whoever made that.
pub(crate) async fn install_leases(on: &Connections) -> Result<Schema, Error> {
    seen(on).await?.map_err(refused)?;
    run(on, "installing leases", async |own| {
        let mut connection = own.acquire().await?;
        // As the driver does it, so that of several that install one does.
        connection.lock().await?;
        let leases = MIGRATOR.iter().find(|migration| migration.version == LEASES);
        if let Some(migration) = leases {
            // The statements of one text are one transaction.
            raw_sql(migration.sql.clone()).execute(&mut *connection).await?;
        }
        connection.unlock().await
    })
    .await
}

/// What a database has before migrations are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    MessageDb,
    OfOurs,
}

async fn migrate(on: &Connections, before: Before) -> Result<Schema, Error> {
    run(on, "installing the message store", async |own| migrate_on(own, before).await).await
}

/// Changes the database, and looks at what it is then.
async fn run(
    on: &Connections,
    doing: &str,
    change: impl AsyncFnOnce(&PgPool) -> Result<(), MigrateError>,
) -> Result<Schema, Error> {
    if on.pooler {
        return Err(refused(Fault::InstallThroughPooler));
    }
    // A connection of its own: where a migration fails, the driver leaves the lock that keeps two
    // installers apart, and it goes with the connection.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .after_connect(|connection, _| {
            async move { raw_sql(LOCK_TIMEOUT).execute(connection).await.map(drop) }.boxed()
        })
        .connect_lazy_with(on.options().as_ref().clone());
    let changed = change(&own).await;
    own.close().await;
    changed.map_err(|error| failed(doing, error))?;
    seen(on).await?.map(|found| found.schema).map_err(refused)
}

fn failed(doing: &str, error: MigrateError) -> Error {
    let rights = |error: &sqlx::Error| {
        let hint = "; it takes the right to create a schema in the database, and where there is a store \
                    already to be the owner of its schema and table";
        if is_not_allowed(error) { hint } else { "" }
    };
    match error {
        MigrateError::Execute(error) => {
            while_doing(format_args!("{doing}{}", rights(&error)), error)
        }
        MigrateError::ExecuteMigration(error, version) => {
            let undone = "was undone, so the database is as it was before it";
            let rights = rights(&error);
            while_doing(format_args!("{doing}: migration {version} {undone}{rights}"), error)
        }
        other => Error::failed(doing, other),
    }
}

async fn migrate_on(own: &PgPool, before: Before) -> Result<(), MigrateError> {
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    migrator.dangerous_set_table_name(BOOKS);
    // A later release may have been here; that it left no break was seen before.
    migrator.set_ignore_missing(true);
    match before {
        // Only here, for where the schema is there already it would still ask for that right.
        Before::Nothing => drop(migrator.create_schema("message_store")),
        Before::MessageDb => note_adoption(&mut *own.acquire().await?).await?,
        Before::OfOurs => {}
    }
    migrator.run(own).await
}

/// Our first migration makes what a Message DB has, so it is noted as run.
async fn note_adoption(connection: &mut PgConnection) -> Result<(), MigrateError> {
    connection.lock().await?;
    connection.ensure_migrations_table(BOOKS).await?;
    // Whoever opens a store looks there, and the migration that grants it may fail.
    raw_sql(GRANT_BOOKS).execute(&mut *connection).await?;
    let first = MIGRATOR.iter().next().cloned();
    let is_new = connection.list_applied_migrations(BOOKS).await?.is_empty();
    if let Some(mut first) = first.filter(|_| is_new) {
        first.description = ADOPTED.into();
        connection.skip(BOOKS, &first).await?;
    }
    connection.unlock().await
}

/// The number of the last migration of this release.
pub(crate) fn last() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Whether a migration of a later release has made a break that we cannot work on.
pub(crate) fn is_of_later_kind(applied: i64) -> bool {
    applied / 1000 > last() / 1000
}

/// The store, if it is found and what is ours of it is not that of an earlier release.
pub(crate) fn ready(Found { schema, applied, path }: Found) -> Result<Schema, Fault> {
    if schema.has_additions() && applied < last() {
        return Err(Fault::Outdated { applied, needed: last() });
    }
    path.map_or(Ok(schema), Err)
}

/// A name for the migrations of this release, as a whole.
#[cfg(feature = "testing")]
pub(crate) fn fingerprint() -> String {
    let bytes = MIGRATOR.iter().flat_map(|migration| migration.checksum.iter());
    let hash = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    format!("{hash:016x}")
}

fn refused(fault: Fault) -> Error {
    Error::failed("opening the message store", fault)
}

async fn seen(on: &Connections) -> Result<Result<Found, Fault>, Error> {
    look(on).await.map_err(opening)
}

fn opening(error: sqlx::Error) -> Error {
    while_doing("opening the message store", error)
}

/// An application's own pool, that leads to the server itself.
pub(crate) fn direct(pool: &PgPool) -> Connections {
    Connections::shared(pool.clone(), false, Target::ReadWrite)
}
