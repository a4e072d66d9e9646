//! Message DB stays as its own scripts made it, whatever a store does in it.
//!
//! Compared are two descriptions of the database, before and after: the text of `pg_dump`, byte for
//! byte, and what the catalogs hold. `pg_dump` refuses a server that is newer than itself, and then
//! the catalogs stand alone.

use std::process::Command;

use evenfold_core::store::{
    BatchSize, BrowseStore, CategoryQuery, ConsumerGroup, ProgressStore, ProgressStream, ReadStore,
    SubscriberId, WriteStore,
};
use evenfold_core::{ExpectedVersion, GlobalPosition, Memory, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Install, Postgres};
use evenfold_testkit::model;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::common::figures;
use crate::common::{MESSAGE_DB, Result, execute, messages, raw};

/// Whatever there is in the database that is not the server's own, one thing a line.
const CATALOGS: &str = "
    WITH ours AS (
        SELECT oid, nspname, nspacl FROM pg_namespace
        WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    )
    SELECT string_agg(line, E'\\n' ORDER BY line COLLATE \"C\") FROM (
        SELECT format('schema %s %s', nspname, nspacl) FROM ours
        UNION ALL
        SELECT format('relation %s %s %s %s %s', c.oid::regclass, c.relkind, c.relowner::regrole,
            c.relacl, c.reloptions)
        FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
        UNION ALL
        SELECT format('column %s %s %s %s %s %s', a.attrelid::regclass, a.attnum, a.attname,
            format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        UNION ALL
        SELECT format('index %s', pg_get_indexdef(i.indexrelid))
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        JOIN ours ON ours.oid = c.relnamespace
        UNION ALL
        SELECT format('constraint %s %s', conname, pg_get_constraintdef(c.oid))
        FROM pg_constraint AS c JOIN ours ON ours.oid = c.connamespace
        UNION ALL
        SELECT format('view %s %s', c.oid::regclass, pg_get_viewdef(c.oid))
        FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind = 'v'
        UNION ALL
        SELECT format('sequence %s %s %s', seqrelid::regclass, seqincrement, seqcache)
        FROM pg_sequence
        UNION ALL
        SELECT format('function %s %s %s', pg_get_functiondef(p.oid), p.proowner::regrole, p.proacl)
        FROM pg_proc AS p JOIN ours ON ours.oid = p.pronamespace WHERE p.prokind <> 'a'
        UNION ALL
        SELECT format('type %s %s', t.oid::regtype, t.typacl)
        FROM pg_type AS t JOIN ours ON ours.oid = t.typnamespace
        UNION ALL
        SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger
        UNION ALL
        SELECT format('extension %s %s', extname, extversion) FROM pg_extension
        UNION ALL
        SELECT format('setting %s %s', setrole, setconfig) FROM pg_db_role_setting
        WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    ) AS lines (line)";

#[derive(PartialEq)]
struct Description {
    catalogs: String,
    dump: Option<String>,
}

async fn describe(database: &TestDatabase) -> Result<Description> {
    let mut owner = PgConnection::connect(&database.url()).await?;
    let catalogs = sqlx::query_scalar(CATALOGS).fetch_one(&mut owner).await?;
    let server: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut owner).await?;
    let said = output(Command::new("pg_dump").arg("--version"))?;
    let known = said.split_whitespace().find_map(major).ok_or("pg_dump tells no version")?;
    let dump = if Some(known) < major(&server) {
        None
    } else {
        let mut dump = Command::new("pg_dump");
        let text = output(dump.args(["--schema-only", "--dbname", &database.url()]))?;
        // A guard of psql's against hostile servers, with another random word each time.
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "));
        Some(lines.collect::<Vec<_>>().join("\n"))
    };
    Ok(Description { catalogs, dump })
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whatever a store can be asked for.
async fn use_fully(database: &TestDatabase) -> Result {
    let url = database.url();
    let store = Postgres::options().install(Install::Missing).connect(&url).await?;
    model::compare(&Memory::new(), &store, 20_261, 200).await?;

    let stream = StreamName::new("untouched-1")?;
    store.write(&stream, &messages(0..1)?, ExpectedVersion::NoStream).await?;
    store.write(&stream, &messages(1..80)?, ExpectedVersion::Any).await?;
    let stale = store.write(&stream, &messages(80..82)?, ExpectedVersion::NoStream).await;
    assert!(stale.is_err_and(|error| error.is_conflict()));
    let query = CategoryQuery::new(stream.category())
        .correlated_with("transfer".parse()?)
        .for_member(ConsumerGroup::new(1, 3)?);
    store.read_category(&query, GlobalPosition::START, BatchSize::DEFAULT).await?;
    store.categories(None, BatchSize::DEFAULT).await?;
    store.streams(&stream.category(), None, BatchSize::DEFAULT).await?;
    store.message(Uuid::from_u128(1)).await?;
    let teller = SubscriberId::new("teller")?;
    let progress = ProgressStream::of_category(&stream.category(), &teller, None);
    store.record_progress(&progress, 5, Uuid::from_u128(100)).await?;
    assert_eq!(store.read_progress(&progress).await?, Some(5));

    let options: PgConnectOptions = url.parse()?;
    let pool = PgPool::connect_with(options.options([("search_path", "message_store")])).await?;
    let same = Postgres::from_pool(pool.clone()).await?;
    let mut transaction = pool.begin().await?;
    let (any, start) = (ExpectedVersion::Any, Position::START);
    store.within(&mut transaction).write(&stream, &messages(200..203)?, any).await?;
    store.within(&mut transaction).read_stream(&stream, start, BatchSize::DEFAULT).await?;
    transaction.commit().await?;
    assert_eq!(same.stream_version(&stream).await?, Some(Position::new(82)?));
    assert!(Postgres::install(&pool).await.is_err());
    same.close().await;
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn message_db_is_after_all_of_it_as_it_was_before() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let before = describe(&database).await?;
    assert!(
        before.catalogs.contains("FUNCTION message_store.write_message("),
        "too little is seen"
    );
    use_fully(&database).await?;
    let after = describe(&database).await?;
    assert_eq!(before.catalogs, after.catalogs);
    assert!(before.dump == after.dump, "{:?}\nand then\n{:?}", before.dump, after.dump);

    let dumped = before.dump.as_ref().map(|dump| dump.lines().count());
    let lines = before.catalogs.lines().count();
    figures::tell(
        "postgres-untouched",
        match dumped {
            Some(dumped) => format!("equal: {dumped} lines of pg_dump, {lines} of the catalogs"),
            None => format!("equal: {lines} lines of the catalogs; pg_dump is too old"),
        },
    )?;

    // Leases stand beside it: without their schema it is again as it was.
    let store = Postgres::options().install(Install::Leases).connect(&database.url()).await?;
    assert!(store.schema().has_leases());
    store.close().await;
    execute(&mut raw(&database.url()).await?, "DROP SCHEMA evenfold CASCADE").await?;
    let after = describe(&database).await?;
    assert_eq!(before.catalogs, after.catalogs);
    assert!(before.dump == after.dump, "{:?}\nand then\n{:?}", before.dump, after.dump);

    // What the comparison is worth: the least that could be installed is seen by both.
    for change in [
        "CREATE FUNCTION message_store.more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "GRANT DELETE ON messages TO message_store",
        "ALTER TABLE messages ADD COLUMN more int",
    ] {
        let before = describe(&database).await?;
        execute(&mut raw(&database.url()).await?, change).await?;
        let after = describe(&database).await?;
        assert_ne!(before.catalogs, after.catalogs, "{change}");
        assert!(before.dump.is_none() || before.dump != after.dump, "{change}");
    }
    Ok(())
}
