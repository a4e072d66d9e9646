//! Telling other processes what was committed, and hearing what they tell: NOTIFY and LISTEN.
//!
//! Owns two connections of its own, made when they are needed: one announces, the other listens. A
//! notification within a writing transaction takes a lock of the whole server until it is committed, so
//! what is announced is told afterwards, all that waits by one statement. That announcements arrive is
//! not believed but tried, for a pooler takes LISTEN and delivers nothing. Who is woken is the
//! `evenfold` crate's, and it reads at times all the same.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenfold_core::store::Announcement;
use evenfold_core::{Category, Ids, TimeOrderedIds};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::{Acquire, Postgres, query};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::connections::{Connections, Way};
use crate::options::{PATIENCE, is_there};

/// The same in every database; a notification does not leave its own. What is sent is the name of a
/// category, so a client in any language may say `NOTIFY evenfold, 'account'`.
const CHANNEL: &str = "evenfold";

/// The server takes less than 8,000 bytes; the rest of a name as long is found by reading at times.
const LONGEST: usize = 7_999;

/// What comes meanwhile is told together.
const PAUSE: Duration = Duration::from_millis(2);

/// A server that refuses is not asked for as long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How often it is tried whether announcements arrive, and how long one may take.
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// The pauses between connections that do not hear grow from the one to the other.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// Announces and listens for a store and its clones.
#[derive(Clone, Debug)]
pub(crate) struct Notifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Apart from the connections of the store.
    pool: PgPool,
    on: Connections,
    waiting: Mutex<Waiting>,
}

/// What is to be told, and whether somebody is at it.
#[derive(Debug, Default)]
struct Waiting {
    texts: HashSet<String>,
    is_told: bool,
}

impl Notifier {
    pub(crate) fn new(on: &Connections) -> Self {
        let pool = PgPoolOptions::new()
            // Two are in use; others may hang, and are not waited for.
            .max_connections(10)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .before_acquire(|connection, of| Box::pin(is_there(connection, of.idle_for)))
            .connect_lazy_with(on.pool.connect_options().as_ref().clone());
        Self(Arc::new(Inner { pool, on: on.clone(), waiting: Mutex::default() }))
    }

    /// Tells soon that something was committed to a category.
    pub(crate) fn announce(&self, category: &Category) {
        if category.as_str().len() <= LONGEST {
            self.tell(category.as_str());
        }
    }

    /// At once when nobody is telling anything, else with what else comes until that is done.
    fn tell(&self, text: &str) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut waiting = self.0.waiting();
        if !waiting.texts.contains(text) {
            waiting.texts.insert(text.to_owned());
        }
        if !waiting.is_told {
            waiting.is_told = true;
            let telling = Telling { of: Arc::clone(&self.0), is_done: false };
            runtime.spawn(telling.run());
        }
    }

    /// What is announced from now on, until the store is closed; nothing behind a pooler, where a
    /// session that listens is not ours.
    pub(crate) fn announcements(&self) -> BoxStream<'static, Announcement> {
        if self.0.on.pooler {
            return stream::empty().boxed();
        }
        let hearing = Hearing::new(self.clone());
        stream::unfold(hearing, async |mut hearing| Some((hearing.next().await?, hearing))).boxed()
    }

    /// Closes the connections. Whoever listens and looks no more at what there is to hear is not
    /// waited for.
    pub(crate) async fn close(&self) {
        let pool = self.0.pool.clone();
        let closed = tokio::spawn(async move { pool.close().await });
        timeout(PROBE_WITHIN, closed).await.ok();
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        &self,
        connection: &mut PoolConnection<Postgres>,
        texts: &[String],
    ) -> Result<(), sqlx::Error> {
        if self.on.pooler {
            let mut transaction = connection.begin().await?;
            notify(self.on.within(&mut transaction), texts).await?;
            return transaction.commit().await;
        }
        notify(self.on.within(connection), texts).await
    }
}

/// Tells all by one statement. What is told needs not outlive the server, so the commit, which others
/// who tell something wait for, does not wait for the disk.
async fn notify(on: Way<'_>, texts: &[String]) -> Result<(), sqlx::Error> {
    query!(
        r#"
        SELECT
            count(pg_catalog.pg_notify($1, text)) AS "told!",
            pg_catalog.set_config('synchronous_commit', 'off', true) AS "set!"
        FROM pg_catalog.unnest($2::text[]) AS text
        "#,
        CHANNEL,
        texts,
    )
    .fetch_one(on)
    .await
    .map(drop)
}

/// The task that tells what waits, until nothing does.
struct Telling {
    of: Arc<Inner>,
    is_done: bool,
}

impl Telling {
    async fn run(mut self) {
        let mut connection = None;
        while let Some(texts) = self.take() {
            let mut told = self.send(&mut connection, &texts).await;
            if told.is_err() {
                // A connection that was quiet may be gone.
                told = self.send(&mut connection, &texts).await;
            }
            sleep(if told.is_ok() { PAUSE } else { PAUSE_AFTER_FAILURE }).await;
        }
    }

    fn take(&mut self) -> Option<Vec<String>> {
        let mut waiting = self.of.waiting();
        self.is_done = waiting.texts.is_empty() || self.of.pool.is_closed();
        waiting.is_told = !self.is_done;
        waiting.is_told.then(|| waiting.texts.drain().collect())
    }

    async fn send(
        &self,
        connection: &mut Option<PoolConnection<Postgres>>,
        texts: &[String],
    ) -> Result<(), sqlx::Error> {
        let mut of_now = match connection.take() {
            Some(connection) => connection,
            None => self.of.pool.acquire().await?,
        };
        self.of.send(&mut of_now, texts).await?;
        *connection = Some(of_now);
        Ok(())
    }
}

impl Drop for Telling {
    /// Its runtime may end before it does; then the next one tells what waits.
    fn drop(&mut self) {
        if !self.is_done {
            self.of.waiting().is_told = false;
        }
    }
}

/// Listens, and tries every now and then whether it hears.
struct Hearing {
    notifier: Notifier,
    listener: Option<PgListener>,
    /// The one that the listener is of.
    runtime: Option<Handle>,
    /// What was announced to oneself and is to be heard, or else is to be announced then.
    probe: Option<String>,
    due: Instant,
    /// How many connections in a row heard nothing.
    failures: u32,
}

impl Hearing {
    fn new(notifier: Notifier) -> Self {
        let due = Instant::now();
        Self { notifier, listener: None, runtime: None, probe: None, due, failures: 0 }
    }

    /// The next thing heard; none when the store is closed.
    async fn next(&mut self) -> Option<Announcement> {
        while !self.notifier.0.pool.is_closed() {
            if let Some(announcement) = self.step().await {
                return Some(announcement);
            }
        }
        None
    }

    /// Connects, or waits for what comes first; what there is to say of it.
    async fn step(&mut self) -> Option<Announcement> {
        let Some(listener) = &mut self.listener else {
            return self.connect().await.err().map(|_| self.is_deaf());
        };
        let heard = tokio::select! {
            biased;
            heard = listener.try_recv() => heard.ok().flatten(),
            () = sleep_until(self.due) => {
                if self.probe.is_none() {
                    self.try_hearing();
                    return None;
                }
                None
            }
        };
        // The connection is gone, or nothing arrives by it.
        let Some(heard) = heard else { return Some(self.is_deaf()) };
        if self.probe.as_deref() == Some(heard.payload()) {
            (self.probe, self.due) = (None, Instant::now() + PROBE_EVERY);
            self.failures = 0;
            return Some(Announcement::Alive);
        }
        Category::new(heard.payload()).ok().map(Announcement::Heard)
    }

    /// Announces what is not a category, for none holds a hyphen.
    fn try_hearing(&mut self) {
        let probe = format!("probe-{}", TimeOrderedIds.next());
        self.notifier.tell(&probe);
        (self.probe, self.due) = (Some(probe), Instant::now() + PROBE_WITHIN);
    }

    fn is_deaf(&mut self) -> Announcement {
        self.listener = None;
        self.failures += 1;
        Announcement::Deaf
    }

    /// At once where the last connection did hear.
    async fn connect(&mut self) -> Result<(), sqlx::Error> {
        if self.failures > 1 {
            let longer = RETRY.saturating_mul(2_u32.saturating_pow(self.failures));
            sleep(longer.min(RETRY_AT_MOST)).await;
        }
        let mut listener = PgListener::connect_with(&self.notifier.0.pool).await?;
        listener.listen(CHANNEL).await?;
        listener.eager_reconnect(false);
        self.listener = Some(listener);
        self.runtime = Handle::try_current().ok();
        (self.probe, self.due) = (None, Instant::now());
        Ok(())
    }
}

impl Drop for Hearing {
    /// The driver's listener is not dropped outside of a runtime.
    fn drop(&mut self) {
        let _within = self.runtime.as_ref().map(Handle::enter);
        self.listener = None;
    }
}
