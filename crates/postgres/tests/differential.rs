//! Our schema's SQL does what Message DB's own does: each call of a table of calls, run on both, has the
//! same rows or the same error, but for those few that differ on purpose and say why.
//!
//! The calls are in `differential/calls.sql`, what is kept of each in `differential/harness.sql`. Our
//! functions that Message DB has not are held against those that it has, in `differential/append.sql`.
//! What each of our reads touches is measured by `plans.rs`.

use crate::common::figures;
use std::collections::BTreeSet;

use evenfold_postgres::testing::TestDatabase;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const HARNESS: &str = include_str!("differential/harness.sql");
const CALLS: &str = include_str!("differential/calls.sql");
const APPEND: &str = include_str!("differential/append.sql");
const STORE: &str = include_str!("../migrations/0001_message_store.sql");
const STORE_APPEND: &str = include_str!("../migrations/0002_append.sql");

/// Where the functions of Message DB find each other.
const ITS_PATH: &str = "message_store,public";

/// Where nothing of ours is: ours need no path.
const NO_PATH: &str = "pg_catalog";

async fn connect(database: &TestDatabase, search_path: &str) -> Result<PgConnection> {
    let options: PgConnectOptions = database.url().parse()?;
    let options =
        options.options([("search_path", search_path), ("client_min_messages", "warning")]);
    Ok(options.connect().await?)
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

/// One call of the table, and what came of it.
#[derive(Debug)]
struct Call {
    number: i32,
    name: String,
    sql: String,
    on_purpose: Option<String>,
    outcome: String,
}

/// Runs the table of calls.
async fn calls(connection: &mut PgConnection) -> Result<Vec<Call>> {
    execute(connection, HARNESS).await?;
    execute(connection, CALLS).await?;
    sqlx::query("SELECT differential.run()").execute(&mut *connection).await?;
    let query = "SELECT n, name, call, on_purpose, outcome FROM differential.calls ORDER BY n";
    let calls: Vec<(i32, String, String, Option<String>, String)> =
        sqlx::query_as(query).fetch_all(connection).await?;
    let calls = calls.into_iter().map(|(number, name, sql, on_purpose, outcome)| Call {
        number,
        name,
        sql,
        on_purpose,
        outcome,
    });
    Ok(calls.collect())
}

#[tokio::test]
async fn every_call_does_on_our_schema_what_it_does_on_message_db() -> Result {
    let ours = TestDatabase::new().await?;
    let mut owner = connect(&ours, NO_PATH).await?;
    // A table of ours beside Message DB's would be a difference in every list of tables.
    execute(&mut owner, "DROP TABLE message_store._evenfold_migrations").await?;
    let genuine = TestDatabase::from_template("message_db").await?;
    let genuine = calls(&mut connect(&genuine, ITS_PATH).await?).await?;
    let ours = calls(&mut owner).await?;
    assert_eq!(genuine.len(), ours.len());

    let (mut unexplained, mut on_purpose) = (Vec::new(), 0);
    for (theirs, ours) in genuine.iter().zip(&ours) {
        assert_eq!(theirs.sql, ours.sql, "the table of calls is not the same on both");
        let differs = theirs.outcome != ours.outcome;
        // A reason that makes no difference any more is to be taken out of the table.
        if differs != ours.on_purpose.is_some() {
            unexplained.push(format!(
                "{}, {}, on purpose: {:?}\n{:.600}\n  Message DB: {:.1500}\n  ours: {:.1500}",
                ours.number, ours.name, ours.on_purpose, ours.sql, theirs.outcome, ours.outcome
            ));
        }
        on_purpose += usize::from(differs && ours.on_purpose.is_some());
    }
    let errors: Vec<_> = ours.iter().filter_map(|it| it.outcome.strip_prefix("ERROR ")).collect();
    let states: BTreeSet<_> = errors.iter().filter_map(|error| error.get(..5)).collect();
    let (calls, errors, kinds) = (ours.len(), errors.len(), states.len());
    figures::tell(
        "postgres-differential",
        format_args!(
            "{calls} calls, {errors} of them errors of {kinds} SQLSTATEs; {} differences, \
             {on_purpose} on purpose",
            unexplained.len()
        ),
    )?;
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n\n"));
    // The table is not to shrink unseen.
    assert!(calls >= 2093 && errors >= 663 && kinds >= 14, "{calls} {errors} {states:?}");
    assert_eq!(on_purpose, 10);
    Ok(())
}

#[tokio::test]
async fn a_batch_on_our_schema_does_what_as_many_calls_do() -> Result {
    let database = TestDatabase::new().await?;
    let checks = append(&mut connect(&database, NO_PATH).await?).await?;
    figures::tell("postgres-differential-append", format_args!("{checks} checks"))?;
    Ok(())
}

/// The migration of our own functions alone is right on Message DB too.
#[tokio::test]
async fn a_batch_on_a_message_db_that_adopted_it_does_what_as_many_calls_do() -> Result {
    let database = TestDatabase::from_template("message_db").await?;
    let mut owner = connect(&database, ITS_PATH).await?;
    execute(&mut owner, STORE_APPEND).await?;
    let checks = append(&mut owner).await?;
    figures::tell("postgres-differential-append-adopted", format_args!("{checks} checks"))?;
    Ok(())
}

async fn append(owner: &mut PgConnection) -> Result<i32> {
    let mut transaction = owner.begin().await?;
    execute(&mut transaction, APPEND).await?;
    let checks = "SELECT current_setting('append.checks')::int";
    let checks = sqlx::query_scalar(checks).fetch_one(&mut *transaction).await?;
    assert!(checks >= 300, "only {checks} checks");
    Ok(checks)
}

/// In one transaction, which is rolled back: roles belong to the whole server, and other tests use it.
#[tokio::test]
async fn who_may_not_make_roles_installs_all_but_the_grants() -> Result {
    let database = TestDatabase::from_template("template1").await?;
    let mut owner = connect(&database, NO_PATH).await?;
    let mut transaction = owner.begin().await?;
    execute(
        &mut transaction,
        "ALTER ROLE message_store RENAME TO message_store_away;
         CREATE ROLE plain;
         DO $$ BEGIN EXECUTE format('GRANT ALL ON DATABASE %I TO plain', current_database()); END $$;
         SET LOCAL ROLE plain",
    )
    .await?;
    execute(&mut transaction, STORE).await?;
    execute(&mut transaction, STORE_APPEND).await?;
    let position: i64 = sqlx::query_scalar(
        "SELECT message_store.write_message(gen_random_uuid()::varchar, 'account-1', 'Opened', '{}')",
    )
    .fetch_one(&mut *transaction)
    .await?;
    assert_eq!(position, 0);
    let granted: i64 = sqlx::query_scalar(
        "SELECT count(*)
         FROM pg_class, LATERAL aclexplode(relacl) AS granted
         WHERE relnamespace = 'message_store'::regnamespace AND grantee <> 'plain'::regrole",
    )
    .fetch_one(&mut *transaction)
    .await?;
    assert_eq!(granted, 0);

    let again = sqlx::raw_sql(STORE).execute(&mut *transaction).await.unwrap_err();
    let code = again.as_database_error().and_then(|error| error.code().map(String::from));
    assert_eq!(code.as_deref(), Some("42P07"), "{again:?}");
    transaction.rollback().await?;
    Ok(())
}
