//! What can be chosen before a store is opened: by a URL, or by methods where the URL says nothing.
//!
//! Owns the parameters that are ours; all others are the driver's. What is done with them is in
//! `install.rs`.

use std::str::FromStr;
use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::error::Invalid;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::connections::Connections;
use crate::error::while_doing;
use crate::facts::Facts;
use crate::install::Install;
use crate::kept::QUIET;
use crate::notify::Notifier;
use crate::{Postgres, install};

/// How long a connection is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The parameters that the driver knows; others it would pass over in silence.
const DRIVERS: [&str; 12] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
];

/// What can be chosen of a store; the defaults suit a service.
///
/// A parameter of the URL wins over the method of the same name, so that an operator can change
/// what a developer chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    connections: u32,
    install: Install,
    pooler: bool,
    wakeups: bool,
}

impl Options {
    /// The defaults: 10 connections, nothing is installed, no pooler in transaction mode, and
    /// processes wake each other.
    pub const fn new() -> Self {
        Self { connections: 10, install: Install::Nothing, pooler: false, wakeups: true }
    }

    /// How many connections there may be, 1 to 1,000; 10 by default, made as they are needed. In a
    /// URL `connections=20`.
    ///
    /// # Errors
    ///
    /// When the number is not 1 to 1,000.
    pub fn connections(mut self, number: u32) -> Result<Self, Invalid> {
        if !(1..=1000).contains(&number) {
            return Err(Invalid::new("connections", number, "there may be 1 to 1000"));
        }
        self.connections = number;
        Ok(self)
    }

    /// What becomes of a database that has no message store, or not ours; nothing by default. In a
    /// URL `install=no`, `install=yes`, `install=adopt` or `install=leases`.
    #[must_use]
    pub const fn install(mut self, what: Install) -> Self {
        self.install = what;
        self
    }

    /// Whether a pooler in transaction mode, as `PgBouncer`'s, stands before the server; not by
    /// default. In a URL `pooler=transaction` or `pooler=none`.
    ///
    /// Such a pooler leads each transaction to another session of the server. With this each call is
    /// a transaction of its own and prepares nothing that stays, which costs three round trips more.
    /// A pooler in session mode needs nothing, and one that keeps prepared statements itself needs
    /// this only where Message DB was not made by evenfold and its `search_path` is not set on the
    /// role.
    #[must_use]
    pub const fn transaction_pooler(mut self, is_there: bool) -> Self {
        self.pooler = is_there;
        self
    }

    /// Whether processes wake each other's subscribers when something was written; by default they do.
    /// In a URL `wakeups=yes` or `wakeups=no`.
    ///
    /// It takes a connection beside the store's own to announce by NOTIFY, made with the first message
    /// that is written, and another to LISTEN, made with the first subscriber that waits. Without them,
    /// and behind a [pooler](Self::transaction_pooler), which lets nobody listen, a subscriber hears
    /// of other processes when it polls.
    #[must_use]
    pub const fn wakeups(mut self, are_wanted: bool) -> Self {
        self.wakeups = are_wanted;
        self
    }

    /// Announces and listens, if that is wanted.
    pub(crate) fn notifier(self, on: &Connections) -> Option<Notifier> {
        self.wakeups.then(|| Notifier::new(on))
    }

    /// What becomes of a database without a store, or not ours.
    pub(crate) fn what_to_install(self) -> Install {
        self.install
    }

    /// Opens the store at a URL: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and perhaps `?`
    /// with parameters: ours, which are named with the methods here, and the driver's: `host`, which may
    /// be the folder of a socket, `hostaddr`, `port`, `dbname`, `user`, `password`, `sslmode`,
    /// `sslrootcert`, `sslcert`, `sslkey`, `application_name`, and `options`, settings of the session
    /// as in `options=-c%20lock_timeout%3D2s`.
    ///
    /// # Errors
    ///
    /// Those of [`Postgres::connect`].
    pub async fn connect(self, url: &str) -> Result<Postgres, Error> {
        let (options, connections) = self.reach(url).await?;
        let opened = install::open(connections.clone(), options).await;
        if opened.is_err() {
            connections.close().await;
        }
        opened
    }

    /// What is known of the database at a URL, whether a store can be opened there or not. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// An invalid URL; a server that does not answer.
    pub async fn facts(self, url: &str) -> Result<Facts, Error> {
        let (_, connections) = self.reach(url).await?;
        let facts = Facts::of(&connections).await;
        connections.close().await;
        facts
    }

    /// Opens the store in the database of an application's own pool, whose size is its own affair.
    ///
    /// Message DB needs connections whose `search_path` leads to its schema, and this checks that
    /// they do; our own schema needs none. Set `test_before_acquire(false)` on the pool: otherwise
    /// each call costs a round trip more. [`Postgres::close`] leaves the pool open.
    ///
    /// # Errors
    ///
    /// Those of [`Postgres::connect`], without those of a URL.
    pub async fn open(self, pool: PgPool) -> Result<Postgres, Error> {
        install::open(Connections::shared(pool, self.pooler), self).await
    }

    /// Connects once by itself, for a pool tries again and again and does not say why it cannot.
    async fn reach(self, url: &str) -> Result<(Self, Connections), Error> {
        let (connection, options) = self.with_url(url)?;
        let pool = options.pool(connection);
        let connection = pool.connect_options();
        let place = match connection.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", connection.get_host(), connection.get_port()),
        };
        let doing = format!("connecting to {place}");
        match timeout(PATIENCE, PgConnection::connect_with(&connection)).await {
            Ok(Ok(connection)) => drop(connection.close().await),
            Ok(Err(error)) => return Err(while_doing(doing, error)),
            Err(late) => return Err(Error::unavailable(doing, late)),
        }
        Ok((options, Connections::own(pool, options.pooler)))
    }

    fn with_url(mut self, url: &str) -> Result<(PgConnectOptions, Self), Invalid> {
        let refuse = |rule: String| {
            // The rest of a URL may hold a password.
            let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
            Err(Invalid::new("Postgres URL", format_args!("{scheme}:…"), rule))
        };
        if url.contains('\0') || url.contains("%00") {
            return refuse("it holds the character NUL".to_owned());
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return refuse("it begins with `postgres://`".to_owned());
        }
        let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
        let mut others = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            self = match parameter.split_once('=') {
                Some(("install", "no")) => self.install(Install::Nothing),
                Some(("install", "yes")) => self.install(Install::Missing),
                Some(("install", "adopt")) => self.install(Install::Adopt),
                Some(("install", "leases")) => self.install(Install::Leases),
                Some(("install", _)) => {
                    return refuse("`install=` is `no`, `yes`, `adopt` or `leases`".to_owned());
                }
                Some(("pooler", "none")) => self.transaction_pooler(false),
                Some(("pooler", "transaction")) => self.transaction_pooler(true),
                Some(("pooler", _)) => {
                    return refuse("`pooler=` is `none` or `transaction`".to_owned());
                }
                Some(("wakeups", "no")) => self.wakeups(false),
                Some(("wakeups", "yes")) => self.wakeups(true),
                Some(("wakeups", _)) => {
                    return refuse("`wakeups=` is `yes` or `no`".to_owned());
                }
                Some(("connections", number)) => match number.parse() {
                    Ok(number) => self.connections(number)?,
                    Err(_) => return refuse("`connections=` is a number, 1 to 1000".to_owned()),
                },
                Some((name, _)) if DRIVERS.contains(&name) || name.starts_with("options[") => {
                    others.push(parameter);
                    self
                }
                _ => {
                    let name = parameter.split('=').next().unwrap_or_default();
                    return refuse(format!(
                        "there is no parameter `{name}`; ours are `install=`, `pooler=`, \
                         `connections=` and `wakeups=`, and the driver's are {}",
                        DRIVERS.join(", "),
                    ));
                }
            };
        }
        match PgConnectOptions::from_str(&format!("{place}?{}", others.join("&"))) {
            Ok(connection) => Ok((connection, self)),
            Err(error) => refuse(error.to_string()),
        }
    }

    /// The functions of Message DB name each other without their schema, so each connection looks
    /// there; a batch checks its version after it waited for the lock, which needs that isolation.
    fn pool(self, connection: PgConnectOptions) -> PgPool {
        let connection = match connection.get_application_name() {
            Some(_) => connection,
            None => connection.application_name("evenfold"),
        };
        let connection = if self.pooler {
            // Poolers refuse a session's own settings, and each transaction makes them here.
            connection.extra_float_digits(None)
        } else {
            connection.options([
                ("search_path", "message_store,public"),
                ("default_transaction_isolation", "read committed"),
            ])
        };
        PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(PATIENCE)
            // It would cost a round trip for each call; a connection in use is known to be there.
            .test_before_acquire(false)
            .before_acquire(|connection, of| Box::pin(is_there(connection, of.idle_for)))
            .connect_lazy_with(connection)
    }
}

/// Asks a connection that was quiet for long, and so finds one that broke meanwhile.
pub(crate) async fn is_there(
    connection: &mut PgConnection,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    if idle_for > QUIET {
        connection.ping().await?;
    }
    Ok(true)
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_database_and_its_parameters_win() {
        let url = "postgres://me:secret@db.example:5433/bank?connections=3&install=yes&\
                   pooler=transaction&wakeups=no&application_name=teller";
        let (connection, options) = Options::new().with_url(url).unwrap();
        assert_eq!(connection.get_host(), "db.example");
        assert_eq!(connection.get_database(), Some("bank"));
        assert_eq!(connection.get_application_name(), Some("teller"));
        let chosen =
            Options { connections: 3, install: Install::Missing, pooler: true, wakeups: false };
        assert_eq!(options, chosen);
    }

    #[test]
    fn a_url_of_anything_else_is_refused_without_its_password() {
        for (url, said) in [
            ("bank", "it begins with `postgres://`"),
            ("mysql://me:secret@localhost/bank", "it begins with `postgres://`"),
            (
                "postgres://me:secret@localhost/bank?install=maybe",
                "`no`, `yes`, `adopt` or `leases`",
            ),
            ("postgres://me:secret@localhost/bank?pooler=statement", "`none` or `transaction`"),
            ("postgres://me:secret@localhost/bank?wakeups=maybe", "`yes` or `no`"),
            ("postgres://me:secret@localhost/bank?connections=0", "1 to 1000"),
            ("postgres://me:secret@localhost/bank?connections=many", "1 to 1000"),
            ("postgres://me:secret@localhost/bank?instal=yes", "no parameter `instal`; ours are"),
            ("postgres://me:secret@localhost/bank?install", "no parameter `install`; ours are"),
            ("postgres://me:secret@localhost/ba%00nk", "the character NUL"),
            ("postgres://me:secret@localhost:port/bank", "Postgres URL `postgres:…`: "),
        ] {
            let refused = Options::new().with_url(url).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
