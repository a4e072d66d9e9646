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
use sqlx::{Either, Execute, Executor, Postgres};

/// One that nobody used for this long is to be asked whether it is still there, by the pool.
pub(crate) const QUIET: Duration = Duration::from_secs(30);

/// And so does any after this long, for the pool closes those that are old.
const TENURE: Duration = Duration::from_mins(1);

/// A pool that only one store uses, and the connections of it that wait for the next call.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Inner>);

struct Inner {
    pool: PgPool,
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
    /// The connection used last; or those that were quiet for too long, for the pool, where the call
    /// is to wait for one.
    fn take(&mut self) -> Result<Idle, Vec<Idle>> {
        match self.idle.pop() {
            Some(idle) if idle.used.elapsed() < QUIET => Ok(idle),
            quiet => {
                self.waiting += 1;
                // The others are quieter still.
                Err(std::mem::take(&mut self.idle).into_iter().chain(quiet).collect())
            }
        }
    }
}

impl Kept {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self(Arc::new(Inner { pool, state: Mutex::default() }))
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
        let _waiting = match self.0.state().take() {
            Ok(idle) => return Ok((idle.connection, idle.since)),
            Err(_quiet) => Waiting(self),
        };
        Ok((self.0.pool.acquire().await?, Instant::now()))
    }

    /// What is not kept is dropped, and so goes back to the pool.
    fn put(&self, connection: PoolConnection<Postgres>, since: Instant) {
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
