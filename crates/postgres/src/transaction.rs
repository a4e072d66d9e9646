//! In the application's own transaction: messages are written and read beside its own tables.
//!
//! Owns the savepoint that a refused write is undone to. The statements are those of `write.rs` and
//! `read.rs`.

use std::fmt;

use evenfold_core::error::Conflict;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore, Written, check_batch};
use evenfold_core::{Error, ExpectedVersion, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use sqlx::{Connection, PgConnection, PgTransaction};

use crate::error::{Refusal, refusal};
use crate::write::{Answer, find, writing};
use crate::{Postgres, read};

impl Postgres {
    /// The store within the application's own transaction, for as long as that is lent: with all
    /// laws of [`WriteStore`] and [`ReadStore`], messages are there when it commits, or not at all.
    ///
    /// - A refused write leaves the transaction as it was before, and usable.
    /// - What it wrote itself it reads; nobody else does before it commits.
    /// - Until its end nobody else writes to the categories that it wrote to. So keep it short, and
    ///   write to several categories in one order everywhere: two transactions that wait for each
    ///   other are a deadlock, which the server ends with an error that
    ///   [is unavailable](Error::is_unavailable). Then roll back and make the transaction again: until
    ///   it has ended it holds the categories that it wrote to before, and others wait on.
    ///
    /// Begin the transaction in the database of this store, on a pool that
    /// [`from_pool`](Self::from_pool) accepts, and at READ COMMITTED: one that keeps an older snapshot
    /// does not see what was written since, and each write to that stream is a conflict.
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
        Within { store: self, transaction: Mutex::new(transaction) }
    }
}

/// A store within a transaction of the application, from [`Postgres::within`].
pub struct Within<'t> {
    store: &'t Postgres,
    transaction: Mutex<&'t mut PgConnection>,
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
        self.write_batch(stream, messages, expected).boxed()
    }
}

impl ReadStore for Within<'_> {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        async move {
            let mut transaction = self.transaction.lock().await;
            let on = self.store.connections.within(&mut transaction);
            read::stream_page(on, stream, from, limit).await
        }
        .boxed()
    }

    fn read_category<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        async move {
            let mut transaction = self.transaction.lock().await;
            let on = self.store.connections.within(&mut transaction);
            read::category_page(on, query, from, limit).await
        }
        .boxed()
    }

    fn last_message<'a>(
        &'a self,
        stream: &'a StreamName,
        message_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
        async move {
            let mut transaction = self.transaction.lock().await;
            let on = self.store.connections.within(&mut transaction);
            read::last(on, stream, message_type).await
        }
        .boxed()
    }

    fn stream_version<'a>(
        &'a self,
        stream: &'a StreamName,
    ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
        async move {
            let mut transaction = self.transaction.lock().await;
            read::version(self.store.connections.within(&mut transaction), stream).await
        }
        .boxed()
    }
}

/// What came of one go at a write.
enum Attempt {
    Written(Written),
    /// The stream was not at the expected version, and is now.
    Late,
    /// The next position was taken, and the stream is seen at this version: by a writer without the
    /// lock, or since a snapshot that the transaction keeps.
    Behind(Option<Position>),
}

impl Within<'_> {
    async fn write_batch(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        let mut transaction = self.transaction.lock().await;
        let mut before = None;
        loop {
            match self.attempt(&mut transaction, stream, messages, expected).await? {
                Attempt::Written(written) => return Ok(written),
                // An old snapshot shows the same version for good, and is refused for good.
                Attempt::Behind(version) if before == Some(version) => {
                    return Err(Conflict::new(stream.clone(), expected, version).into());
                }
                Attempt::Behind(version) => before = Some(version),
                Attempt::Late => {}
            }
        }
    }

    /// Writes, or finds out why not, if the reason is not gone. To go back to the savepoint frees
    /// the lock, so another writer may have brought the stream to the expected version.
    async fn attempt(
        &self,
        transaction: &mut PgConnection,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Attempt, Error> {
        let connections = &self.store.connections;
        let failed = |error| writing(stream, messages, error);
        let mut savepoint = transaction.begin().await.map_err(failed)?;
        let on = connections.within(&mut savepoint);
        let refused = match self.store.insert(on, stream, messages, expected).await {
            Ok(Answer::Written(last)) => {
                savepoint.commit().await.map_err(failed)?;
                return Ok(Attempt::Written(Written::now(last)));
            }
            Ok(Answer::Version) => Refusal::Version,
            Err(error) => {
                let Some(refusal) = refusal(&error) else {
                    // What the server says to this, the next statement says as well.
                    savepoint.rollback().await.ok();
                    return Err(failed(error));
                };
                refusal
            }
        };
        savepoint.rollback().await.map_err(failed)?;
        let found = find(connections.within(transaction), messages).await.map_err(failed)?;
        if let Some(written) = Written::by_ids(stream, messages, &found)? {
            return Ok(Attempt::Written(written));
        }
        let version = read::version(connections.within(transaction), stream).await?;
        if !expected.holds(version) {
            return Err(Conflict::new(stream.clone(), expected, version).into());
        }
        Ok(if refused == Refusal::Position { Attempt::Behind(version) } else { Attempt::Late })
    }
}
