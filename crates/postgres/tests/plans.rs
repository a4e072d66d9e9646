//! Every read and write walks the index it should, on both schemas, with 100,000 messages, a frequent
//! category, a hundred others and a rare one, by plans that are made without knowing the values.
//!
//! The queries are those that the crate was checked with, taken from `.sqlx`: none is forgotten.

use std::path::Path;

use evenfold_postgres::testing::TestDatabase;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::test]
async fn every_query_walks_an_index_of_message_db_whatever_is_asked() -> Result {
    plans(&TestDatabase::from_template("message_db").await?).await
}

#[tokio::test]
async fn every_query_walks_an_index_of_our_schema_whatever_is_asked() -> Result {
    plans(&TestDatabase::new().await?).await
}

async fn plans(database: &TestDatabase) -> Result {
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
        for query in queries()? {
            let plan = plan(&mut owner, &query).await?;
            for walk in ["Seq Scan on messages", "messages_pkey", "Sort Key: m.global_position"] {
                assert!(!plan.contains(walk), "{walk} after {statistics} in\n{query}\n{plan}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} queries were found");
    Ok(())
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

async fn plan(connection: &mut PgConnection, query: &str) -> Result<String> {
    execute(connection, "DEALLOCATE ALL").await?;
    execute(connection, &format!("PREPARE query AS {query}")).await?;
    let numbers = (1..=9).take_while(|number| query.contains(&format!("${number}")));
    let values = vec!["NULL"; numbers.count()].join(", ");
    let values = if values.is_empty() { values } else { format!("({values})") };
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE query{values}");
    let steps = sqlx::query(AssertSqlSafe(explain)).persistent(false).fetch_all(connection).await?;
    let steps: std::result::Result<Vec<String>, _> =
        steps.iter().map(|step| step.try_get(0)).collect();
    Ok(steps?.join("\n"))
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
