//! The turn of whoever writes: one connection does, and a transaction has it until its end.
//!
//! Owns who waits for whom and what they are told, and how a transaction begins. What is done in a turn
//! is in `write.rs`, `lease.rs` and `transaction.rs`.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::store::Inside;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, SqlStr, SqliteTransaction};
use tokio::time::{Instant, timeout};

use crate::Sqlite;
use crate::error::while_doing;
use crate::install::PATIENCE;

impl Sqlite {
    /// The connection that writes.
    ///
    /// What comes from inside of the transaction that has it would wait for its own end: it is refused
    /// at once, and would be again. Whoever else waits for as long as a call does is told as soon as one
    /// transaction of a handler has had it for as long, and may try again.
    pub(crate) async fn turn(
        &self,
        doing: impl Fn() -> String,
    ) -> Result<PoolConnection<sqlx::Sqlite>, Error> {
        if self.holder(|holder| holder.inside.is_here()).unwrap_or_default() {
            let says = "this is within a transaction of a handler, which has the file, and would wait \
                        for itself: write in the transaction, by `.through(context)`";
            return Err(Error::failed(doing(), says));
        }
        let mut turn = pin!(self.writer.acquire());
        let mut patience = PATIENCE;
        while !patience.is_zero() {
            match timeout(patience, &mut turn).await {
                Ok(turn) => return turn.map_err(|error| while_doing(doing(), error)),
                // Who has it now may have begun while this waited for another.
                Err(_) => patience = self.holder(Holder::patience).unwrap_or(PATIENCE),
            }
        }
        let says = "a transaction of a handler has had the file for 5 seconds; if that handler waits \
                    for this, as for a task that it began, it waits for itself: write in the \
                    transaction, by `.through(context)`";
        Err(Error::unavailable(doing(), says))
    }

    /// Begins a transaction that has SQLite's write lock from its first moment.
    pub(crate) async fn begin(
        &self,
        doing: impl Fn() -> String,
    ) -> Result<SqliteTransaction<'static>, Error> {
        let failed = |error| while_doing(doing(), error);
        let mut writer = self.turn(&doing).await?;
        if writer.is_in_transaction() {
            // A statement of a handler had ended the last one, and the driver still counts it.
            writer.close().await.map_err(failed)?;
            writer = self.turn(&doing).await?;
        }
        let sql = Some(SqlStr::from_static("BEGIN IMMEDIATE"));
        sqlx::Transaction::begin(writer, sql).await.map_err(failed)
    }

    /// Of the transaction of a handler that has the connection that writes, if one has.
    fn holder<T>(&self, of: impl FnOnce(&Holder) -> T) -> Option<T> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(of)
    }
}

/// The transaction of a handler that has the connection that writes.
pub(crate) struct Holder {
    since: Instant,
    inside: Inside,
}

impl Holder {
    /// How long it may still have it before those are told who wait.
    fn patience(&self) -> Duration {
        PATIENCE.saturating_sub(self.since.elapsed())
    }
}

/// Notes for as long as a transaction has the connection that writes that it has.
pub(crate) struct Held {
    inside: Inside,
    noted: Arc<Mutex<Option<Holder>>>,
}

impl Held {
    pub(crate) fn now(by: &Sqlite) -> Self {
        let (inside, noted) = (Inside::new(), Arc::clone(&by.held));
        let holder = Holder { since: Instant::now(), inside: inside.clone() };
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(holder);
        Self { inside, noted }
    }

    /// The mark of what is done in the transaction.
    pub(crate) fn inside(&self) -> Inside {
        self.inside.clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The connection may be with the next transaction already.
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.take_if(|holder| holder.inside.is(&self.inside));
    }
}
