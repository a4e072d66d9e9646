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
use crate::group::{Found, Groups, Holder, Queued, place_in};
use crate::options::PATIENCE;

/// What a message takes beside its data, more or less.
const BESIDE: usize = 500;

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

    /// What one who waits hears. The turn of another may be late and nobody there to say so: it is in the
    /// future of a caller, who may hold that and go on with something else. Then one of those who wait takes
    /// it over, and the others wait as long again.
    async fn verdict(
        mut self,
        mut verdict: oneshot::Receiver<Verdict>,
        begin: impl Fn(Arc<Holder>),
    ) -> Result<Verdict, sqlx::Error> {
        let mut waited = Duration::ZERO;
        loop {
            if let Ok(told) = timeout(PATIENCE, &mut verdict).await {
                self.is_over = true;
                return told.map_err(|_| sqlx::Error::WorkerCrashed);
            }
            waited += PATIENCE;
            if let Some(holder) = self.groups.take_over(self.category) {
                begin(holder);
            } else if waited > PATIENCE && self.give_up() {
                return Err(sqlx::Error::Configuration(Fault::TurnTooLate { waited }.into()));
            }
        }
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
        let data = messages.iter().filter_map(NewMessage::stored_data).map(str::len);
        let place = place_in(room, data.sum::<usize>() + messages.len() * BESIDE).await?;
        let (told, verdict) = oneshot::channel();
        let batch = Batch::new(stream, messages, expected, self.schema.has_additions());
        let number = groups.waited.fetch_add(1, Ordering::Relaxed);
        let wait = Wait { groups, category, number, is_over: false };
        let queued = Queued { number, waiting: Waiting { batch, told }, place };
        if let Found::Turn(holder) = groups.join(category, Some(queued)) {
            return turn(holder).of(alone()).await;
        }
        let begin = |holder| Turns::begin(self, groups, category.clone(), holder);
        match wait.verdict(verdict, begin).await? {
            Verdict::Stands(last) => Ok(Some(last)),
            Verdict::Refused => Ok(None),
            Verdict::Alone => alone().await,
            Verdict::Failed(whole) => Err(whole.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::group::tests::{category, turn, waiting};

    /// One who waits behind a turn that does not end, and what it heard after how many seconds.
    async fn waits(groups: &Groups) -> (Result<Verdict, sqlx::Error>, u64, Vec<Arc<Holder>>) {
        let (category, begun) = (category(), Mutex::new(Vec::new()));
        let verdict = waiting(groups, 1).await;
        let wait = Wait { groups, category: &category, number: 0, is_over: false };
        let since = tokio::time::Instant::now();
        let heard = wait.verdict(verdict, |holder| begun.lock().unwrap().push(holder)).await;
        (heard, since.elapsed().as_secs(), begun.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn whose_turn_does_not_come_is_told_so_and_is_written_by_nobody() {
        let groups = Groups::new();
        let held = turn(&groups);
        let _all = groups.late.try_acquire_many(3).unwrap();
        let (heard, seconds, begun) = waits(&groups).await;
        let late = heard.unwrap_err().to_string();
        assert!(late.contains("waited 20 seconds"), "{late}");
        assert_eq!((seconds, begun.len()), (20, 0));
        assert!(groups.next(&category(), &held).is_none(), "it waits no more");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_takes_over_the_turn_of_one_who_is_late() {
        let groups = Groups::new();
        let _held = turn(&groups);
        let (heard, seconds, begun) = waits(&groups).await;
        assert!(heard.is_err(), "the turn that was taken over did not end either");
        assert_eq!((seconds, begun.len()), (40, 3), "each 10 seconds, so long as there is leave");
    }
}
