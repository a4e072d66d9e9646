//! In the application's own transaction: messages are written and read beside its own tables.
//!
//! Owns the savepoint that a refused write is undone to, for the transaction of a handler too, which is
//! in `transaction.rs`. The statements are those of `write.rs` and `read.rs`.

use std::fmt;

use evenfold_core::error::Conflict;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore, Written, check_batch};
use evenfold_core::{Error, ExpectedVersion, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use sqlx::{PgConnection, PgTransaction, raw_sql};

use crate::connections::Way;
use crate::error::{Refusal, is_of_transaction, refusal};
use crate::read::reads;
use crate::write::{GOES, check_target, find, never_late_enough, writing};
use crate::{Postgres, read};

impl Postgres {
    /// The store within the application's own transaction, for as long as that is lent: with all
    /// laws of [`WriteStore`] and [`ReadStore`], messages are there when it commits, or not at all.
    ///
    /// - A refused write leaves the transaction as it was before, and usable.
    /// - What it wrote itself it reads; nobody else does before it commits.
    /// - Until its end nobody else writes to the categories that it wrote to. So keep it short, and
    ///   write to several categories in one order everywhere.
    /// - Of two transactions that wait for each other the server refuses a write of one, with an
    ///   error that [is unavailable](Error::is_unavailable). That one is still open, and the other
    ///   goes on waiting for the categories that it wrote to: roll it back at once, and make it again.
    ///   A second try within it would be refused again.
    /// - Where the future of a write is dropped, roll back too: the write may be part of the
    ///   transaction, or may have failed it, and the driver's commit of a failed one tells no error.
    ///
    /// Begin the transaction in the database of this store, on a pool that
    /// [`from_pool`](Self::from_pool) accepts, and at READ COMMITTED: one that keeps an older snapshot
    /// does not see what was written since. A Message DB needs the `search_path` that leads to it,
    /// behind a pooler in transaction mode too: there, set it on the role or the database.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use evenfold_core::message::NewMessage;
    /// use evenfold_core::store::WriteStore;
    /// use evenfold_core::{ExpectedVersion, StreamName};
    /// use evenfold_postgres::Postgres;
    /// use sqlx::PgPool;
    ///
    /// async fn open(
    ///     pool: &PgPool,
    ///     store: &Postgres,
    ///     opened: NewMessage,
    /// ) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut transaction = pool.begin().await?;
    ///     sqlx::query("INSERT INTO owners VALUES ('Ada')").execute(&mut *transaction).await?;
    ///     store
    ///         .within(&mut transaction)
    ///         .write(&StreamName::new("account-1")?, &[opened], ExpectedVersion::NoStream)
    ///         .await?;
    ///     transaction.commit().await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn within<'t>(&'t self, transaction: &'t mut PgTransaction<'_>) -> Within<'t> {
        Within { store: self, on: Mutex::new(transaction) }
    }
}

/// A store within a transaction of the application, from [`Postgres::within`].
pub struct Within<'t> {
    store: &'t Postgres,
    on: Mutex<&'t mut PgConnection>,
}

impl fmt::Debug for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").field("store", self.store).finish_non_exhaustive()
    }
}

impl WriteStore for Within<'_> {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        async move {
            check_batch(messages)?;
            check_target(&self.store.connections, stream, messages)?;
            let mut transaction = self.on.lock().await;
            write(self.store, &mut transaction, stream, messages, expected).await
        }
        .boxed()
    }
}

reads!(Within<'_>, it, it.store, lent = it.on.lock() => it.store.connections.within(&mut lent));

/// Writes a batch that was checked.
pub(crate) async fn write(
    store: &Postgres,
    transaction: &mut PgConnection,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<Written, Error> {
    for _ in 0..GOES {
        if let Some(written) = attempt(store, transaction, stream, messages, expected).await? {
            return Ok(written);
        }
    }
    Err(never_late_enough(stream))
}

/// Writes, or finds out why not; nothing when the reason is gone. To go back to the savepoint frees the
/// lock, so another writer may have brought the stream to the expected version.
async fn attempt(
    store: &Postgres,
    transaction: &mut PgConnection,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<Option<Written>, Error> {
    let connections = &store.connections;
    let failed = |error| writing(stream, messages, error);
    run(connections.within(transaction), SAVE).await.map_err(failed)?;
    let on = connections.within(transaction);
    let refused = match store.insert(on, stream, messages, expected).await {
        Ok(Some(last)) => {
            run(connections.within(transaction), KEEP).await.map_err(failed)?;
            return Ok(Some(Written::now(last)));
        }
        Ok(None) => None,
        Err(error) => Some(error),
    };
    let undone = run(connections.within(transaction), UNDO).await;
    let refused = match refused {
        // A serialization failure is one of the whole transaction, perhaps of its own tables. What the
        // server says to this, the next statement says as well.
        Some(error) if refusal(&error).is_none() || is_of_transaction(&error) => {
            return Err(failed(error));
        }
        refused => refused,
    };
    undone.map_err(failed)?;
    let found = find(connections.within(transaction), messages).await.map_err(failed)?;
    let version = read::version(connections.within(transaction), stream);
    let written = Written::after_refusal(stream, messages, expected, &found, version).await?;
    match refused {
        Some(error)
            if written.is_none()
                && !sees_commits(connections.within(transaction)).await.map_err(failed)? =>
        {
            Err(behind(stream, expected, &error).unwrap_or_else(|| stale(stream, error)))
        }
        _ => Ok(written),
    }
}

/// By hand, and not by the driver's transaction in a transaction: where that one's `SAVEPOINT` fails
/// or is not waited for, it rolls back all of the application's, and what follows commits by itself.
const SAVE: &str = "SAVEPOINT evenfold_write";
const KEEP: &str = "RELEASE SAVEPOINT evenfold_write";
const UNDO: &str = "ROLLBACK TO SAVEPOINT evenfold_write; RELEASE SAVEPOINT evenfold_write";

pub(crate) async fn run(on: Way<'_>, sql: &'static str) -> Result<(), sqlx::Error> {
    raw_sql(sql).execute(on).await.map(drop)
}

/// Whether a statement sees what was committed until it began, so that to try again can help.
async fn sees_commits(on: Way<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT current_setting('transaction_isolation') LIKE 'read %' AS "sees!""#
    )
    .fetch_one(on)
    .await
}

/// The conflict with a writer whom our snapshot does not show: the position after the expected
/// version is taken, so the stream is at least there.
fn behind(stream: &StreamName, expected: ExpectedVersion, error: &sqlx::Error) -> Option<Error> {
    let least = match expected {
        ExpectedVersion::NoStream => Position::START,
        ExpectedVersion::At(position) => position.next(),
        ExpectedVersion::Any => return None,
    };
    (refusal(error) == Some(Refusal::Position))
        .then(|| Conflict::new(stream.clone(), expected, Some(least)).into())
}

fn stale(stream: &StreamName, error: sqlx::Error) -> Error {
    let doing = format!(
        "writing to `{stream}`: another transaction was faster, and this one, which is not at READ \
         COMMITTED, does not see it; make it again"
    );
    Error::unavailable(doing, error)
}
