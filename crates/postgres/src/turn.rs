//! Whose turn it is to write to a category.
//!
//! Message DB writes one transaction of a category after the other, so of the writers of this process one is
//! at it, and the others wait here instead of each for a connection and for the lock. When the one is done,
//! all that have come meanwhile are written in one transaction, and so on: there is no timer, and who is
//! alone writes as ever. Who waits is in `group.rs`.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use evenfold_core::message::NewMessage;
use evenfold_core::{Category, ExpectedVersion, Position, StreamName};
use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::Postgres;
use crate::fault::Fault;
use crate::flush::{Batch, Verdict, Waiting};
use crate::group::{Found, Groups, Holder, place_in};
use crate::options::PATIENCE;

/// One who waits. When it waits no more, nothing of it is kept.
pub(crate) struct Wait<'s> {
    pub(crate) groups: &'s Groups,
    pub(crate) category: &'s Category,
    pub(crate) number: u64,
    pub(crate) is_over: bool,
}

impl Wait<'_> {
    /// Whether it waited until now.
    fn give_up(&self) -> bool {
        self.groups.forget(self.category, self.number)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.give_up();
        }
    }
}

/// The turn of a writer. When it ends, also because nobody waits for it any more, those who have
/// come meanwhile have theirs.
struct Turn<'s> {
    store: &'s Postgres,
    groups: &'s Arc<Groups>,
    category: Category,
    holder: Arc<Holder>,
}

impl Turn<'_> {
    /// The outcome of a write, which holds the turn for as long as a connection is waited for.
    async fn of<T>(self, write: impl Future<Output = T>) -> T {
        let mut write = pin!(write);
        if let Ok(outcome) = timeout(PATIENCE, &mut write).await {
            return outcome;
        }
        // Its leave ends with it.
        let holder = Arc::clone(&self.holder);
        let _turn = (!self.groups.excuses(&holder)).then_some(self);
        write.await
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(holder) = self.groups.pass(&self.category, &self.holder) {
            Turns::begin(self.store, self.groups, self.category.clone(), holder);
        }
    }
}

/// The turns of those who wait, on a task of their own, for each of them may be gone at any time.
struct Turns {
    groups: Arc<Groups>,
    category: Category,
    holder: Arc<Holder>,
}

impl Turns {
    fn begin(store: &Postgres, groups: &Arc<Groups>, category: Category, holder: Arc<Holder>) {
        let turns = Self { groups: Arc::clone(groups), category, holder };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(turns.take(store.clone()));
        }
    }

    async fn take(mut self, store: Postgres) {
        while let Some((group, holder)) = self.groups.next(&self.category, &self.holder) {
            self.holder = holder;
            self.write(&store, group).await;
            self.settle().await;
        }
    }

    /// Writes a group, and waits for it as long as a connection is waited for; then it may go on by itself.
    async fn write(&self, store: &Postgres, group: Vec<Waiting>) {
        let mut flush = Box::pin(store.clone().flush(group));
        if timeout(PATIENCE, &mut flush).await.is_ok() {
            return;
        }
        if self.groups.excuses(&self.holder) {
            let leave = Arc::clone(&self.holder);
            drop(tokio::spawn(flush.map(|()| drop(leave))));
        } else {
            flush.await;
        }
    }

    /// Those who heard may have more to write, which can go with the next group: while more come, others
    /// have their turn on the runtime.
    async fn settle(&self) {
        let mut waiting = 0;
        loop {
            tokio::task::yield_now().await;
            let before = std::mem::replace(&mut waiting, self.groups.waiting(&self.category));
            if waiting <= before {
                return;
            }
        }
    }
}

/// The runtime may end, or there may be none, while somebody of another one waits.
impl Drop for Turns {
    fn drop(&mut self) {
        self.groups.part(&self.category, &self.holder);
    }
}

impl Postgres {
    /// Inserts as [`insert`](Self::insert) does, together with others who write to the category.
    pub(crate) async fn insert_in_turn(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Option<Position>, sqlx::Error> {
        let alone = || self.insert(self.on(), stream, messages, expected);
        let Some(groups) = &self.groups else { return alone().await };
        let category = &stream.category();
        let turn = |holder| Turn { store: self, groups, category: category.clone(), holder };
        let room = match groups.join(category, None) {
            Found::Turn(holder) => return turn(holder).of(alone()).await,
            Found::Room(room) => room,
        };
        let bytes = messages.iter().filter_map(NewMessage::stored_data).map(str::len).sum();
        let place = place_in(room, bytes).await?;
        let (told, verdict) = oneshot::channel();
        let number = groups.waited.fetch_add(1, Ordering::Relaxed);
        let batch = Batch::new(stream, messages, expected, self.schema.has_additions());
        let wait = Wait { groups, category, number, is_over: false };
        if let Found::Turn(holder) =
            groups.join(category, Some(Waiting { number, batch, told, place }))
        {
            return turn(holder).of(alone()).await;
        }
        match self.verdict(groups, wait, verdict).await? {
            Verdict::Stands(last) => Ok(Some(last)),
            Verdict::Refused => Ok(None),
            Verdict::Alone => alone().await,
            Verdict::Failed(whole) => Err(whole.into()),
        }
    }

    /// What one who waits hears. The turn of another may be late and nobody there to say so: it is in the
    /// future of a caller, who may hold that and go on with something else. Then one of those who wait takes
    /// it over, and the others wait as long again.
    async fn verdict(
        &self,
        groups: &Arc<Groups>,
        mut wait: Wait<'_>,
        mut verdict: oneshot::Receiver<Verdict>,
    ) -> Result<Verdict, sqlx::Error> {
        let mut waited = Duration::ZERO;
        loop {
            if let Ok(told) = timeout(PATIENCE, &mut verdict).await {
                wait.is_over = true;
                return told.map_err(|_| sqlx::Error::WorkerCrashed);
            }
            waited += PATIENCE;
            if let Some(holder) = groups.take_over(wait.category) {
                Turns::begin(self, groups, wait.category.clone(), holder);
            } else if waited > PATIENCE && wait.give_up() {
                return Err(sqlx::Error::Configuration(Fault::TurnTooLate { waited }.into()));
            }
        }
    }
}
