//! Connections that go from one call of a store to the next, past the driver's pool.
//!
//! The pool asks each connection that comes back whether it is still there. That is a round trip on
//! the server for every call; and as the next call does not wait for its answer but takes another
//! connection, one caller leads through all of them, each of which has its own caches to warm. So a
//! store that owns its pool keeps connections that answered as they should.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream};
use futures::{Future, StreamExt, TryStreamExt};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgQueryResult, PgRow};
use sqlx::{Connection, Either, Execute, Executor, Postgres};
use tokio::time::timeout;

/// One that nobody used for this long is to be asked whether it is still there.
pub(crate) const QUIET: Duration = Duration::from_secs(30);

/// How long the answer may take; a new connection is made then.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// After this long any goes to the pool, which closes those that are old.
const TENURE: Duration = Duration::from_mins(1);

/// A pool that only one store uses, and the connections of it that wait for the next call.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Inner>);

struct Inner {
    pool: PgPool,
    /// [`QUIET`].
    quiet: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last one used is the last.
    idle: Vec<Idle>,
    /// How many calls wait for the pool, which does not know of those above.
    waiting: usize,
    closed: bool,
}

struct Idle {
    connection: PoolConnection<Postgres>,
    /// When it came from the pool.
    since: Instant,
    used: Instant,
}

impl State {
    /// The connection used last; or none that was used lately, and those that were quiet for too long,
    /// of which that one is the last.
    fn take(&mut self, quiet: Duration) -> Result<Idle, Vec<Idle>> {
        match self.idle.pop() {
            Some(idle) if idle.used.elapsed() < quiet => Ok(idle),
            idle => {
                self.waiting += 1;
                // The others are quieter still.
                Err(std::mem::take(&mut self.idle).into_iter().chain(idle).collect())
            }
        }
    }
}

impl Idle {
    /// Whether the server answers by it; it is closed otherwise.
    async fn answers(mut self) -> Option<Self> {
        let answer = timeout(ANSWER_WITHIN, self.connection.ping()).await;
        if !matches!(answer, Ok(Ok(()))) {
            drop(self.connection.detach());
            return None;
        }
        Some(self)
    }
}

impl Kept {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self(Arc::new(Inner { pool, quiet: QUIET, state: Mutex::default() }))
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The first row of the answer to a query, which is read to its end.
    pub(crate) async fn row<'q>(
        &self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let (mut connection, since) = self.take().await?;
        let row = connection.fetch_optional(query).await?;
        self.put(connection, since);
        Ok(row)
    }

    /// All answers to a query, as they come.
    pub(crate) fn stream<'e, 'q: 'e>(
        &'e self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>> {
        poured(|slot| self.pour(query, slot))
    }

    /// Lays one answer after the other down in the slot.
    async fn pour<'q>(
        &self,
        query: impl Execute<'q, Postgres> + 'q,
        slot: Arc<Slot<Either<PgQueryResult, PgRow>>>,
    ) -> Result<(), sqlx::Error> {
        let (mut connection, since) = self.take().await?;
        let mut answers = connection.fetch_many(query);
        while let Some(answer) = answers.try_next().await? {
            slot.put(answer).await;
        }
        drop(answers);
        self.put(connection, since);
        Ok(())
    }

    /// Waits for calls under way and closes all connections.
    pub(crate) async fn close(&self) {
        let idle = self.0.end();
        drop(idle);
        self.0.pool.close().await;
    }

    /// Closes all connections and waits for nobody: their server is not heard any more.
    pub(crate) fn leave(&self) {
        for idle in self.0.end() {
            drop(idle.connection.detach());
        }
        // The pool is closed with that.
        drop(self.0.pool.close());
    }

    /// The connection used last, or one of the pool. What is not [put](Self::put) back goes to the pool.
    pub(crate) async fn take(&self) -> Result<(PoolConnection<Postgres>, Instant), sqlx::Error> {
        let taken = self.0.state().take(self.0.quiet);
        let (mut quiet, _waiting) = match taken {
            Ok(idle) => return Ok((idle.connection, idle.since)),
            Err(quiet) => (quiet, Waiting(self)),
        };
        let last = quiet.pop();
        // Those go to the pool.
        drop(quiet);
        if let Some(last) = last
            && let Some(idle) = last.answers().await
        {
            return Ok((idle.connection, idle.since));
        }
        Ok((self.0.pool.acquire().await?, Instant::now()))
    }

    /// What is not kept is dropped, and so goes back to the pool.
    pub(crate) fn put(&self, connection: PoolConnection<Postgres>, since: Instant) {
        let used = Instant::now();
        let mut state = self.0.state();
        if state.waiting == 0 && !state.closed && used.duration_since(since) < TENURE {
            state.idle.push(Idle { connection, since, used });
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps none from now on.
    fn end(&self) -> Vec<Idle> {
        let mut state = self.state();
        state.closed = true;
        std::mem::take(&mut state.idle)
    }
}

impl Drop for Inner {
    /// By hand, for the driver's way back to the pool needs a runtime, and there may be none any more.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for idle in state.idle.drain(..) {
            drop(idle.connection.detach());
        }
    }
}

/// A call that waits for the pool; while it does, connections go there.
struct Waiting<'k>(&'k Kept);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.state().waiting -= 1;
    }
}

/// What a future lays down, as a stream.
pub(crate) fn poured<'e, T: Send + 'e, W>(
    work: impl FnOnce(Arc<Slot<T>>) -> W,
) -> BoxStream<'e, Result<T, sqlx::Error>>
where
    W: Future<Output = Result<(), sqlx::Error>> + Send + 'e,
{
    let slot = Arc::new(Slot(Mutex::new(None)));
    let mut work = Some(Box::pin(work(Arc::clone(&slot))));
    stream::poll_fn(move |context| {
        let Some(running) = &mut work else { return Poll::Ready(None) };
        let polled = running.as_mut().poll(context);
        match (slot.take(), polled) {
            (Some(answer), _) => Poll::Ready(Some(Ok(answer))),
            (None, Poll::Pending) => Poll::Pending,
            (None, Poll::Ready(ended)) => {
                work = None;
                Poll::Ready(ended.err().map(Err))
            }
        }
    })
    .boxed()
}

/// Where a future lays an answer down for the stream that polls it.
pub(crate) struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    /// Is done when the answer was taken.
    pub(crate) async fn put(&self, answer: T) {
        *self.lock() = Some(answer);
        let taken =
            poll_fn(|_| if self.lock().is_some() { Poll::Pending } else { Poll::Ready(()) });
        pin!(taken).await;
    }

    fn take(&self) -> Option<T> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("idle", &self.0.state().idle.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// For which each connection was quiet for too long at once.
    fn hasty(database: &TestDatabase) -> Result<Kept> {
        let pool = PgPool::connect_lazy(&database.url())?;
        Ok(Kept(Arc::new(Inner { pool, quiet: Duration::ZERO, state: Mutex::default() })))
    }

    #[tokio::test]
    async fn a_connection_that_was_quiet_is_asked_and_no_other_is_made() -> Result {
        let database = TestDatabase::new().await?;
        let kept = hasty(&database)?;
        for _ in 0..50 {
            assert!(kept.row(sqlx::query("SELECT 1")).await?.is_some());
        }
        assert_eq!(kept.pool().size(), 1);
        kept.close().await;
        Ok(())
    }

    #[tokio::test]
    async fn a_quiet_connection_that_is_gone_is_not_used() -> Result {
        let database = TestDatabase::new().await?;
        let kept = hasty(&database)?;
        let other = PgPool::connect(&database.url()).await?;
        for _ in 0..5 {
            let (mut connection, since) = kept.take().await?;
            let process = sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()");
            let process = process.fetch_one(&mut *connection).await?;
            kept.put(connection, since);
            let ended = sqlx::query("SELECT pg_terminate_backend($1, 10000)").bind(process);
            ended.execute(&other).await?;
        }
        assert!(kept.row(sqlx::query("SELECT 1")).await?.is_some());
        kept.close().await;
        Ok(())
    }
}
