//! Hearing what other processes tell: LISTEN, by one connection for all who wait on a store.
//!
//! Owns the task that listens while somebody wants to hear, and what each of those is told. That
//! announcements arrive is not believed but tried, for a pooler takes LISTEN and delivers nothing. The
//! connections are those of `notify.rs`.

use std::time::Duration;

use evenfold_core::store::Announcement;
use evenfold_core::{Category, Ids, TimeOrderedIds};
use sqlx::postgres::PgListener;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::{Instant, sleep, sleep_until};

use crate::notify::{CHANNEL, Notifier};

/// So much is kept for one who does not look; more is told as something that was missed, and so nobody
/// waits for that one.
const KEPT: usize = 1_024;

/// How often it is tried whether announcements arrive, and how long one may take.
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// The pauses between connections that do not hear grow from the one to the other.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// Those who listen on a store and its clones.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    /// To each of them, from the task that listens; none while nothing does.
    told: Option<Sender<Announcement>>,
    /// Whether announcements arrive, for who comes later.
    is_alive: bool,
}

/// One who listens.
pub(crate) struct Ear {
    notifier: Notifier,
    heard: Option<Receiver<Announcement>>,
}

impl Ear {
    pub(crate) fn of(notifier: Notifier) -> Self {
        Self { notifier, heard: None }
    }

    /// The next thing heard; none when the store is closed.
    pub(crate) async fn next(&mut self) -> Option<Announcement> {
        if self.notifier.is_closed() {
            return None;
        }
        let heard = match &mut self.heard {
            Some(heard) => heard,
            none => {
                let (heard, is_alive) = join(&self.notifier)?;
                let heard = none.insert(heard);
                if is_alive {
                    return Some(Announcement::Alive);
                }
                heard
            }
        };
        let announcement = match heard.recv().await {
            Ok(announcement) => announcement,
            Err(RecvError::Lagged(_)) => Announcement::Deaf,
            Err(RecvError::Closed) => {
                // With its runtime, or the store; there is another one from the next call on.
                self.heard = None;
                Announcement::Deaf
            }
        };
        (!self.notifier.is_closed()).then_some(announcement)
    }
}

/// Listens with those who do, or by a new task, and tells whether it is known that announcements arrive.
fn join(notifier: &Notifier) -> Option<(Receiver<Announcement>, bool)> {
    let mut ears = notifier.ears();
    if let Some(told) = &ears.told {
        return Some((told.subscribe(), ears.is_alive));
    }
    let runtime = Handle::try_current().ok()?;
    let (told, heard) = broadcast::channel(KEPT);
    ears.told = Some(told.clone());
    // A runtime that ends drops the task at once, and that takes the lock.
    drop(ears);
    runtime.spawn(Listening { by: Hearing::new(notifier.clone()), told }.run());
    Some((heard, false))
}

/// The task that listens for all, until the last one has gone.
struct Listening {
    by: Hearing,
    told: Sender<Announcement>,
}

impl Listening {
    async fn run(mut self) {
        loop {
            let heard = tokio::select! {
                biased;
                () = self.told.closed() => None,
                heard = self.by.next() => heard,
            };
            let Some(announcement) = heard else { return };
            let mut ears = self.by.notifier.ears();
            match announcement {
                Announcement::Alive => ears.is_alive = true,
                Announcement::Deaf => ears.is_alive = false,
                _ => {}
            }
            // Where nobody is there any more it is over.
            self.told.send(announcement).ok();
        }
    }
}

impl Drop for Listening {
    /// Who came at the last moment hears that, and begins anew.
    fn drop(&mut self) {
        *self.by.notifier.ears() = Ears::default();
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
        while !self.notifier.is_closed() {
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
        let mut listener = PgListener::connect_with(&self.notifier.hears()).await?;
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
