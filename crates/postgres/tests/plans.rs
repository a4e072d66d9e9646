//! Every read and write walks the index it should, on both schemas, with 100,000 messages, a frequent
//! category, a hundred others and a rare one, by plans that are made without knowing the values.
//!
//! The queries are those that the crate was checked with, taken from `.sqlx`: none is forgotten. Of the
//! functions in our schema the work is measured, for what stands in a function shows no plan:
//! `plans/reads.sql` has the calls and how much each may touch.

use crate::common::figures;
use std::path::Path;

use evenfold_postgres::testing::TestDatabase;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::test]
async fn every_query_walks_an_index_of_message_db_whatever_is_asked() -> Result {
    let mut queries = queries()?;
    // Only our functions keep the hash of the cardinal id.
    queries.retain(|query| !query.contains("cardinal_hash"));
    plans(&TestDatabase::from_template("message_db").await?, queries).await
}

#[tokio::test]
async fn every_query_walks_an_index_of_our_schema_whatever_is_asked() -> Result {
    plans(&TestDatabase::new().await?, queries()?).await
}

async fn plans(database: &TestDatabase, queries: Vec<String>) -> Result {
    let mut owner = PgConnection::connect(&database.url()).await?;
    let fill = "INSERT INTO message_store.messages (stream_name, position, type, metadata)
        SELECT
            CASE WHEN i % 5000 = 7 THEN 'audit-' WHEN i % 3 > 0 THEN 'account-'
                ELSE 'category' || i % 100 || '-' END || i % 2000,
            i, 'Deposited',
            CASE WHEN i % 2 = 0
                THEN jsonb_build_object('correlationStreamName', 'transfer-' || i % 100) END
        FROM generate_series(1, 100000) AS i";
    execute(&mut owner, fill).await?;
    // A generic plan is what a statement may come to after its fifth call.
    execute(&mut owner, "SET plan_cache_mode = force_generic_plan").await?;
    let mut checked = 0;
    for statistics in ["SELECT", "ANALYZE message_store.messages"] {
        execute(&mut owner, statistics).await?;
        for query in &queries {
            let plan = explain(&mut owner, query, |_| Some("NULL")).await?;
            // A cursor over several categories decides a stretch of numbers, whoever has them: it
            // walks the primary key on purpose, from where it stands, and it stops at its limit.
            let walks = query.contains("lag(walked.global_position");
            let steps = ["Limit", "Index Scan using messages_pkey", "(global_position >= $1)"];
            if walks {
                let goes = steps.iter().all(|step| plan.contains(step));
                assert!(goes, "no walk from the cursor after {statistics} in\n{plan}");
            }
            for walk in ["Seq Scan on messages", "messages_pkey", "Sort Key: m.global_position"] {
                let is_meant = walks && walk == "messages_pkey";
                assert!(
                    is_meant || !plan.contains(walk),
                    "{walk} after {statistics} in\n{query}\n{plan}"
                );
            }
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} queries were found");
    pages_by_their_values(&mut owner, queries).await
}

/// A plan that is made for its values: near the end of a frequent category the rows that are left look
/// few, and scattered by the category's index, so that the primary key and a sort look cheaper.
async fn pages_by_their_values(owner: &mut PgConnection, queries: Vec<String>) -> Result {
    execute(owner, "SET plan_cache_mode = force_custom_plan").await?;
    let pages: Vec<_> = queries.into_iter().filter(|query| query.contains(">= ROW(")).collect();
    assert!(pages.len() >= 2, "only {} pages of a category were found", pages.len());
    let categories = ["account", "category1", "audit", "nothing"];
    let places = [1, 50_000, 90_000, 97_000, 99_990];
    // With metadata or without, and of which types.
    let less = ["true, NULL", "false, '{Deposited}'"];
    let asked = categories.into_iter().flat_map(|category| {
        places.into_iter().flat_map(move |from| less.map(|less| (category, from, less)))
    });
    for (category, from, less) in asked {
        for query in &pages {
            let member = if query.contains("cardinal_hash") { "1, 4" } else { "NULL, NULL" };
            let is_correlated = query.contains("correlationStreamName");
            let correlation = if is_correlated { "'transfer', " } else { "" };
            let values = format!("'{category}', {from}, 1000, {member}, {correlation}{less}");
            let plan = explain(owner, query, |n| values.split(", ").nth(n - 1)).await?;
            let walks = ["Seq Scan on messages", "messages_pkey", "Sort"];
            let walked: Vec<_> = walks.iter().filter(|walk| plan.contains(**walk)).collect();
            assert!(walked.is_empty(), "{walked:?} for {values} in\n{query}\n{plan}");
        }
    }
    Ok(())
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

/// The plan of a query for these values of its parameters, which are counted from 1.
async fn explain<'a>(
    connection: &mut PgConnection,
    query: &str,
    value: impl Fn(usize) -> Option<&'a str>,
) -> Result<String> {
    execute(connection, "DEALLOCATE ALL").await?;
    execute(connection, &format!("PREPARE query AS {query}")).await?;
    let numbers = (1..=9).take_while(|number| query.contains(&format!("${number}")));
    let values = numbers.filter_map(value).collect::<Vec<_>>().join(", ");
    let values = if values.is_empty() { values } else { format!("({values})") };
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE query{values}");
    let steps = sqlx::query(AssertSqlSafe(explain)).persistent(false).fetch_all(connection).await?;
    let steps: std::result::Result<Vec<String>, _> =
        steps.iter().map(|step| step.try_get(0)).collect();
    Ok(steps?.join("\n"))
}

/// The plan of a function is made when a session calls it and may be kept, so each of these is one
/// session, one stage after the other.
#[tokio::test]
async fn a_function_planned_on_an_empty_table_touches_no_more_than_it_should() -> Result {
    let database = TestDatabase::new().await?;
    let mut owner = session(&database).await?;
    let writers = "DELETE FROM plans.reads WHERE call ~ 'write_message|append'";
    execute(&mut owner, writers).await?;
    measure(&mut owner, "on an empty table", 7).await?;
    execute(&mut owner, "TRUNCATE plans.checks").await?;
    execute(&mut owner, include_str!("plans/data.sql")).await?;
    measure(&mut owner, "planned on an empty table", 0).await?;
    execute(&mut owner, "DISCARD PLANS").await?;
    measure(&mut owner, "without statistics", 7).await?;
    judge(&mut owner, "without-statistics", 198).await
}

#[tokio::test]
async fn a_function_planned_by_statistics_touches_no_more_than_it_should() -> Result {
    let database = TestDatabase::new().await?;
    let mut owner = session(&database).await?;
    // What writes comes last, for it changes what the others read.
    let writers = "CREATE TEMPORARY TABLE writers AS
        SELECT * FROM plans.reads WHERE call ~ 'write_message|append';
        DELETE FROM plans.reads WHERE call ~ 'write_message|append'";
    execute(&mut owner, writers).await?;
    execute(&mut owner, include_str!("plans/data.sql")).await?;
    execute(&mut owner, "ANALYZE message_store.messages").await?;
    measure(&mut owner, "with statistics", 7).await?;
    execute(&mut owner, "VACUUM message_store.messages").await?;
    measure(&mut owner, "with statistics and visibility", 7).await?;
    let only_writers = "DELETE FROM plans.reads;
        INSERT INTO plans.reads (call, index_name, most)
        SELECT call, index_name, most FROM writers";
    execute(&mut owner, only_writers).await?;
    measure(&mut owner, "writing", 7).await?;
    judge(&mut owner, "with-statistics", 207).await
}

/// To plan for a long stream among short ones looks cheaper than a plan for any; done on every call
/// it costs ten times what the read does. These are the functions' own statements.
#[tokio::test]
async fn the_version_of_a_stream_is_not_planned_on_every_call() -> Result {
    let database = TestDatabase::new().await?;
    let mut owner = session(&database).await?;
    let fill = "INSERT INTO message_store.messages (stream_name, position, type)
        SELECT CASE WHEN i > 5000 THEN 'short-' || i ELSE 'long-1' END, i, 'Deposited'
        FROM generate_series(1, 100000) AS i";
    execute(&mut owner, fill).await?;
    execute(&mut owner, "ANALYZE message_store.messages").await?;
    for function in ["stream_version", "write_message", "append_messages"] {
        let source = "SELECT regexp_replace(
                replace(substring(prosrc FROM 'SELECT m[.]position.*?LIMIT 1'), $1 || '.stream_name', '$1'),
                'INTO [a-z_, ]*', ''
            ) FROM pg_proc WHERE oid = ('message_store.' || $1)::regproc";
        let read: String = sqlx::query_scalar(source).bind(function).fetch_one(&mut owner).await?;
        execute(&mut owner, &format!("PREPARE {function} (varchar) AS {read}")).await?;
        for _ in 0..10 {
            execute(&mut owner, &format!("EXECUTE {function} ('long-1')")).await?;
        }
        let plans = "SELECT custom_plans FROM pg_prepared_statements WHERE name = $1";
        let plans: i64 = sqlx::query_scalar(plans).bind(function).fetch_one(&mut owner).await?;
        assert_eq!(plans, 5, "PostgreSQL tries five, and then keeps one plan for\n{read}");
    }
    Ok(())
}

async fn session(database: &TestDatabase) -> Result<PgConnection> {
    let mut owner = PgConnection::connect(&database.url()).await?;
    execute(&mut owner, "SET client_min_messages = warning; SET jit = off").await?;
    let by_us_alone = "ALTER TABLE message_store.messages SET (autovacuum_enabled = off)";
    execute(&mut owner, by_us_alone).await?;
    execute(&mut owner, include_str!("plans/reads.sql")).await?;
    Ok(owner)
}

async fn judge(owner: &mut PgConnection, name: &str, least: i64) -> Result {
    let bad: Vec<String> = sqlx::query_scalar(
        "SELECT format('%s, %s: %s reads %s of %s, at most %s; of others %s',
            stage, mode, call, entries, index_name, most, coalesce(others, 'nothing'))
         FROM plans.checks WHERE NOT good",
    )
    .fetch_all(&mut *owner)
    .await?;
    let query = "SELECT count(*) FROM plans.checks";
    let checks: i64 = sqlx::query_scalar(query).fetch_one(owner).await?;
    let text = format!("{checks} checks of the work of our functions, {} bad", bad.len());
    figures::tell(&format!("postgres-plans-{name}"), text)?;
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(checks >= least, "only {checks} checks");
    Ok(())
}

async fn measure(connection: &mut PgConnection, stage: &str, times: i32) -> Result {
    execute(connection, &format!("SELECT FROM plans.measure('{stage}', {times})")).await
}

/// The queries of this crate that name the table.
fn queries() -> Result<Vec<String>> {
    let mut queries = Vec::new();
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx").read_dir()? {
        let query: Value = serde_json::from_str(&std::fs::read_to_string(entry?.path())?)?;
        let text = |key| query.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("db_name") == "PostgreSQL" && text("query").contains("message_store.messages") {
            queries.push(text("query").to_owned());
        }
    }
    Ok(queries)
}
