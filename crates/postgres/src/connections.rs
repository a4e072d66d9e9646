//! The connections of a store, as one thing that runs statements.
//!
//! Owns what a pooler in transaction mode needs. Each statement there is a transaction of its own,
//! for between two of them the pooler may lead to another connection of the server; and it is not
//! prepared under a name, which that connection would not know, or know as another client's.

use std::convert::Infallible;
use std::sync::Arc;

use futures::future::{BoxFuture, pending};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgConnection, PgPool, PgQueryResult, PgRow, PgStatement,
    PgTypeInfo,
};
use sqlx::{
    Connection, Describe, Either, Execute, Executor, PgTransaction, Postgres, SqlStr, Transaction,
};

use crate::fault::Fault;
use crate::hosts::{Asked, Hosts, Target};
use crate::kept::Kept;
use crate::place::{Place, Stay};

/// The pooler sets nothing for a client that it does not know, so the transaction does: where
/// Message DB is, and the isolation that a batch needs to see what was written before its lock.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SET LOCAL search_path = message_store, public";

/// For what handlers get. Their own tables may be anywhere, so what they look for stays behind Message DB.
const BEGIN_FOR_HANDLERS: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const BEGIN_FOR_HANDLERS_BEHIND_POOLER: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SELECT set_config('search_path', \
        concat_ws(', ', 'message_store', nullif(current_setting('search_path'), '')), true)";

/// Where the connections of a store lead, and whether a pooler in transaction mode stands in between.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    lead: Lead,
    pub(crate) pooler: bool,
    /// What they are for.
    pub(crate) target: Target,
    /// Where the transaction is that they were given for; one that is lent by an application is its own
    /// affair.
    stay: Option<Arc<Stay>>,
}

#[derive(Clone, Debug)]
enum Lead {
    /// To one server, and some of them wait for the next call, for nobody else uses their pool.
    Own(Kept),
    /// Where an application's pool leads, which is left to it.
    Shared(PgPool),
    /// To one of several hosts.
    Found(Place),
}

impl Connections {
    pub(crate) fn own(pool: PgPool, pooler: bool) -> Self {
        Self { lead: Lead::Own(Kept::new(pool)), pooler, target: Target::ReadWrite, stay: None }
    }

    /// From an application's pool, which is left to it.
    pub(crate) fn shared(pool: PgPool, pooler: bool, target: Target) -> Self {
        Self { lead: Lead::Shared(pool), pooler, target, stay: None }
    }

    /// To one of several hosts, and later perhaps to another.
    pub(crate) fn found(place: Place, pooler: bool, target: Target) -> Self {
        Self { lead: Lead::Found(place), pooler, target, stay: None }
    }

    /// What leads to the server where they are.
    pub(crate) fn options(&self) -> Arc<PgConnectOptions> {
        match &self.lead {
            Lead::Own(kept) => kept.pool().connect_options(),
            Lead::Shared(pool) => pool.connect_options(),
            Lead::Found(place) => place.on().options(),
        }
    }

    /// What the hosts that are known say that they are.
    pub(crate) async fn ask(&self) -> Vec<Asked> {
        match &self.lead {
            Lead::Found(place) => place.ask().await,
            _ => Hosts { each: vec![(*self.options()).clone()], target: self.target }.ask().await,
        }
    }

    /// Waits for statements under way and closes the connections.
    pub(crate) async fn close(&self) {
        match &self.lead {
            Lead::Own(kept) => kept.close().await,
            Lead::Shared(_) => {}
            Lead::Found(place) => place.close().await,
        }
    }

    /// Closes the connections without a word to their server.
    pub(crate) fn leave(&self) {
        if let Lead::Own(kept) = &self.lead {
            kept.leave();
        }
    }

    /// Runs a statement by itself.
    pub(crate) fn alone(&self) -> Way<'_> {
        match &self.lead {
            Lead::Found(place) => Way::Found(place),
            Lead::Own(kept) if self.pooler => Way::Pooler(kept.pool()),
            Lead::Own(kept) => Way::Kept(kept),
            Lead::Shared(pool) if self.pooler => Way::Pooler(pool),
            Lead::Shared(pool) => Way::Pool(pool),
        }
    }

    /// A store for reading writes nothing, not even where the server would.
    pub(crate) fn may_write(&self) -> Result<(), sqlx::Error> {
        if self.target.writes() {
            return Ok(());
        }
        Err(sqlx::Error::Configuration(Fault::ForReading { target: self.target }.into()))
    }

    /// Begins a transaction on a connection of its own, and gives what its statements are to reach it by.
    /// On a task too, for the driver does not undo one whose beginning it did not hear of; where nobody
    /// waits for it any more, it is rolled back.
    pub(crate) fn begin(
        &self,
    ) -> BoxFuture<'_, Result<(PgTransaction<'static>, Self), sqlx::Error>> {
        async {
            let connection = match &self.lead {
                Lead::Own(kept) => kept.take().await?.0,
                Lead::Shared(pool) => pool.acquire().await?,
                Lead::Found(place) => {
                    let (begun, stay) = place.begin().await?;
                    return Ok((begun, Self { stay: Some(Arc::new(stay)), ..self.clone() }));
                }
            };
            let sql =
                if self.pooler { BEGIN_FOR_HANDLERS_BEHIND_POOLER } else { BEGIN_FOR_HANDLERS };
            let begun =
                tokio::spawn(Transaction::begin(connection, Some(SqlStr::from_static(sql))));
            Ok((begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?, self.clone()))
        }
        .boxed()
    }

    /// Runs a statement in a transaction.
    pub(crate) fn within<'c>(&'c self, transaction: &'c mut PgConnection) -> Way<'c> {
        let way = if self.pooler { Way::UnnamedIn(transaction) } else { Way::In(transaction) };
        match &self.stay {
            Some(stay) => Way::Staying(stay, Box::new(way)),
            None => way,
        }
    }

    /// Ends when the store has left the host of the transaction, with what that means to it.
    pub(crate) fn lost(&self) -> BoxFuture<'static, sqlx::Error> {
        let Some(stay) = self.stay.clone() else { return pending().boxed() };
        async move {
            let Err(error) = stay.watched(pending::<Result<Infallible, _>>()).await;
            error
        }
        .boxed()
    }

    /// Waits for the end of a transaction, for as long as its host is the right one.
    pub(crate) async fn ended(
        &self,
        end: impl Future<Output = Result<(), sqlx::Error>>,
    ) -> Result<(), sqlx::Error> {
        match &self.stay {
            Some(stay) => stay.watched(end).await,
            None => end.await,
        }
    }
}

/// How a statement reaches the server.
#[derive(Debug)]
pub(crate) enum Way<'c> {
    Kept(&'c Kept),
    Pool(&'c PgPool),
    Pooler(&'c PgPool),
    Found(&'c Place),
    In(&'c mut PgConnection),
    UnnamedIn(&'c mut PgConnection),
    /// In a transaction whose host may come to be the wrong one.
    Staying(&'c Stay, Box<Way<'c>>),
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
            Self::Found(place) => place.stream(query),
            Self::Pool(pool) => pool.fetch_many(query),
            Self::Pooler(pool) => answers(pool, query)
                .map_ok(|answers| stream::iter(answers.into_iter().map(Ok)))
                .try_flatten_stream()
                .boxed(),
            Self::In(transaction) => transaction.fetch_many(query),
            Self::UnnamedIn(transaction) => transaction.fetch_many(Unnamed(query)),
            Self::Staying(stay, way) => stay.stream(*way, query),
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
            Self::Found(place) => place.row(query).boxed(),
            Self::Pool(pool) => pool.fetch_optional(query),
            Self::Pooler(pool) => answers(pool, query)
                .map_ok(|answers| answers.into_iter().find_map(Either::right))
                .boxed(),
            Self::In(transaction) => transaction.fetch_optional(query),
            Self::UnnamedIn(transaction) => transaction.fetch_optional(Unnamed(query)),
            Self::Staying(stay, way) => stay.watched(way.fetch_optional(query)).boxed(),
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
            Self::Found(place) => {
                async move { place.on().alone().prepare_with(sql, parameters).await }.boxed()
            }
            Self::Pool(pool) | Self::Pooler(pool) => pool.prepare_with(sql, parameters),
            Self::In(transaction) | Self::UnnamedIn(transaction) => {
                transaction.prepare_with(sql, parameters)
            }
            Self::Staying(_, way) => way.prepare_with(sql, parameters),
        }
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        match self {
            Self::Kept(kept) => kept.pool().describe(sql),
            Self::Found(place) => async move { place.on().alone().describe(sql).await }.boxed(),
            Self::Pool(pool) | Self::Pooler(pool) => pool.describe(sql),
            Self::In(transaction) | Self::UnnamedIn(transaction) => transaction.describe(sql),
            Self::Staying(_, way) => way.describe(sql),
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
