//! The [evenfold] message store in a SQLite file: no server, nothing to set up.
//!
//! The file is made when it is missing and its schema is brought up to date when it is opened.
//! Several processes on one machine may share it: they read side by side and write one at a time.
//! A store keeps every law of [`evenfold_core::store`] and proves it with the same suite as every
//! other. An application usually does not name this crate; it connects to a `sqlite://` URL.
//!
//! Beside the file stand `…-wal` and `…-shm` while it is open: they are part of it. SQLite's locks
//! need a local disk, so do not put the file on a network share.
//!
//! # Examples
//!
//! ```
//! use evenfold_core::message::NewMessage;
//! use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore};
//! use evenfold_core::{ExpectedVersion, GlobalPosition, Ids, StreamName, TimeOrderedIds};
//! use evenfold_sqlite::Sqlite;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite://{}", folder.path().join("bank.db").display());
//! # let url = url.as_str();
//! # const IGNORED: &str = stringify!(
//! let url = "sqlite://bank.db";
//! # );
//! let store = Sqlite::connect(url).await?;
//!
//! let stream = StreamName::new("account-123")?;
//! let data = serde_json::value::to_raw_value(&serde_json::json!({ "amount": 5 }))?;
//! let deposited = NewMessage::new(TimeOrderedIds.next(), "Deposited", &data)?;
//! store.write(&stream, &[deposited], ExpectedVersion::NoStream).await?;
//!
//! let accounts = CategoryQuery::new("account".parse()?);
//! let page =
//!     store.read_category(&accounts, GlobalPosition::START, BatchSize::DEFAULT).await?;
//! assert_eq!(page[0].data(), r#"{"amount":5}"#);
//!
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! [evenfold]: https://docs.rs/evenfold

mod error;
mod row;
mod turn;

mod browse;
mod lease;
mod merged;
mod read;
mod write;

mod install;
mod options;

mod transaction;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use evenfold_core::store::{Ability, Context, MessageStore, ProgressStore};
use evenfold_core::{Clock, Error};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::sqlite::SqlitePool;

pub use options::{Durability, Options};
pub use transaction::Transaction;
use turn::Holder;

/// A store in a SQLite file; a clone shares its connections.
///
/// Writers of one process queue in the order they came; those of several processes take turns as
/// they find the file free. A call that waited 30 seconds in the queue, or 5 seconds for another
/// process or for one transaction of a handler, [is unavailable](Error::is_unavailable); a handler that
/// would wait for its own transaction is refused at once.
#[derive(Clone)]
pub struct Sqlite {
    path: Arc<Path>,
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    /// The transaction of a handler that has the writer.
    held: Arc<Mutex<Option<Holder>>>,
}

impl Sqlite {
    /// Opens the store at a URL such as `sqlite://bank.db`, and makes the file if it is missing.
    ///
    /// # Errors
    ///
    /// An invalid URL; a file that cannot be opened or written, is no SQLite file, or has the
    /// schema of a later release. The error says what to do about it.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Options::new().connect(url).await
    }

    /// What can be chosen before the store is opened.
    pub const fn options() -> Options {
        Options::new()
    }

    /// The same store, which takes the time of messages and of leases from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for calls under way and closes the file, for every clone of this store. The last
    /// process to close it leaves one file without companions.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Progress is kept as messages, as the trait does it.
impl ProgressStore for Sqlite {}

impl MessageStore for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Durable, Ability::SharedByProcesses, Ability::Leases, Ability::Transactions]
    }

    /// Hands out a [`Transaction`].
    fn context(&self) -> BoxFuture<'_, Result<Context, Error>> {
        async { Ok(Context::with(Transaction::begin(self).await?)) }.boxed()
    }
}
