//! `cargo xtask prepare`: renews `.sqlx`, the checked queries that let a build need no database.
//!
//! `--check` renews nothing and says what is stale. Each backend is one row of the table below; the
//! queries stand in the backend's crate, the schema in `migrations/`. The programs that need a driver
//! for this are in `examples/`.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::message_db;
use crate::shell::{self, Result, say};

/// A database that queries are checked against.
struct Database {
    package: &'static str,
    /// The package's folder. Its `sqlx.toml` names `variable`, and without that file it has no
    /// checked queries yet.
    folder: &'static str,
    variable: &'static str,
    /// Makes an empty database of each schema.
    create: fn(&Scratch) -> Result<Schemas>,
    /// The modules whose queries need to be answered by our schema alone.
    own: &'static [&'static str],
}

/// Leads to an empty database of each schema that the queries of a package are for.
struct Schemas {
    /// Has everything, so the package is compiled against it.
    ours: String,
    /// Must answer each query as ours does, those of the modules `own` apart.
    other: Option<String>,
}

const DATABASES: &[Database] = &[
    Database {
        package: "evenfold-sqlite",
        folder: "crates/sqlite",
        variable: "EVENFOLD_SQLITE_URL",
        create: sqlite,
        own: &[],
    },
    Database {
        package: "evenfold-postgres",
        folder: "crates/postgres",
        variable: "EVENFOLD_POSTGRES_URL",
        create: postgres,
        own: &["crates/postgres/src/own.rs", "crates/postgres/src/lease.rs"],
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
    let mut created = Vec::new();
    for database in databases {
        created.push((database, (database.create)(&scratch)?));
    }
    check_against(&created, &fresh)?;
    for (database, schemas) in &created {
        if let Some(other) = &schemas.other {
            same_answers(database, other, &fresh)?;
        }
    }
    Ok(Some(fresh))
}

/// Compiles packages, each against our schema; the macros leave what they learned in the folder.
fn check_against(databases: &[(&Database, Schemas)], into: &Path) -> Result<()> {
    let root = shell::root();
    let mut check =
        shell::cargo(["check", "--quiet", "--all-targets", "--all-features", "--locked"]);
    check
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", into)
        .env("SQLX_TMP", empty(root.join("target/sqlx-tmp"))?);
    for (database, schemas) in databases {
        check.args(["-p", database.package]).env(database.variable, &schemas.ours);
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

/// Asks another schema for the queries of the code, and says which it answers otherwise.
fn same_answers(database: &Database, url: &str, fresh: &Path) -> Result<()> {
    let answers = empty(shell::root().join("target/sqlx-check-other"))?;
    let mut describe = example("describe")?;
    shell::output(describe.arg(url).args([fresh, &answers]))?;
    let own = database.own.iter().map(|module| shell::read(Path::new(module)));
    let own: String = own.collect::<Result<_>>()?;
    let strangers = strangers(&queries_in(fresh)?, &queries_in(&answers)?, &own);
    if strangers.is_empty() {
        return Ok(());
    }
    let place = database.own.join(" or ");
    Err(format!(
        "another schema than ours does not answer alike; what only ours can answer is written in \
         {place}, whole in one literal:\n{}",
        strangers.join("\n")
    )
    .into())
}

/// The queries that the other schema answers otherwise, or not at all, and that do not stand in the
/// module which is for those.
fn strangers(ours: &Queries, other: &Queries, own: &str) -> Vec<String> {
    let own = without_spaces(own);
    let otherwise = other.iter().filter(|(name, answer)| ours.get(*name) != Some(answer));
    otherwise
        .filter(|(_, answer)| !own.contains(&without_spaces(text(answer, "query"))))
        .map(|(_, answer)| {
            let error = match text(answer, "error") {
                "" => "the types are others",
                error => error,
            };
            format!("{}: {error}", start_of_sql(answer))
        })
        .collect()
}

/// SQL as it compares with the source that it was written in, whatever the lines of that source.
fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect()
}

/// An example of this package, built.
fn example(name: &str) -> Result<Command> {
    // With the features of the whole workspace the driver is built once, here and for the tests.
    let build = "build --quiet --locked --workspace --all-features --example";
    if !shell::status(shell::cargo(build.split(' ')).arg(name))?.success() {
        return Err(format!("crates/xtask/examples/{name}.rs does not compile; see above").into());
    }
    let mut example = Command::new(env::current_exe()?.with_file_name("examples").join(name));
    example.current_dir(shell::root());
    Ok(example)
}

/// A SQLite file, written by the SQLite that is built into sqlx: the schema may use what that
/// version knows, and no machine needs a program for it.
fn sqlite(scratch: &Scratch) -> Result<Schemas> {
    let file = scratch.folder.join("sqlite.db");
    let mut scratch = example("scratch")?;
    scratch.arg(&file).args(shell::files("migrations/sqlite", "sql")?);
    if !shell::status(&mut scratch)?.success() {
        return Err("the migrations in migrations/sqlite do not run; see above".into());
    }
    Ok(Schemas { ours: format!("sqlite://{}", file.display()), other: None })
}

/// Our own schema, and the genuine Message DB as its scripts make it.
fn postgres(scratch: &Scratch) -> Result<Schemas> {
    let cluster = if let Some(cluster) = scratch.cluster.get() {
        cluster
    } else {
        let cluster = Cluster::throwaway(None)?;
        scratch.cluster.get_or_init(|| cluster)
    };
    message_db::install_newest(cluster)?;
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
    Ok(Schemas { ours: cluster.url("ours"), other: Some(cluster.url(message_db::DATABASE)) })
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
    let line = text(query, "query").split_whitespace().collect::<Vec<_>>().join(" ");
    let start: String = line.chars().take(72).collect();
    if start == line { line } else { format!("{start}…") }
}

fn text<'a>(query: &'a Value, key: &str) -> &'a str {
    query.get(key).and_then(Value::as_str).unwrap_or_default()
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
    fn what_another_schema_answers_otherwise_stands_in_the_module_for_it() {
        let (ours, other) = (one("query-a.json", true), one("query-a.json", false));
        let found = strangers(&ours, &other, "let sql = \"SELECT name FROM messages\";");
        assert_eq!(found, ["SELECT id FROM messages: the types are others"]);
        let own = "query!(\n    \"SELECT id \\\n     FROM messages\",\n)";
        assert!(strangers(&ours, &other, own).is_empty());
        assert!(strangers(&ours, &ours, "").is_empty());
    }

    #[test]
    fn an_answer_that_is_an_error_says_so() {
        let other = json!({ "query": "SELECT f()", "error": "there is no f()" });
        let other = Queries::from([("query-a.json".to_owned(), other)]);
        assert_eq!(strangers(&Queries::new(), &other, ""), ["SELECT f(): there is no f()"]);
    }

    #[test]
    fn long_sql_is_cut() {
        let long = start_of_sql(&json!({ "query": "a".repeat(100) }));
        assert_eq!(long.chars().count(), 73);
    }
}
