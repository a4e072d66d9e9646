//! The [evenfold] message store on Postgres: Message DB as it is, or our own schema with the same
//! interface.
//!
//! A database with Message DB, from version 1.2 on, is used unmodified, beside services in any other
//! language. In a database without one, [`Postgres::install`] makes ours. A store keeps every law of
//! [`evenfold_core::store`] and proves it with the same suite as every other. An application usually
//! does not name this crate; it connects to a `postgres://` URL.
//!
//! # Examples
//!
//! ```no_run
//! use evenfold_core::message::NewMessage;
//! use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore};
//! use evenfold_core::{ExpectedVersion, GlobalPosition, Ids, StreamName, TimeOrderedIds};
//! use evenfold_postgres::Postgres;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Postgres::connect("postgres://message_store@localhost/message_store").await?;
//!
//! let stream = StreamName::new("account-123")?;
//! let data = serde_json::value::to_raw_value(&serde_json::json!({ "amount": 5 }))?;
//! let deposited = NewMessage::new(TimeOrderedIds.next(), "Deposited", &data)?;
//! store.write(&stream, &[deposited], ExpectedVersion::NoStream).await?;
//!
//! let accounts = CategoryQuery::new("account".parse()?);
//! let page =
//!     store.read_category(&accounts, GlobalPosition::START, BatchSize::DEFAULT).await?;
//! assert_eq!(page.len(), 1);
//!
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! [evenfold]: https://docs.rs/evenfold

mod kept;

mod connections;
mod error;
mod hosts;
mod place;
mod row;

mod browse;
mod evidence;
mod lease;
mod merged;
mod own;
mod read;
mod write;

mod flush;
mod group;

mod within;

mod transaction;
mod turn;

mod facts;
mod fault;
mod hearing;
mod install;
mod notify;
mod options;
mod schema;
mod url;

#[cfg(feature = "testing")]
pub mod testing;

use std::fmt;
use std::sync::Arc;

use evenfold_core::store::{Ability, Announcement, Context, MessageStore, ProgressStore};
use evenfold_core::{Category, Error};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use sqlx::postgres::PgPool;

use connections::{Connections, Way};
use evidence::Evidence;
use group::Groups;
use notify::Notifier;
use transaction::Writers;

pub use facts::{Facts, IdleWriter};
pub use fault::Fault;
pub use hosts::{Asked, Role, Target};
pub use install::Install;
pub use options::Options;
pub use schema::Schema;
pub use transaction::Transaction;
pub use within::Within;

/// A store in a Postgres database; a clone shares its connections.
///
/// A call that waited 10 seconds for a connection [is unavailable](Error::is_unavailable). A call
/// whose future is dropped leaves its connection in order; what it had asked for may still happen.
#[derive(Clone)]
pub struct Postgres {
    connections: Connections,
    schema: Schema,
    /// What its readers of several categories know, which a clone shares.
    evidence: Arc<Evidence>,
    /// None where processes are not to wake each other.
    notifier: Option<Notifier>,
    /// Where writers of one category wait for each other, which a clone shares; none where each writes
    /// by itself.
    groups: Option<Arc<Groups>>,
    /// What the transactions of handlers hold, which a clone shares.
    writers: Writers,
}

impl Postgres {
    /// Opens the store in the database at a URL such as `postgres://me@localhost/bank`.
    ///
    /// # Errors
    ///
    /// An invalid URL; a server that does not answer; a database that has no store or is not one to
    /// write to, and then [`Fault::of`] says why and what to do.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Options::new().connect(url).await
    }

    /// What can be chosen before the store is opened.
    pub const fn options() -> Options {
        Options::new()
    }

    /// Opens the store in the database of an application's own pool, with the default
    /// [options](Options::open). Where that leads, also after a failover, is left to the application.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open`].
    pub async fn from_pool(pool: PgPool) -> Result<Self, Error> {
        Options::new().open(pool).await
    }

    /// Installs our schema in a database that has no store, or brings ours up to date; each version
    /// as a whole or not at all. The role must be allowed to create a schema, and to bring ours up to
    /// date it must own it as well. Migrations run on a connection of their own, with the options of the pool.
    ///
    /// # Errors
    ///
    /// When Message DB is installed there already, which is used as it is or
    /// [adopted](Self::adopt); when the role may not, or the server does not answer.
    pub async fn install(pool: &PgPool) -> Result<Schema, Error> {
        install::install(&install::direct(pool)).await
    }

    /// Adds what evenfold has beyond Message DB to a Message DB: functions that write many messages
    /// at once, a column that they fill, and a schema for leases. What is there stays as it is, for every client.
    ///
    /// The column takes the table for itself for a moment, without touching a row; where writers
    /// keep it waiting for 10 seconds it gives up, and nothing was done but to note that it was begun.
    /// The role must own the table, and be allowed to create a schema.
    ///
    /// # Errors
    ///
    /// When there is no store, or one that takes another lock on categories than Message DB does; when
    /// the role may not, or the server does not answer.
    pub async fn adopt(pool: &PgPool) -> Result<Schema, Error> {
        install::adopt(&install::direct(pool)).await
    }

    /// Installs what leases need, a schema of its own beside any message store, and touches nothing
    /// else; where evenfold installed or adopted the store, it came with that. The role must be allowed
    /// to create a schema.
    ///
    /// # Errors
    ///
    /// When there is no store; when the role may not, or the server does not answer.
    pub async fn install_leases(pool: &PgPool) -> Result<Schema, Error> {
        install::install_leases(&install::direct(pool)).await
    }

    /// Which store the database had when it was opened.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What is known of the database now, for a person who wants to know why something does not
    /// work; [`Options::facts`] tells it of one that cannot be opened, too.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn facts(&self) -> Result<Facts, Error> {
        Facts::of(&self.connections).await
    }

    /// Waits for calls under way and closes the connections, for every clone of this store. An
    /// application's own pool is left to it.
    pub async fn close(&self) {
        // What calls under way announce is told too.
        self.connections.close().await;
        if let Some(notifier) = &self.notifier {
            notifier.close().await;
        }
    }

    /// The way of a statement by itself.
    fn on(&self) -> Way<'_> {
        self.connections.alone()
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options of the pool hold a password.
        f.debug_struct("Postgres").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Progress is kept as messages, as the trait does it.
impl ProgressStore for Postgres {}

impl MessageStore for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn abilities(&self) -> &'static [Ability] {
        use Ability::{Durable, Leases, SharedByProcesses, Transactions};
        match (self.connections.target.writes(), self.schema.has_leases()) {
            (false, _) => &[Durable, SharedByProcesses],
            (true, false) => &[Durable, SharedByProcesses, Transactions],
            (true, true) => &[Durable, SharedByProcesses, Transactions, Leases],
        }
    }

    fn only_reads(&self) -> bool {
        !self.connections.target.writes()
    }

    /// Hands out a [`Transaction`].
    fn context(&self) -> BoxFuture<'_, Result<Context, Error>> {
        async { Ok(Context::with(Transaction::begin(self).await?)) }.boxed()
    }

    fn announce(&self, category: &Category) {
        if let Some(notifier) = &self.notifier {
            notifier.announce(category);
        }
    }

    fn announcements(&self) -> BoxStream<'static, Announcement> {
        match &self.notifier {
            Some(notifier) => notifier.announcements(),
            None => stream::empty().boxed(),
        }
    }
}
