//! Telling other processes what was committed: NOTIFY.
//!
//! Owns two connections beside the store's, made when they are needed: one announces, the other is lent
//! to `hearing.rs`, which listens. A notification within a writing transaction takes a lock of the whole
//! server until it is committed, so what is announced is told afterwards, all that waits by one
//! statement. Where the store goes over to another host, both go with it. Who is woken is the `evenfold`
//! crate's, and it reads at times all the same.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenfold_core::Category;
use evenfold_core::store::Announcement;
use futures::StreamExt;
use futures::future::join;
use futures::stream::{self, BoxStream};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Acquire, Postgres, query};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::connections::{Connections, Way};
use crate::hearing::{Ear, Ears};
use crate::kept::Kept;
use crate::options::{PATIENCE, is_there};

/// The same in every database; a notification does not leave its own. What is sent is the name of a
/// category, so a client in any language may say `NOTIFY evenfold, 'account'`.
pub(crate) const CHANNEL: &str = "evenfold";

/// The server takes less than 8,000 bytes; the rest of a name as long is found by reading at times.
const LONGEST: usize = 7_999;

/// What comes meanwhile is told together. Where that is much, the pause grows: a statement for every
/// few writes would cost the server a seventh of its time, and who listens a page for each.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
const MUCH: usize = 5;

/// A server that refuses is not asked for as long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long the connections are waited for when the store is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Announces and listens for a store and its clones.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Inner>);

struct Inner {
    on: Connections,
    led: Mutex<Led>,
    waiting: Mutex<Waiting>,
    ears: Mutex<Ears>,
}

/// Connections to one server, apart from those of the store.
struct Led {
    to: Arc<PgConnectOptions>,
    tells: Kept,
    hears: PgPool,
}

/// What is to be told, and whether somebody is at it.
#[derive(Debug, Default)]
struct Waiting {
    texts: HashSet<String>,
    /// How often something of that was announced.
    announced: usize,
    is_told: bool,
}

impl Notifier {
    pub(crate) fn new(on: &Connections) -> Self {
        let led = Mutex::new(Led::to(on.options()));
        let (waiting, ears) = Default::default();
        Self(Arc::new(Inner { on: on.clone(), led, waiting, ears }))
    }

    /// Tells soon that something was committed to a category.
    pub(crate) fn announce(&self, category: &Category) {
        if category.as_str().len() <= LONGEST {
            self.tell(category.as_str());
        }
    }

    /// At once when nobody is telling anything, else with what else comes until that is done.
    pub(crate) fn tell(&self, text: &str) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut waiting = self.0.waiting();
        waiting.announced += 1;
        if !waiting.texts.contains(text) {
            waiting.texts.insert(text.to_owned());
        }
        let is_told = std::mem::replace(&mut waiting.is_told, true);
        // A runtime that ends drops the task at once, and that looks at what waits.
        drop(waiting);
        if !is_told {
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
        let ear = Ear::of(self.clone());
        stream::unfold(ear, async |mut ear| Some((ear.next().await?, ear))).boxed()
    }

    /// Tells what waits to be told and closes the connections. A task that listens and is not at it, as one
    /// whose runtime stands still, is not waited for.
    pub(crate) async fn close(&self) {
        let of = Arc::clone(&self.0);
        let closed = tokio::spawn(async move {
            let texts: Vec<_> = of.waiting().texts.drain().collect();
            if !texts.is_empty() {
                of.send(&texts).await.ok();
            }
            let (tells, hears) = of.led().both();
            join(tells.close(), hears.close()).await
        });
        timeout(CLOSE_WITHIN, closed).await.ok();
    }

    /// Connections that listen where the store is now.
    pub(crate) fn hears(&self) -> PgPool {
        self.0.both().1
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Who listens.
    pub(crate) fn ears(&self) -> MutexGuard<'_, Ears> {
        self.0.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Led {
    fn to(to: Arc<PgConnectOptions>) -> Self {
        // One of each is in use; others may hang, and are not waited for.
        let pool = PgPoolOptions::new()
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .before_acquire(|connection, of| Box::pin(is_there(connection, of.idle_for)));
        // Nobody but who listens has a use for one that listened, and that one did not hear by it.
        let hears = pool.clone().after_release(|_, _| Box::pin(async { Ok(false) }));
        let tells = Kept::new(pool.connect_lazy_with(to.as_ref().clone()));
        let hears = hears.connect_lazy_with(to.as_ref().clone());
        Self { to, tells, hears }
    }

    fn both(&self) -> (Kept, PgPool) {
        (self.tells.clone(), self.hears.clone())
    }
}

impl Inner {
    fn led(&self) -> MutexGuard<'_, Led> {
        self.led.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To where the store is now. Those that lead elsewhere are closed, so that who listens there hears
    /// of it; nobody waits for that server.
    fn both(&self) -> (Kept, PgPool) {
        let to = self.on.options();
        let mut led = self.led();
        if !Arc::ptr_eq(&led.to, &to) && !led.hears.is_closed() {
            let left = std::mem::replace(&mut *led, Led::to(to));
            left.tells.leave();
            drop(left.hears.close());
        }
        led.both()
    }

    fn is_closed(&self) -> bool {
        self.led().hears.is_closed()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, texts: &[String]) -> Result<(), sqlx::Error> {
        let (tells, _) = self.both();
        let (mut connection, since) = tells.take().await?;
        let told = timeout(PATIENCE, self.send_by(&mut connection, texts)).await;
        let told = told.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        match told {
            Ok(()) => tells.put(connection, since),
            // What is there may not answer any more, or only read from now on.
            Err(_) => drop(connection.detach()),
        }
        told
    }

    async fn send_by(
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
        let mut pause = PAUSE;
        while let Some((texts, announced)) = self.take() {
            pause = if announced < MUCH { PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
            let mut told = self.of.send(&texts).await;
            if told.is_err() {
                // A connection that was quiet may be gone.
                told = self.of.send(&texts).await;
            }
            sleep(if told.is_ok() { pause } else { PAUSE_AFTER_FAILURE }).await;
        }
    }

    fn take(&mut self) -> Option<(Vec<String>, usize)> {
        let mut waiting = self.of.waiting();
        self.is_done = waiting.texts.is_empty() || self.of.is_closed();
        waiting.is_told = !self.is_done;
        let announced = std::mem::take(&mut waiting.announced);
        waiting.is_told.then(|| (waiting.texts.drain().collect(), announced))
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
