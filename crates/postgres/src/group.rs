//! Group append: writers of one category who would wait for each other are written together.
//!
//! Owns whose turn it is. Message DB writes one transaction of a category after the other, so of the
//! writers of this process one is at it, and the others wait here instead of each for a connection
//! and for the lock. When the one is done, all that have come meanwhile are written in one transaction,
//! and so on: there is no timer, and who is alone writes as ever. What is written then, and who hears
//! what, is in `flush.rs`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenfold_core::message::NewMessage;
use evenfold_core::{Category, ExpectedVersion, Position, StreamName};
use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::Postgres;
use crate::fault::Fault;
use crate::flush::{Batch, Verdict, Waiting};
use crate::options::PATIENCE;

/// How many writers to one category may wait; others wait for room, and no longer than for a connection.
pub(crate) const ROOM: usize = 1000;

/// How many messages are written together at most, and of how many bytes; a batch that is larger goes by
/// itself.
const TOGETHER: usize = 1000;
const BYTES_TOGETHER: usize = 8 << 20;

/// How many writes that take longer than a connection is waited for leave the turn to others: one on a
/// connection that fell silent must not stop its category, and a lock that somebody holds for minutes must
/// not take all connections.
const LATE: usize = 3;

/// The writers who wait, by category; there is an entry where somebody is writing.
pub(crate) struct Groups {
    queues: Mutex<HashMap<Category, Queue>>,
    late: Arc<Semaphore>,
}

struct Queue {
    waiting: Vec<Waiting>,
    room: Arc<Semaphore>,
}

/// What somebody finds who wants to write.
enum Found {
    /// Nobody is writing, so the turn is his.
    Turn,
    /// Room to wait in.
    Room(Arc<Semaphore>),
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self { queues: Mutex::default(), late: Arc::new(Semaphore::new(LATE)) }
    }

    /// Takes the turn, if nobody has it; else waits for it, as far as there is what is to wait.
    fn join(&self, category: &Category, waiting: Option<Waiting>) -> Found {
        match self.lock().entry(category.clone()) {
            Entry::Occupied(mut queue) => {
                let queue = queue.get_mut();
                queue.waiting.extend(waiting);
                Found::Room(Arc::clone(&queue.room))
            }
            Entry::Vacant(free) => {
                free.insert(Queue::new());
                Found::Turn
            }
        }
    }

    /// Those who are written together next; the turn is over when there are none.
    fn next(&self, category: &Category) -> Vec<Waiting> {
        let mut all = self.lock();
        let Some(queue) = all.get_mut(category) else { return Vec::new() };
        let (mut group, mut size, mut bytes) = (Vec::new(), 0, 0);
        for waiting in std::mem::take(&mut queue.waiting) {
            let batch = &waiting.batch;
            let fits = size + batch.size() <= TOGETHER && bytes + batch.bytes() <= BYTES_TOGETHER;
            if waiting.is_forgotten() {
                // It is not written: nobody would hear of it.
            } else if (group.is_empty() || fits) && batch.goes_with(&group) {
                size += batch.size();
                bytes += batch.bytes();
                group.push(waiting);
            } else {
                queue.waiting.push(waiting);
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
        let waiting = queue.into_iter().flat_map(|queue| queue.waiting);
        waiting.for_each(|waiting| waiting.tell(Verdict::Alone));
    }

    /// How many wait.
    fn waiting(&self, category: &Category) -> usize {
        self.lock().get(category).map_or(0, |queue| queue.waiting.len())
    }

    /// Leave to go on without the turn, for one who is late.
    fn leave(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.late).try_acquire_owned().ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Category, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn new() -> Self {
        Self { waiting: Vec::new(), room: Arc::new(Semaphore::new(ROOM)) }
    }
}

/// A place to wait in.
///
/// # Errors
///
/// When there was none for as long as a connection is waited for.
async fn place_in(room: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, sqlx::Error> {
    let place = timeout(PATIENCE, room.acquire_owned()).await;
    place
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| sqlx::Error::Configuration(Fault::QueueFull { waiting: ROOM }.into()))
}

/// The turn of a writer. When it ends, also because nobody waits for it any more, those who have
/// come meanwhile have theirs.
struct Turn<'s> {
    store: &'s Postgres,
    groups: &'s Arc<Groups>,
    category: Category,
}

impl Turn<'_> {
    /// The outcome of a write, which holds the turn for as long as a connection is waited for.
    async fn of<T>(self, write: impl Future<Output = T>) -> T {
        let mut write = pin!(write);
        if let Ok(outcome) = timeout(PATIENCE, &mut write).await {
            return outcome;
        }
        let leave = self.groups.leave();
        let _turn = leave.is_none().then_some(self);
        write.await
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (groups, category) = (self.groups, self.category.clone());
        match Handle::try_current() {
            Ok(runtime) if groups.waiting(&category) > 0 => {
                let turns = Turns { groups: Arc::clone(groups), category, is_over: false };
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
    /// Nobody waited any more, and what others have begun since is theirs.
    is_over: bool,
}

impl Turns {
    async fn take(mut self, store: Postgres) {
        loop {
            let group = self.groups.next(&self.category);
            if group.is_empty() {
                self.is_over = true;
                return;
            }
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
        match self.groups.leave() {
            Some(leave) => drop(tokio::spawn(flush.map(|()| drop(leave)))),
            None => flush.await,
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
        if !self.is_over {
            self.groups.part(&self.category);
        }
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
        let Found::Room(room) = groups.join(&category, None) else {
            return turn(category).of(alone()).await;
        };
        let place = place_in(room).await?;
        let (told, verdict) = oneshot::channel();
        let batch = Batch::new(stream, messages, expected, self.schema.has_additions());
        let Found::Room(_) = groups.join(&category, Some(Waiting { batch, told, place })) else {
            return turn(category).of(alone()).await;
        };
        match verdict.await {
            Ok(Verdict::Stands(last)) => Ok(Some(last)),
            Ok(Verdict::Refused) => Ok(None),
            Ok(Verdict::Alone) => alone().await,
            Ok(Verdict::Failed(whole)) => Err(whole.into()),
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category() -> Category {
        "account".parse().unwrap()
    }

    /// A writer of one message of so many bytes, who waits or not.
    async fn waiting(groups: &Groups, bytes: usize) -> oneshot::Receiver<Verdict> {
        let Found::Room(room) = groups.join(&category(), None) else { panic!("the turn was free") };
        let data = serde_json::json!({ "text": "-".repeat(bytes) });
        let data = serde_json::value::to_raw_value(&data).unwrap();
        let message = NewMessage::new(uuid::Uuid::from_u128(1), "Deposited", &data).unwrap();
        let stream = StreamName::new("account-1").unwrap();
        let batch = Batch::new(&stream, &[message], ExpectedVersion::Any, true);
        let (told, verdict) = oneshot::channel();
        let place = place_in(room).await.unwrap();
        assert!(matches!(
            groups.join(&category(), Some(Waiting { batch, told, place })),
            Found::Room(_)
        ));
        verdict
    }

    #[tokio::test]
    async fn who_waits_no_more_takes_room_until_the_turn_ends() {
        let groups = Groups::new();
        assert!(matches!(groups.join(&category(), None), Found::Turn));
        drop(waiting(&groups, 1).await);
        let Found::Room(room) = groups.join(&category(), None) else { panic!("the turn was free") };
        assert_eq!(room.available_permits(), ROOM - 1, "its batch is held, so it counts");
        assert!(groups.next(&category()).is_empty(), "nobody would hear of it");
        assert_eq!(room.available_permits(), ROOM);
    }

    #[tokio::test]
    async fn a_group_is_of_no_more_bytes_than_go_together_and_one_that_is_larger_goes_alone() {
        let groups = Groups::new();
        assert!(matches!(groups.join(&category(), None), Found::Turn));
        let mut verdicts = Vec::new();
        for part in [3, 3, 3, 9, 1] {
            verdicts.push(waiting(&groups, (BYTES_TOGETHER / 8) * part).await);
        }
        let sizes = std::iter::repeat_with(|| groups.next(&category()).len());
        assert_eq!(sizes.take_while(|size| *size > 0).collect::<Vec<_>>(), [3, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_is_told_so_in_time() {
        let room = Queue::new().room;
        let places = Arc::clone(&room).acquire_many_owned(ROOM.try_into().unwrap()).await;
        let full = place_in(Arc::clone(&room)).await.unwrap_err();
        assert!(full.to_string().contains("1000 writes"), "{full}");
        drop(places);
        assert!(place_in(room).await.is_ok());
    }
}
