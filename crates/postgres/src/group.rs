//! Group append: writers of one category who would wait for each other are written together.
//!
//! Owns whose turn it is. Message DB writes one transaction of a category after the other, so of the
//! writers of this process one is at it, and the others wait here instead of each for a connection
//! and for the lock. When the one is done, all that have come meanwhile are written in one transaction,
//! and so on: there is no timer, and who is alone writes as ever. What is written then, and who hears
//! what, is in `flush.rs`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenfold_core::message::NewMessage;
use evenfold_core::{Category, ExpectedVersion, Position, StreamName};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::Postgres;
use crate::fault::Fault;
use crate::flush::{Verdict, Waiting};
use crate::options::PATIENCE;

/// How many writers may wait; others wait for room, and no longer than for a connection.
pub(crate) const ROOM: usize = 1000;

/// How many messages are written together at most; a batch that is larger goes by itself.
const TOGETHER: usize = 1000;

/// The writers who wait, by category; there is an entry where somebody is writing.
pub(crate) struct Groups {
    waiting: Mutex<HashMap<Category, Vec<Waiting>>>,
    room: Arc<Semaphore>,
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self { waiting: Mutex::default(), room: Arc::new(Semaphore::new(ROOM)) }
    }

    /// Room to wait in.
    ///
    /// # Errors
    ///
    /// When there was none for as long as a connection is waited for.
    async fn room(&self) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        let room = timeout(PATIENCE, Arc::clone(&self.room).acquire_owned()).await;
        room.ok()
            .and_then(Result::ok)
            .ok_or_else(|| sqlx::Error::Configuration(Fault::QueueFull { waiting: ROOM }.into()))
    }

    /// Takes the turn, if nobody has it; else waits for it, as far as there is what is to wait.
    fn join(&self, category: &Category, waiting: Option<Waiting>) -> bool {
        match self.lock().entry(category.clone()) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().extend(waiting);
                false
            }
            Entry::Vacant(free) => {
                free.insert(Vec::new());
                true
            }
        }
    }

    /// Those who are written together next; the turn is over when there are none.
    fn next(&self, category: &Category) -> Vec<Waiting> {
        let mut all = self.lock();
        let Some(queue) = all.get_mut(category) else { return Vec::new() };
        let (mut group, mut size) = (Vec::new(), 0);
        for waiting in std::mem::take(queue) {
            let fits = group.is_empty() || size + waiting.size() <= TOGETHER;
            if waiting.is_forgotten() {
                // It is not written: nobody would hear of it.
            } else if fits && waiting.goes_with(&group) {
                size += waiting.size();
                group.push(waiting);
            } else {
                queue.push(waiting);
            }
        }
        if group.is_empty() {
            all.remove(category);
        }
        group
    }

    /// Lets those who wait go on by themselves.
    fn part(&self, category: &Category) {
        let queue = self.lock().remove(category);
        queue.into_iter().flatten().for_each(|waiting| waiting.tell(Verdict::Alone));
    }

    /// How many wait.
    fn waiting(&self, category: &Category) -> usize {
        self.lock().get(category).map_or(0, Vec::len)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Category, Vec<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of a writer. When it ends, also because nobody waits for it any more, those who have
/// come meanwhile have theirs.
struct Turn<'s> {
    store: &'s Postgres,
    groups: &'s Arc<Groups>,
    category: Category,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (groups, category) = (self.groups, self.category.clone());
        match Handle::try_current() {
            Ok(runtime) if groups.waiting(&category) > 0 => {
                let turns = Turns { groups: Arc::clone(groups), category };
                runtime.spawn(turns.take(self.store.clone()));
            }
            _ => groups.part(&category),
        }
    }
}

/// The turns of those who wait, on a task of their own, for each of them may be gone at any time.
struct Turns {
    groups: Arc<Groups>,
    category: Category,
}

impl Turns {
    async fn take(self, store: Postgres) {
        loop {
            let group = self.groups.next(&self.category);
            if group.is_empty() {
                return;
            }
            store.flush(group).await;
            self.settle().await;
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

/// The runtime may end while somebody of another one waits.
impl Drop for Turns {
    fn drop(&mut self) {
        self.groups.part(&self.category);
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
        let category = stream.category();
        let turn = |category| Turn { store: self, groups, category };
        if groups.join(&category, None) {
            let _turn = turn(category);
            return alone().await;
        }
        let room = groups.room().await?;
        let (told, verdict) = oneshot::channel();
        let is_ours = self.schema.has_additions();
        let waiting = Waiting::new(stream, messages, expected, is_ours, told);
        if groups.join(&category, Some(waiting)) {
            let _turn = turn(category);
            return alone().await;
        }
        let verdict = verdict.await;
        drop(room);
        match verdict {
            Ok(Verdict::Stands(last)) => Ok(Some(last)),
            Ok(Verdict::Refused) => Ok(None),
            Ok(Verdict::Alone) => alone().await,
            Ok(Verdict::Lost(how)) => Err(sqlx::Error::Protocol(how.to_string())),
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_is_told_so_in_time() {
        let groups = Groups::new();
        let rooms = groups.room.clone().acquire_many_owned(ROOM.try_into().unwrap()).await;
        let full = groups.room().await.unwrap_err();
        assert!(full.to_string().contains("1000 writes"), "{full}");
        drop(rooms);
        assert!(groups.room().await.is_ok());
    }
}
