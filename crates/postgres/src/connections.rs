//! The connections of a store, as one thing that runs statements.
//!
//! Owns what a pooler in transaction mode needs. Each statement there is a transaction of its own,
//! for between two of them the pooler may lead to another connection of the server; and it is not
//! prepared under a name, which that connection would not know, or know as another client's.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgArguments, PgConnection, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{
    Connection, Describe, Either, Execute, Executor, PgTransaction, Postgres, SqlStr, Transaction,
};

use crate::kept::Kept;

/// The pooler sets nothing for a client that it does not know, so the transaction does: where
/// Message DB is, and the isolation that a batch needs to see what was written before its lock.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SET LOCAL search_path = message_store, public";

/// For what handlers get. Their own tables may be anywhere, so what they look for stays behind Message DB.
const BEGIN_FOR_HANDLERS: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const BEGIN_FOR_HANDLERS_BEHIND_POOLER: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SELECT set_config('search_path', \
        concat_ws(', ', 'message_store', nullif(current_setting('search_path'), '')), true)";

/// The pool of a store, and whether a pooler in transaction mode stands between it and the server.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    pub(crate) pool: PgPool,
    pub(crate) pooler: bool,
    /// Those that wait for the next call, where nobody else uses the pool.
    kept: Option<Kept>,
}

impl Connections {
    pub(crate) fn own(pool: PgPool, pooler: bool) -> Self {
        let kept = Some(Kept::new(pool.clone()));
        Self { pool, pooler, kept }
    }

    /// From an application's pool, which is left to it.
    pub(crate) fn shared(pool: PgPool, pooler: bool) -> Self {
        Self { pool, pooler, kept: None }
    }

    /// Waits for statements under way and closes the connections.
    pub(crate) async fn close(&self) {
        if let Some(kept) = &self.kept {
            kept.close().await;
        }
    }

    /// Runs a statement by itself.
    pub(crate) fn alone(&self) -> Way<'_> {
        match &self.kept {
            _ if self.pooler => Way::Pooler(&self.pool),
            Some(kept) => Way::Kept(kept),
            None => Way::Pool(&self.pool),
        }
    }

    /// Begins a transaction on a connection of its own. On a task too, for the driver does not undo one
    /// whose beginning it did not hear of; where nobody waits for it any more, it is rolled back.
    pub(crate) async fn begin(&self) -> Result<PgTransaction<'static>, sqlx::Error> {
        let connection = match &self.kept {
            Some(kept) => kept.take().await?.0,
            None => self.pool.acquire().await?,
        };
        let sql = if self.pooler { BEGIN_FOR_HANDLERS_BEHIND_POOLER } else { BEGIN_FOR_HANDLERS };
        let begun = tokio::spawn(Transaction::begin(connection, Some(SqlStr::from_static(sql))));
        begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Runs a statement in a transaction.
    pub(crate) fn within<'c>(&self, transaction: &'c mut PgConnection) -> Way<'c> {
        if self.pooler { Way::UnnamedIn(transaction) } else { Way::In(transaction) }
    }
}

/// How a statement reaches the server.
#[derive(Debug)]
pub(crate) enum Way<'c> {
    Kept(&'c Kept),
    Pool(&'c PgPool),
    Pooler(&'c PgPool),
    In(&'c mut PgConnection),
    UnnamedIn(&'c mut PgConnection),
}

/// The answer is given when the commit is, so it is held until then.
async fn answers<'q>(
    pool: &PgPool,
    query: impl Execute<'q, Postgres> + 'q,
) -> Result<Vec<Either<PgQueryResult, PgRow>>, sqlx::Error> {
    let mut lent = Lent(Some(pool.acquire().await?));
    let Some(connection) = &mut lent.0 else { return Err(sqlx::Error::PoolClosed) };
    let answers = async {
        let mut transaction = connection.begin_with(BEGIN).await?;
        let answers = transaction.fetch_many(Unnamed(query)).try_collect().await?;
        transaction.commit().await?;
        Ok(answers)
    }
    .await;
    drop(lent.0.take());
    answers
}

/// A connection that goes back to the pool when a transaction has ended. One that is dropped before
/// is closed: the driver does not know of a transaction whose beginning it did not hear of, and would
/// leave it open in the pool.
struct Lent(Option<PoolConnection<Postgres>>);

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl<'c> Executor<'c> for Way<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self {
            Self::Kept(kept) => kept.stream(query),
            Self::Pool(pool) => pool.fetch_many(query),
            Self::Pooler(pool) => answers(pool, query)
                .map_ok(|answers| stream::iter(answers.into_iter().map(Ok)))
                .try_flatten_stream()
                .boxed(),
            Self::In(transaction) => transaction.fetch_many(query),
            Self::UnnamedIn(transaction) => transaction.fetch_many(Unnamed(query)),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self {
            Self::Kept(kept) => kept.row(query).boxed(),
            Self::Pool(pool) => pool.fetch_optional(query),
            Self::Pooler(pool) => answers(pool, query)
                .map_ok(|answers| answers.into_iter().find_map(Either::right))
                .boxed(),
            Self::In(transaction) => transaction.fetch_optional(query),
            Self::UnnamedIn(transaction) => transaction.fetch_optional(Unnamed(query)),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        match self {
            Self::Kept(kept) => kept.pool().prepare_with(sql, parameters),
            Self::Pool(pool) | Self::Pooler(pool) => pool.prepare_with(sql, parameters),
            Self::In(transaction) | Self::UnnamedIn(transaction) => {
                transaction.prepare_with(sql, parameters)
            }
        }
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        match self {
            Self::Kept(kept) => kept.pool().describe(sql),
            Self::Pool(pool) | Self::Pooler(pool) => pool.describe(sql),
            Self::In(transaction) | Self::UnnamedIn(transaction) => transaction.describe(sql),
        }
    }
}

/// The same query, prepared without a name.
struct Unnamed<Q>(Q);

impl<'q, Q: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<Q> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}
