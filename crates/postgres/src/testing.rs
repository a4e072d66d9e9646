//! A database per test, cloned from a template and dropped with its handle.
//!
//! The server is the one of `$DATABASE_URL`, as `cargo xtask test` sets it, and its role must be
//! allowed to create databases. Nothing here is for production.

use std::time::Duration;

use evenfold_core::{Error, Ids, TimeOrderedIds};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, query, query_scalar};

use crate::{Postgres, install};

/// A database of its own for one test; it is dropped with this handle.
#[derive(Debug)]
pub struct TestDatabase {
    /// Leads to the server's own database.
    server: String,
    name: String,
}

impl TestDatabase {
    /// A database with our schema.
    ///
    /// # Errors
    ///
    /// When `$DATABASE_URL` is missing or its server refuses.
    pub async fn new() -> Result<Self, Error> {
        let server = server()?;
        let template = template(&server).await?;
        Self::clone_of(server, &template).await
    }

    /// A copy of a database of the server, which nobody may be connected to.
    ///
    /// # Errors
    ///
    /// When `$DATABASE_URL` is missing, or there is no such database.
    pub async fn from_template(template: &str) -> Result<Self, Error> {
        Self::clone_of(server()?, template).await
    }

    async fn clone_of(server: String, template: &str) -> Result<Self, Error> {
        let name = format!("test_{}", TimeOrderedIds.next().simple());
        let create = format!(r#"CREATE DATABASE "{name}" TEMPLATE "{template}""#);
        execute(&server, create).await.map_err(|error| {
            Error::failed(format!("copying database `{template}` for a test"), error)
        })?;
        Ok(Self { server, name })
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// The URL of the database for a role that needs no password.
    pub fn url_as(&self, role: &str) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", &url));
        let place = rest.find('/').and_then(|end| rest.get(..end)).and_then(|it| it.rfind('@'));
        let place = place.and_then(|at| rest.get(at + 1..)).unwrap_or(rest);
        format!("{scheme}://{role}@{place}")
    }
}

impl Drop for TestDatabase {
    /// On a thread of its own, for a runtime may be running on this one. What fails here leaves a
    /// database behind, on a server that is for tests.
    fn drop(&mut self) {
        let drop = format!(r#"DROP DATABASE IF EXISTS "{}" WITH (FORCE)"#, self.name);
        let server = self.server.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.is_ok_and(|runtime| runtime.block_on(execute(&server, drop)).is_ok())
        });
        thread.join().ok();
    }
}

fn server() -> Result<String, Error> {
    std::env::var("DATABASE_URL").map_err(|error| {
        let doing = "a test needs a server at `$DATABASE_URL`; run it by `cargo xtask test`";
        Error::failed(doing, error)
    })
}

/// The same URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let start = place.find("://").map_or(0, |at| at + 3);
    let end =
        place.get(start..).and_then(|rest| rest.find('/')).map_or(place.len(), |at| start + at);
    format!("{}/{name}?{parameters}", place.get(..end).unwrap_or(place))
}

async fn execute(url: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

/// The template with our schema, made by the first test that asks; its name tells the migrations.
async fn template(server: &str) -> Result<String, Error> {
    let name = format!("evenfold_{}", install::fingerprint());
    let made = async {
        let mut connection = PgConnection::connect(server).await?;
        // Until the connection is closed, so that one process makes it and the others find it.
        query!("SELECT pg_advisory_lock(20261, 3)").execute(&mut connection).await?;
        let is_there = query_scalar!(
            r#"SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1) AS "is!""#,
            name,
        )
        .fetch_one(&mut connection)
        .await?;
        Ok::<_, sqlx::Error>((connection, is_there))
    };
    let failed = |error| Error::failed("making the template for tests", error);
    let (connection, is_there) = made.await.map_err(failed)?;
    if !is_there {
        // Under another name until it is whole.
        let unfinished = format!("{name}_unfinished");
        for sql in [
            format!(r#"DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)"#),
            format!(r#"CREATE DATABASE "{unfinished}" TEMPLATE template0 ENCODING 'UTF8'"#),
        ] {
            execute(server, sql).await.map_err(failed)?;
        }
        let options: PgConnectOptions =
            with_database(server, &unfinished).parse().map_err(failed)?;
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy_with(options);
        Postgres::install(&pool).await?;
        pool.close().await;
        let rename = format!(r#"ALTER DATABASE "{unfinished}" RENAME TO "{name}""#);
        execute(server, rename).await.map_err(failed)?;
    }
    connection.close().await.map_err(failed)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_led_to_another_database_and_role() {
        let server = "postgres://postgres@localhost/postgres?host=/tmp/a/b".to_owned();
        let database = TestDatabase { server, name: "one".into() };
        assert_eq!(database.url(), "postgres://postgres@localhost/one?host=/tmp/a/b");
        assert_eq!(database.url_as("me"), "postgres://me@localhost/one?host=/tmp/a/b");
        std::mem::forget(database);
    }
}
