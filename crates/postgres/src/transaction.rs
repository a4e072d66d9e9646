//! The transaction that handlers get: their own tables and the progress of their subscriber, together.
//!
//! Owns its end, and what it keeps from others until then. How messages are written and read in it is in
//! `within.rs`, where its connection comes from in `connections.rs`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};

use evenfold_core::handler::HandlerTransaction;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{
    BatchSize, CategoryQuery, Inside, ReadStore, WriteStore, Written, check_batch,
};
use evenfold_core::{Category, Error, ExpectedVersion, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use sqlx::{PgConnection, PgTransaction};

use crate::Postgres;
use crate::error::while_doing;
use crate::read::reads;
use crate::within::{run, write};

/// A transaction that the store hands to handlers: what they do in it on their own tables, and the
/// record that the message is done with, are there together, or not at all.
///
/// It is at READ COMMITTED, and keeps all laws of [`WriteStore`] and [`ReadStore`], as
/// [`Postgres::within`] says them.
///
/// - A statement of yours that fails ends it, as Postgres does: what follows fails, its commit too. For
///   one that may fail make a savepoint, by `begin` of [`sqlx::Connection`].
/// - A message that is written in it keeps others from writing to that category until it ends; so write
///   last. A handler that then writes to that category through the store, and not in its transaction,
///   would wait for itself, and is refused at once. A task that it began is not known as its own: do not
///   wait for one that writes there.
/// - Where the store has several hosts and leaves the one that this is on, a subscriber ends the handler
///   wherever it waits, and hands the message to it again on the next. A statement of yours on a host
///   that is cut off would hang there for ever: who runs handlers by hand waits for
///   [`Context::lost`](evenfold_core::handler::Context::lost) beside them.
/// - Behind a pooler in transaction mode your own queries are not to be prepared under a name:
///   `sqlx::query(…).persistent(false)`. Tables are looked for in `message_store` first, and then
///   where the role looks for them.
///
/// # Examples
///
/// ```no_run
/// use evenfold_core::handler::Context;
/// use evenfold_postgres::Transaction;
///
/// async fn deposited(
///     amount: i64,
///     context: &mut Context,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     let transaction = context.require::<Transaction>()?;
///     sqlx::query("UPDATE balances SET amount = amount + $1")
///         .bind(amount)
///         .execute(transaction.connection())
///         .await?;
///     Ok(())
/// }
/// ```
pub struct Transaction {
    store: Postgres,
    on: Mutex<PgTransaction<'static>>,
    /// Whether somebody had the connection since it last did what it was asked, and may have ended or
    /// failed the transaction.
    unsure: AtomicBool,
    wrote: Wrote,
}

/// The categories that the transactions of handlers have written to, and hold until they end; by the
/// mark of each.
pub(crate) type Writers = Arc<Lock<Vec<(Inside, Category)>>>;

/// What one transaction has written to, noted for as long as it is open.
struct Wrote {
    inside: Inside,
    noted: Writers,
}

impl Wrote {
    fn to(&self, stream: &StreamName) {
        let written = (self.inside.clone(), stream.category());
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(written);
    }
}

impl Drop for Wrote {
    fn drop(&mut self) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|(inside, _)| !inside.is(&self.inside));
    }
}

impl Postgres {
    /// Refuses a write beside the transaction that it is made in and that holds its category, for it
    /// would wait for itself.
    pub(crate) fn check_inside(&self, stream: &StreamName) -> Result<(), Error> {
        let category = stream.category_str();
        let waits =
            |(inside, held): &(Inside, Category)| held.as_str() == category && inside.is_here();
        if !self.writers.lock().unwrap_or_else(PoisonError::into_inner).iter().any(waits) {
            return Ok(());
        }
        let says = format!(
            "this is within a transaction of a handler, which has written to `{category}`, and would \
             wait for itself: write in the transaction, by `.through(context)`"
        );
        Err(Error::failed(format!("writing to `{stream}`"), says))
    }
}

impl Transaction {
    /// On the host where the store is now. A store for reading has none, for it is there to be written
    /// in.
    pub(crate) async fn begin(store: &Postgres) -> Result<Self, Error> {
        let failed = |error| while_doing("beginning a transaction", error);
        store.connections.may_write().map_err(failed)?;
        let (begun, connections) = store.connections.begin().await.map_err(failed)?;
        let store = Postgres { connections, ..store.clone() };
        let wrote = Wrote { inside: Inside::new(), noted: Arc::clone(&store.writers) };
        Ok(Self { store, on: Mutex::new(begun), unsure: false.into(), wrote })
    }

    /// The connection that it is on, for statements of your own. Leave its end to who began it.
    pub fn connection(&mut self) -> &mut PgConnection {
        *self.unsure.get_mut() = true;
        self.on.get_mut()
    }

    async fn write_batch(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        let mut transaction = self.on.lock().await;
        self.unsure.store(true, Ordering::Relaxed);
        let written = write(&self.store, &mut transaction, stream, messages, expected).await?;
        self.unsure.store(false, Ordering::Relaxed);
        if !written.is_repetition() {
            self.wrote.to(stream);
        }
        Ok(written)
    }

    /// The server takes the commit of a failed transaction for a rollback and says nothing of it, so it
    /// is asked before.
    async fn end(self) -> Result<(), sqlx::Error> {
        let Self { store: Postgres { connections, .. }, on, unsure, wrote: _wrote } = self;
        let mut transaction = on.into_inner();
        if unsure.into_inner()
            && let Err(error) =
                run(connections.within(&mut transaction), "SAVEPOINT evenfold_end").await
        {
            connections.ended(transaction.rollback()).await.ok();
            return Err(error);
        }
        connections.ended(transaction.commit()).await
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("store", &self.store).finish_non_exhaustive()
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

reads!(Transaction, it, it.store, lent = it.on.lock() => it.store.connections.within(&mut lent));

impl HandlerTransaction for Transaction {
    fn name() -> &'static str {
        "evenfold::postgres::Transaction"
    }

    fn inside(&self) -> Option<Inside> {
        Some(self.wrote.inside.clone())
    }

    fn lost(&self) -> BoxFuture<'static, Error> {
        let lost = self.store.connections.lost();
        lost.map(|error| while_doing("handling in a transaction", error)).boxed()
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        let ended = self.end();
        async { ended.await.map_err(|error| while_doing("committing a transaction", error)) }
            .boxed()
    }

    /// Where the connection is gone the server rolls it back, and a connection whose rollback was not
    /// waited for the pool does not hand out before that is done.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            let Self { store, on, .. } = *self;
            store.connections.ended(on.into_inner().rollback()).await.unwrap_or_default();
        }
        .boxed()
    }
}
