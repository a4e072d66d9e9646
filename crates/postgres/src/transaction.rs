//! In the application's own transaction: messages are written and read beside its own tables.
//!
//! Owns the savepoint that a refused write is undone to. The statements are those of `write.rs` and
//! `read.rs`.

use evenfold_core::error::Conflict;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{BatchSize, Written, check_batch};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use sqlx::{Acquire, PgTransaction};

use crate::Postgres;
use crate::error::{Refusal, refusal};
use crate::write::{Answer, writing};

impl Postgres {
    /// Writes messages to the end of a stream in the application's own transaction, with all laws of
    /// [`WriteStore`](evenfold_core::store::WriteStore): they are there when it commits, or not at
    /// all. A refused write leaves the transaction as it was before, and usable.
    ///
    /// Until the end of the transaction nobody else writes to the category, so keep it short, and
    /// write to several categories in one order everywhere: two transactions that wait for each
    /// other are a deadlock, which the server ends with an error that
    /// [is unavailable](Error::is_unavailable). Begin the transaction in the database of this store,
    /// on a pool that [`from_pool`](Self::from_pool) accepts, and at READ COMMITTED.
    ///
    /// # Errors
    ///
    /// Those of [`WriteStore::write`](evenfold_core::store::WriteStore::write).
    pub async fn write_in(
        &self,
        transaction: &mut PgTransaction<'_>,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        loop {
            if let Some(written) = self.attempt_in(transaction, stream, messages, expected).await? {
                return Ok(written);
            }
        }
    }

    /// Reads a page of a stream as the transaction sees it, with what it wrote itself.
    ///
    /// # Errors
    ///
    /// Those of [`ReadStore::read_stream`](evenfold_core::store::ReadStore::read_stream).
    pub async fn read_stream_in(
        &self,
        transaction: &mut PgTransaction<'_>,
        stream: &StreamName,
        from: Position,
        limit: BatchSize,
    ) -> Result<Vec<Recorded>, Error> {
        let on = self.connections.within(transaction);
        Self::stream_page(on, stream, from, limit).await
    }

    /// Writes, or finds out why not; nothing when the reason is gone. To go back to the savepoint
    /// frees the lock, so another writer may have brought the stream to the expected version.
    async fn attempt_in(
        &self,
        transaction: &mut PgTransaction<'_>,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Option<Written>, Error> {
        let failed = |error| writing(stream, messages, error);
        let mut savepoint = transaction.begin().await.map_err(failed)?;
        let on = self.connections.within(&mut savepoint);
        let refused = match self.insert(on, stream, messages, expected).await {
            Ok(Answer::Written(last)) => {
                savepoint.commit().await.map_err(failed)?;
                return Ok(Some(Written::now(last)));
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
        let on = self.connections.within(transaction);
        let found = Self::find(on, messages).await.map_err(failed)?;
        if let Some(written) = Written::by_ids(stream, messages, &found)? {
            return Ok(Some(written));
        }
        let on = self.connections.within(transaction);
        let version = Self::version(on, stream).await?;
        // An older snapshot than that of the other writer shows the version that was expected.
        if !expected.holds(version) || refused == Refusal::Position {
            return Err(Conflict::new(stream.clone(), expected, version).into());
        }
        Ok(None)
    }
}
