//! The transaction that handlers get: their own tables and the progress of their subscriber, together.
//!
//! Owns its end. How messages are written and read in it is in `within.rs`, where its connection comes
//! from in `connections.rs`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use evenfold_core::handler::HandlerTransaction;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore, WriteStore, Written, check_batch};
use evenfold_core::{Error, ExpectedVersion, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use sqlx::{PgConnection, PgTransaction};

use crate::error::while_doing;
use crate::within::{read_within, run, write};
use crate::{Postgres, read};

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
///   waits for itself.
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
}

impl Transaction {
    /// On the host where the store is now. A store for reading has none, for it is there to be written
    /// in.
    pub(crate) async fn begin(store: &Postgres) -> Result<Self, Error> {
        let failed = |error| while_doing("beginning a transaction", error);
        store.connections.may_write().map_err(failed)?;
        let (begun, connections) = store.connections.begin().await.map_err(failed)?;
        let store = Postgres { connections, ..store.clone() };
        Ok(Self { store, on: Mutex::new(begun), unsure: false.into() })
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
        Ok(written)
    }

    /// The server takes the commit of a failed transaction for a rollback and says nothing of it, so it
    /// is asked before.
    async fn end(self) -> Result<(), sqlx::Error> {
        let Self { store: Postgres { connections, .. }, on, unsure } = self;
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

read_within!(Transaction);

impl HandlerTransaction for Transaction {
    fn name() -> &'static str {
        "evenfold::postgres::Transaction"
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
