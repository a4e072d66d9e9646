//! What can be chosen before a store is opened: by a URL, or by methods where the URL says nothing.
//!
//! Owns what each choice means, and how a server is reached. A URL is read in `url.rs`; what is done
//! with the database is in `install.rs`.

use std::sync::Arc;
use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::error::Invalid;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::connections::Connections;
use crate::error::while_doing;
use crate::facts::Facts;
use crate::group::Groups;
use crate::hosts::{Hosts, Target, name};
use crate::install::Install;
use crate::kept::QUIET;
use crate::notify::Notifier;
use crate::place::Place;
use crate::{Postgres, install, url};

/// How long a connection is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What can be chosen of a store; the defaults suit a service.
///
/// A parameter of the URL wins over the method of the same name, so that an operator can change
/// what a developer chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    connections: u32,
    install: Install,
    pooler: bool,
    target: Target,
    wakeups: bool,
    group_append: bool,
}

impl Options {
    /// The defaults: 10 connections, nothing is installed, no pooler in transaction mode, a store to
    /// write to, processes wake each other, and writers of one category are written together.
    pub const fn new() -> Self {
        Self {
            connections: 10,
            install: Install::Nothing,
            pooler: false,
            target: Target::ReadWrite,
            wakeups: true,
            group_append: true,
        }
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

    /// What the store is for, and so which of the hosts of the URL it is on; to write to by default.
    /// In a URL `target_session_attrs=`, with the words of [`Target`].
    #[must_use]
    pub const fn target_session_attrs(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Whether processes wake each other's subscribers when something was written; by default they do.
    /// In a URL `wakeups=yes` or `wakeups=no`.
    ///
    /// It takes a connection beside the store's own to announce by NOTIFY, made with the first message
    /// that is written, and another to LISTEN for all subscribers, made with the first that waits. Without them,
    /// behind a [pooler](Self::transaction_pooler), and [for reading](Self::target_session_attrs), as
    /// neither a pooler nor a standby lets anybody listen, a subscriber hears of other processes when it
    /// polls.
    #[must_use]
    pub const fn wakeups(mut self, are_wanted: bool) -> Self {
        self.wakeups = are_wanted;
        self
    }

    /// Whether writers of this process who would wait for each other are written together; by default
    /// they are. In a URL `group_append=yes` or `group_append=no`.
    ///
    /// Message DB writes one transaction of a category after the other, and each waits for the disk.
    /// So while one writer of a category is at it, those who come wait, and then go in one
    /// transaction, up to 1,000 messages at a time. Each has its own outcome as ever: its own
    /// position, its own conflict, its own fault. Who is alone waits for nobody. A call that is dropped
    /// while it waits writes nothing; one that is dropped later may.
    ///
    /// To each category up to 1,000 calls wait at a time, or as many as have 62 MB of data; more wait for
    /// room among them. A write that has no answer for 10 seconds lets the next go on beside it, three of them
    /// in a store at most: one on a connection that fell silent, say, or one that was begun and is not polled.
    /// Who found no room for 10 seconds, or whose turn did not come in 20, [is
    /// unavailable](evenfold_core::Error::is_unavailable).
    #[must_use]
    pub const fn group_append(mut self, is_wanted: bool) -> Self {
        self.group_append = is_wanted;
        self
    }

    /// Where writers wait for each other, if that is wanted.
    pub(crate) fn groups(self) -> Option<Arc<Groups>> {
        self.group_append.then(|| Arc::new(Groups::new()))
    }

    /// Announces and listens, if that is wanted.
    pub(crate) fn notifier(self, on: &Connections) -> Option<Notifier> {
        (self.wakeups && on.target.writes()).then(|| Notifier::new(on))
    }

    /// What becomes of a database without a store, or not ours.
    pub(crate) fn what_to_install(self) -> Install {
        self.install
    }

    /// Opens the store at a URL: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and perhaps `?`
    /// with parameters: ours, which are named with the methods here, and the driver's: `host`, which may
    /// be the folder of a socket, `hostaddr`, `port`, `dbname`, `user`, `password`, `sslmode`,
    /// `sslrootcert`, `sslcert`, `sslkey`, `application_name`, and `options`, settings of the session
    /// as in `options=-c%20lock_timeout%3D2s`. In a password write `%3F` for `?`, `%26` for `&`, `%23` for
    /// `#`, `%2F` for `/` and `%40` for `@`; no error shows any part of one.
    ///
    /// Several hosts are written as in libpq: `postgres://me@one:5432,two:5433/bank`, or
    /// `?host=/run/one,/run/two&port=5432,5433`. All are asked at once, and the store is on the first
    /// that answers and suits: by default, the one that takes writes. When that one fails, or only
    /// reads from then on, calls end in an error that [is
    /// unavailable](evenfold_core::Error::is_unavailable), and the next ones wait for up to 10 seconds
    /// until another host suits. A write whose answer was lost is looked for there by its ids, as
    /// ever.
    ///
    /// What a primary acknowledged is on the next one only if that had it: name its standbys in
    /// `synchronous_standby_names`. That also keeps a primary which is cut off from acknowledging. To
    /// make sure that no two hosts take writes is up to whoever promotes one.
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
    /// Where the pool leads is the application's affair too. After a failover it is led to the next
    /// primary by [`PgPool::set_connect_options`]; until then writes end in errors that [are
    /// unavailable](evenfold_core::Error::is_unavailable).
    ///
    /// # Errors
    ///
    /// Those of [`Postgres::connect`], without those of a URL.
    pub async fn open(self, pool: PgPool) -> Result<Postgres, Error> {
        install::open(Connections::shared(pool, self.pooler, self.target), self).await
    }

    /// Connects once by itself, for a pool tries again and again and does not say why it cannot.
    async fn reach(self, url: &str) -> Result<(Self, Connections), Error> {
        let (hosts, options) = url::read(url, self)?;
        let each: Vec<_> = hosts.into_iter().map(|host| options.session(host)).collect();
        let Self { pooler, target, .. } = options;
        if let ([host], true) = (&each[..], target.writes()) {
            let doing = format!("connecting to {}", name(host));
            match timeout(PATIENCE, PgConnection::connect_with(host)).await {
                Ok(Ok(connection)) => drop(connection.close().await),
                Ok(Err(error)) => return Err(while_doing(doing, error)),
                Err(late) => return Err(Error::unavailable(doing, late)),
            }
            let pool = options.pool().connect_lazy_with(host.clone());
            return Ok((options, Connections::own(pool, pooler)));
        }
        let hosts = Hosts { each, target };
        let found = hosts.find(None, PATIENCE).await.cloned();
        let found = found.map_err(|fault| Error::unavailable("looking for the host", fault))?;
        let place = Place::new(hosts, &found, options.pool(), pooler);
        Ok((options, Connections::found(place, pooler, target)))
    }

    /// The functions of Message DB name each other without their schema, so each connection looks
    /// there; a batch checks its version after it waited for the lock, which needs that isolation.
    fn session(self, connection: PgConnectOptions) -> PgConnectOptions {
        let connection = match connection.get_application_name() {
            Some(_) => connection,
            None => connection.application_name("evenfold"),
        };
        if self.pooler {
            // Poolers refuse a session's own settings, and each transaction makes them here.
            connection.extra_float_digits(None)
        } else {
            connection.options([
                ("search_path", "message_store,public"),
                ("default_transaction_isolation", "read committed"),
            ])
        }
    }

    fn pool(self) -> PgPoolOptions {
        PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(PATIENCE)
            // It would cost a round trip for each call; a connection in use is known to be there.
            .test_before_acquire(false)
            .before_acquire(|connection, of| Box::pin(is_there(connection, of.idle_for)))
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
