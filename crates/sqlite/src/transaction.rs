//! The transaction that handlers get: their own tables and the progress of their subscriber, together.
//!
//! Owns what may be done in it. When its turn comes, and who waits for it, is in `turn.rs`; the statements
//! are those of `write.rs` and `read.rs`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use evenfold_core::handler::HandlerTransaction;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{Inside, WriteStore, Written, check_batch};
use evenfold_core::{Error, ExpectedVersion, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::lock::{Mutex, MutexGuard};
use sqlx::{SqliteConnection, SqliteTransaction, raw_sql};

use crate::Sqlite;
use crate::error::while_doing;
use crate::turn::Held;
use crate::write::{attempt, writing};

/// A transaction that the store hands to handlers: what they do in it on their own tables, in the same
/// file, and the record that the message is done with, are there together, or not at all.
///
/// It keeps all laws of [`WriteStore`] and [`ReadStore`]: messages that are written in it are there when
/// it commits, and until then it alone reads them.
///
/// - Until its end nobody else writes to the file. A handler that writes through the store, and not
///   in its transaction, would wait for itself: it gets an error at once that says so, and that is not
///   [unavailable](Error::is_unavailable). Write by `.through(context)`. A task that it began and waits
///   for is told after 5 seconds, and so is whoever else waits while one transaction has the file for as
///   long.
/// - A statement of yours that fails is undone, and the transaction goes on. Some faults, as a full
///   disk, undo all of it; then what follows fails.
///
/// [`ReadStore`]: evenfold_core::store::ReadStore
///
/// # Examples
///
/// A table of balances that knows how far it is:
///
/// ```
/// use evenfold_core::handler::Context;
/// use evenfold_core::message::NewMessage;
/// use evenfold_core::store::{MessageStore, ReadStore, WriteStore};
/// use evenfold_core::{ExpectedVersion, StreamName};
/// use evenfold_sqlite::{Sqlite, Transaction};
///
/// type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
///
/// async fn deposited(amount: i64, context: &mut Context) -> Result {
///     let transaction = context.require::<Transaction>()?;
///     sqlx::query("UPDATE balances SET amount = amount + ?1")
///         .bind(amount)
///         .execute(transaction.connection())
///         .await?;
///     Ok(())
/// }
///
/// async fn balance(store: &Sqlite) -> Result<i64> {
///     let mut context = store.context().await?;
///     let transaction = context.require::<Transaction>()?;
///     let balance = sqlx::query_scalar("SELECT amount FROM balances");
///     Ok(balance.fetch_one(transaction.connection()).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result {
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("sqlite://{}", folder.path().join("bank.db").display());
/// let store = Sqlite::connect(&url).await?;
/// let mut context = store.context().await?;
/// let transaction = context.require::<Transaction>()?;
/// let table = "CREATE TABLE balances AS SELECT 0 AS amount";
/// sqlx::query(table).execute(transaction.connection()).await?;
/// context.commit().await?;
///
/// # let data = serde_json::value::to_raw_value(&serde_json::json!({ "position": 1 }))?;
/// # let record = [NewMessage::new(uuid::Uuid::from_u128(1), "Recorded", &data)?];
/// let progress = StreamName::new("account:position-balances")?;
/// for round in 0..2 {
///     // The second time it is the same message again: the record tells, and nothing is done twice.
///     let mut context = store.context().await?;
///     deposited(5, &mut context).await?;
///     let written = context.write(&progress, &record, ExpectedVersion::NoStream).await?;
///     assert_eq!(written.is_repetition(), round == 1);
///     if written.is_repetition() {
///         context.rollback().await;
///     } else {
///         context.commit().await?;
///     }
///     assert_eq!(balance(&store).await?, 5);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Transaction {
    on: Mutex<SqliteTransaction<'static>>,
    store: Sqlite,
    /// Whether somebody had the connection, and may have ended the transaction.
    unsure: AtomicBool,
    held: Held,
}

impl Transaction {
    pub(crate) async fn begin(store: &Sqlite) -> Result<Self, Error> {
        let begun = store.begin(|| "beginning a transaction".to_owned()).await?;
        let held = Held::now(store);
        let (on, store) = (Mutex::new(begun), store.clone());
        Ok(Self { on, store, unsure: false.into(), held })
    }

    /// The connection that it is on, for statements of your own. Leave its end to who began it.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        *self.unsure.get_mut() = true;
        self.on.get_mut()
    }

    /// The same for what this crate does in it.
    pub(crate) async fn on(&self) -> MutexGuard<'_, SqliteTransaction<'static>> {
        self.on.lock().await
    }

    async fn write_batch(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        let mut transaction = self.on().await;
        if self.unsure.load(Ordering::Relaxed) && !is_open(&mut transaction).await {
            let doing = format!("writing to `{stream}` in a transaction");
            return Err(Error::failed(doing, "it has ended, by a fault or by a statement in it"));
        }
        self.unsure.store(false, Ordering::Relaxed);
        let clock = &*self.store.clock;
        let written = attempt(&mut transaction, clock, stream, messages, expected).await?;
        // Nobody else writes, so a reason cannot go away.
        written.ok_or_else(|| writing(stream, messages, sqlx::Error::RowNotFound))
    }
}

/// SQLite begins no transaction within one, and what is no transaction any more would commit each
/// statement by itself.
async fn is_open(transaction: &mut SqliteConnection) -> bool {
    let begun = raw_sql("BEGIN").execute(&mut *transaction).await;
    if begun.is_ok() {
        raw_sql("ROLLBACK").execute(transaction).await.map(drop).unwrap_or_default();
    }
    begun.is_err()
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("store", &self.store).finish_non_exhaustive()
    }
}

impl HandlerTransaction for Transaction {
    fn name() -> &'static str {
        "evenfold::sqlite::Transaction"
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        async {
            let committed = self.on.into_inner().commit().await;
            committed.map_err(|error| while_doing("committing a transaction", error))
        }
        .boxed()
    }

    /// One that is dropped is rolled back as soon, by the thread of its connection.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        async { self.on.into_inner().rollback().await.unwrap_or_default() }.boxed()
    }

    fn inside(&self) -> Option<Inside> {
        Some(self.held.inside())
    }
}

impl WriteStore for Transaction {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        self.write_batch(stream, messages, expected).boxed()
    }
}
