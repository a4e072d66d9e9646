//! Who waits for messages is woken when some are written, here or by another process.
//!
//! Owns who waits for which category, and the task that listens for them. How processes tell each
//! other is the backend's; who waits is the subscriber, which reads at times all the same, so what
//! is lost here is only late.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use evenfold_core::store::{Announcement, MessageStore};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::Category;

/// The wake-ups of a store and all its clones.
pub(crate) struct Wakeups {
    messages: Arc<dyn MessageStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiters: HashMap<Category, Vec<Arc<Notify>>>,
    /// Those who wait for messages of any category.
    of_all: Vec<Arc<Notify>>,
    /// How many of them want to hear other processes, too.
    listeners: usize,
    listening: Option<Listening>,
}

/// The task that listens while somebody waits.
struct Listening {
    task: JoinHandle<()>,
    heard: Arc<AtomicBool>,
}

impl Wakeups {
    pub(crate) fn of(messages: Arc<dyn MessageStore>) -> Arc<Self> {
        Arc::new(Self { messages, state: Mutex::default() })
    }

    /// Wakes who waits for a category, here and in other processes.
    pub(crate) fn announce(&self, category: &Category) {
        self.wake(category);
        self.messages.announce(category);
    }

    /// Waits for messages of these categories, or of any where none is named, beginning now.
    pub(crate) fn waiter(
        self: &Arc<Self>,
        categories: impl IntoIterator<Item = Category>,
    ) -> Waiter {
        let woken = Arc::new(Notify::new());
        let categories: Vec<_> = categories.into_iter().collect();
        let mut state = self.state();
        if categories.is_empty() {
            state.of_all.push(Arc::clone(&woken));
        }
        for category in &categories {
            state.waiters.entry(category.clone()).or_default().push(Arc::clone(&woken));
        }
        drop(state);
        Waiter { wakeups: Arc::clone(self), categories, woken, listens: false }
    }

    fn wake(&self, category: &Category) {
        let state = self.state();
        let waiters = state.waiters.get(category).into_iter().flatten();
        waiters.chain(&state.of_all).for_each(|waiter| waiter.notify_one());
    }

    fn wake_all(&self) {
        let state = self.state();
        let waiters = state.waiters.values().flatten();
        waiters.chain(&state.of_all).for_each(|waiter| waiter.notify_one());
    }

    /// Listens for one more, by the task that there is, or a new one.
    fn listen(self: &Arc<Self>) {
        let mut state = self.state();
        state.listeners += 1;
        if state.listening.as_ref().is_some_and(|it| !it.task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let heard = Arc::default();
            let announcements = self.messages.announcements();
            let task = runtime.spawn(hear(announcements, Arc::clone(&heard), Arc::downgrade(self)));
            state.listening = Some(Listening { task, heard });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes whoever waits for what is announced. When hearing begins or ends, something may have been
/// missed until then, so it wakes all.
async fn hear(
    mut announcements: BoxStream<'static, Announcement>,
    heard: Arc<AtomicBool>,
    wakeups: Weak<Wakeups>,
) {
    loop {
        let announcement = announcements.next().await;
        let Some(wakeups) = wakeups.upgrade() else { return };
        let is_alive = match &announcement {
            Some(Announcement::Heard(category)) => {
                wakeups.wake(category);
                continue;
            }
            Some(Announcement::Alive) => true,
            _ => false,
        };
        if heard.swap(is_alive, Ordering::AcqRel) != is_alive {
            wakeups.wake_all();
        }
        if announcement.is_none() {
            return;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for messages of some categories.
///
/// Law: no wake-up is lost. What is written after a look at the store, and before the wait that
/// follows it, ends that wait at once.
pub(crate) struct Waiter {
    wakeups: Arc<Wakeups>,
    categories: Vec<Category>,
    /// Remembers a wake-up until it is waited for.
    woken: Arc<Notify>,
    listens: bool,
}

impl Waiter {
    /// Waits until there may be messages that were not there when the last wait ended. Whoever never
    /// waits keeps no connection busy with listening.
    pub(crate) async fn changed(&mut self) {
        if !self.listens {
            self.listens = true;
            self.wakeups.listen();
        }
        self.woken.notified().await;
    }

    /// Whether what other processes announce demonstrably arrives, so that reading now and then is
    /// enough.
    pub(crate) fn is_heard(&self) -> bool {
        let state = self.wakeups.state();
        let listening = state.listening.as_ref();
        listening.is_some_and(|it| it.heard.load(Ordering::Acquire) && !it.task.is_finished())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.wakeups.state();
        for category in &self.categories {
            let Some(waiters) = state.waiters.get_mut(category) else { continue };
            waiters.retain(|waiter| !Arc::ptr_eq(waiter, &self.woken));
            if waiters.is_empty() {
                state.waiters.remove(category);
            }
        }
        state.of_all.retain(|waiter| !Arc::ptr_eq(waiter, &self.woken));
        state.listeners -= usize::from(self.listens);
        let last = if state.listeners == 0 { state.listening.take() } else { None };
        drop(state);
        drop(last);
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("categories", &self.categories).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
