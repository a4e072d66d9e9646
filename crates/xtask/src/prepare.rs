//! `cargo xtask prepare`: renews `.sqlx`, the checked queries that let a build need no database.
//!
//! `--check` renews nothing and says what is stale. Each backend is one row of the table below; the
//! queries stand in the backend's crate, the schema in `migrations/`.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde_json::Value;

use crate::db::Cluster;
use crate::message_db;
use crate::shell::{self, Result, say};

/// A database that queries are checked against.
struct Database {
    package: &'static str,
    /// The package's folder. Its `sqlx.toml` names `variable`, and without that file it has no
    /// checked queries yet.
    folder: &'static str,
    variable: &'static str,
    /// Makes empty databases, one for each schema that the queries are for, and returns their
    /// URLs. The queries must be answered alike by all of them.
    create: fn(&Scratch) -> Result<Vec<String>>,
}

const DATABASES: &[Database] = &[
    Database {
        package: "evenfold-sqlite",
        folder: "crates/sqlite",
        variable: "EVENFOLD_SQLITE_URL",
        create: sqlite,
    },
    Database {
        package: "evenfold-postgres",
        folder: "crates/postgres",
        variable: "EVENFOLD_POSTGRES_URL",
        create: postgres,
    },
];

/// Where databases are made: files in a folder, and a server that is started when it is wanted.
struct Scratch {
    folder: PathBuf,
    cluster: OnceCell<Cluster>,
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    match args {
        [] => renew()?,
        [option] if option == "--check" => {
            let stale = check()?;
            stale.iter().for_each(say);
            if !stale.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        _ => return Err("the only option is `--check`".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// What is missing from `.sqlx`, stale in it or no longer needed, one line each.
pub(crate) fn check() -> Result<Vec<String>> {
    let Some(fresh) = queries_of_the_code()? else { return Ok(Vec::new()) };
    let mut findings = differences(&kept()?, &queries_in(&fresh)?);
    if findings.is_empty() {
        say("the checked queries in `.sqlx` are those of the code");
    } else {
        findings.push("prepare: run `cargo xtask prepare`, and commit `.sqlx`".to_owned());
    }
    Ok(findings)
}

/// Makes `.sqlx` hold the queries of the code and no others.
///
/// It changes only after every query was accepted, so a mistake in one leaves the rest usable.
fn renew() -> Result<()> {
    let Some(fresh) = queries_of_the_code()? else { return Ok(()) };
    let (before, after) = (kept()?, queries_in(&fresh)?);
    let folder = shell::root().join(".sqlx");
    fs::create_dir_all(&folder)?;
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for name in after.keys().filter(|name| before.get(*name) != after.get(*name)) {
        fs::copy(fresh.join(name), folder.join(name))?;
    }
    let changed = differences(&before, &after).len();
    say(format!("files in `.sqlx`: {}, changed: {changed}", after.len()));
    Ok(())
}

/// Compiles the crates with queries against fresh databases, and returns the folder in which the
/// macros left what they learned; none when no crate has a query yet.
fn queries_of_the_code() -> Result<Option<PathBuf>> {
    let root = shell::root();
    let in_use = |database: &&Database| root.join(database.folder).join("sqlx.toml").exists();
    let databases: Vec<&Database> = DATABASES.iter().filter(in_use).collect();
    if databases.is_empty() {
        say("no crate has checked queries yet (none has a sqlx.toml)");
        return Ok(None);
    }

    let fresh = empty(root.join("target/sqlx-check"))?;
    let folder = empty(root.join("target/sqlx-scratch"))?;
    let scratch = Scratch { folder, cluster: OnceCell::new() };
    let mut first = Vec::new();
    let mut others = Vec::new();
    for database in databases {
        let mut urls = (database.create)(&scratch)?.into_iter();
        first.extend(urls.next().map(|url| (database, url)));
        others.extend(urls.map(|url| (database, url)));
    }
    check_against(&first, &fresh)?;
    let queries = queries_in(&fresh)?;
    for (number, other) in others.into_iter().enumerate() {
        let folder = empty(root.join(format!("target/sqlx-check-{number}")))?;
        check_against(&[other], &folder)?;
        let differs = |(name, query): (&String, &Value)| queries.get(name) != Some(query);
        if let Some((_, query)) = queries_in(&folder)?.iter().find(|(n, q)| differs((n, q))) {
            let sql = start_of_sql(query);
            return Err(format!("another schema answers this query otherwise: {sql}").into());
        }
    }
    Ok(Some(fresh))
}

/// Compiles packages, each against its database; the macros leave what they learned in the folder.
fn check_against(databases: &[(&Database, String)], into: &Path) -> Result<()> {
    let root = shell::root();
    let mut check =
        shell::cargo(["check", "--quiet", "--all-targets", "--all-features", "--locked"]);
    check
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", into)
        .env("SQLX_TMP", empty(root.join("target/sqlx-tmp"))?);
    for (database, url) in databases {
        check.args(["-p", database.package]).env(database.variable, url);
        // The macros leave a query behind when they run, and cargo runs them on what has changed.
        shell::output(Command::new("touch").current_dir(root).args(sources(database)?))?;
    }
    if !shell::run(&mut check)?.success() {
        return Err("the code does not compile against a fresh database; see above".into());
    }
    Ok(())
}

fn sources(database: &Database) -> Result<Vec<PathBuf>> {
    shell::files(database.folder, "rs")
}

/// A SQLite file, written by the SQLite that is built into sqlx: the schema may use what that
/// version knows, and no machine needs a program for it.
fn sqlite(scratch: &Scratch) -> Result<Vec<String>> {
    // With the features of the whole workspace the driver is built once, here and for the tests.
    let build = "build --quiet --locked --workspace --all-features --example scratch";
    if !shell::status(&mut shell::cargo(build.split(' ')))?.success() {
        return Err("crates/xtask/examples/scratch.rs does not compile; see above".into());
    }
    let file = scratch.folder.join("sqlite.db");
    let mut scratch = Command::new(env::current_exe()?.with_file_name("examples").join("scratch"));
    scratch.current_dir(shell::root()).arg(&file).args(shell::files("migrations/sqlite", "sql")?);
    if !shell::status(&mut scratch)?.success() {
        return Err("the migrations in migrations/sqlite do not run; see above".into());
    }
    Ok(vec![format!("sqlite://{}", file.display())])
}

/// The genuine Message DB, and our own schema.
fn postgres(scratch: &Scratch) -> Result<Vec<String>> {
    if scratch.cluster.get().is_none() {
        scratch.cluster.set(Cluster::start()?).ok();
    }
    let Some(cluster) = scratch.cluster.get() else { return Ok(Vec::new()) };
    message_db::install(cluster)?;
    let psql = |args: &[&str]| {
        let mut psql = Command::new("psql");
        psql.current_dir(shell::root()).args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).args(args);
        cluster.enter(&mut psql);
        shell::output(&mut psql)
    };
    psql(&["-c", "CREATE DATABASE ours"])?;
    for migration in shell::files("migrations/postgres", "sql")? {
        psql(&["-d", "ours", "-1", "-f", &migration.to_string_lossy()])?;
    }
    Ok(vec![cluster.url(message_db::DATABASE), cluster.url("ours")])
}

/// The queries of a folder by the name of their file, which is a hash of the SQL.
type Queries = BTreeMap<String, Value>;

fn kept() -> Result<Queries> {
    queries_in(&shell::root().join(".sqlx"))
}

fn queries_in(folder: &Path) -> Result<Queries> {
    let mut queries = Queries::new();
    for entry in shell::entries(folder)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            let query = serde_json::from_str(&fs::read_to_string(entry.path())?)
                .map_err(|error| format!("{}: {error}", entry.path().display()))?;
            queries.insert(name, query);
        }
    }
    Ok(queries)
}

fn differences(kept: &Queries, fresh: &Queries) -> Vec<String> {
    let new = fresh.iter().filter_map(|(name, query)| {
        let fault = match kept.get(name) {
            None => "is missing",
            Some(same) if same == query => return None,
            Some(_) => "no longer fits the schema",
        };
        Some(format!(".sqlx/{name} {fault}: {}", start_of_sql(query)))
    });
    let old = kept.iter().filter(|(name, _)| !fresh.contains_key(*name)).map(|(name, query)| {
        format!(".sqlx/{name} is of no query in the code: {}", start_of_sql(query))
    });
    new.chain(old).collect()
}

/// Enough of the SQL, on one line, to know the query by.
fn start_of_sql(query: &Value) -> String {
    let sql = query.get("query").and_then(Value::as_str).unwrap_or_default();
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let start: String = line.chars().take(72).collect();
    if start == line { line } else { format!("{start}…") }
}

/// The folder, empty and there.
fn empty(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(name: &str, nullable: bool) -> Queries {
        let query = json!({ "query": "SELECT id\n  FROM messages", "nullable": [nullable] });
        Queries::from([(name.to_owned(), query)])
    }

    #[test]
    fn equal_queries_have_no_differences() {
        assert!(differences(&one("query-a.json", true), &one("query-a.json", true)).is_empty());
    }

    #[test]
    fn a_query_of_the_code_alone_is_missing() {
        let found = differences(&Queries::new(), &one("query-a.json", true));
        assert_eq!(found, [".sqlx/query-a.json is missing: SELECT id FROM messages"]);
    }

    #[test]
    fn a_query_that_the_schema_answers_otherwise_is_stale() {
        let found = differences(&one("query-a.json", true), &one("query-a.json", false));
        let fault = ".sqlx/query-a.json no longer fits the schema: SELECT id FROM messages";
        assert_eq!(found, [fault]);
    }

    #[test]
    fn a_kept_query_that_the_code_has_not_is_to_go() {
        let found = differences(&one("query-a.json", true), &Queries::new());
        let fault = ".sqlx/query-a.json is of no query in the code: SELECT id FROM messages";
        assert_eq!(found, [fault]);
    }

    #[test]
    fn long_sql_is_cut() {
        let long = start_of_sql(&json!({ "query": "a".repeat(100) }));
        assert_eq!(long.chars().count(), 73);
    }
}
