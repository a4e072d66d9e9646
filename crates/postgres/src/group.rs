//! Group append: writers of one category who would wait for each other are written together.
//!
//! Owns who waits, and who goes together. How one has its turn and passes it on is in `turn.rs`; what is
//! written then, and who hears what, in `flush.rs`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use evenfold_core::Category;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::fault::Fault;
use crate::flush::{Verdict, Waiting};
use crate::options::PATIENCE;

/// How many writers to one category may wait; others wait for room, and no longer than for a connection.
pub(crate) const ROOM: usize = 1000;

/// So many bytes take the room of one more writer.
const PLACE: usize = 64 << 10;

/// How many messages are written together at most, and of how many bytes; a batch that is larger goes by
/// itself.
const TOGETHER: usize = 1000;
const BYTES_TOGETHER: usize = 8 << 20;

/// How many writes that take longer than a connection is waited for leave the turn to others: one on a
/// connection that fell silent must not stop its category, and a lock that somebody holds for minutes must
/// not take all connections.
const LATE: usize = 3;

/// The writers who wait, by category; there is an entry where somebody has the turn.
pub(crate) struct Groups {
    queues: Mutex<HashMap<Category, Queue>>,
    pub(crate) late: Arc<Semaphore>,
    /// How many have waited, so that each has a number.
    pub(crate) waited: AtomicU64,
}

struct Queue {
    holder: Arc<Holder>,
    waiting: Vec<Queued>,
    room: Arc<Semaphore>,
}

/// One who waits, with a number and a place that it has until its turn comes.
pub(crate) struct Queued {
    pub(crate) number: u64,
    pub(crate) waiting: Waiting,
    #[expect(dead_code, reason = "it is given back when this is dropped")]
    pub(crate) place: OwnedSemaphorePermit,
}

/// Somebody who has the turn, or had it and is late.
pub(crate) struct Holder {
    since: Instant,
    late: OnceLock<OwnedSemaphorePermit>,
}

/// What somebody finds who wants to write.
pub(crate) enum Found {
    /// Nobody is writing, so the turn is his.
    Turn(Arc<Holder>),
    /// Room to wait in.
    Room(Arc<Semaphore>),
}

impl Groups {
    pub(crate) fn new() -> Self {
        let (queues, waited) = Default::default();
        Self { queues, late: Arc::new(Semaphore::new(LATE)), waited }
    }

    /// Takes the turn, if nobody has it; else waits for it, as far as there is what is to wait.
    pub(crate) fn join(&self, category: &Category, waiting: Option<Queued>) -> Found {
        match self.lock().entry(category.clone()) {
            Entry::Occupied(mut queue) => {
                let queue = queue.get_mut();
                queue.waiting.extend(waiting);
                Found::Room(Arc::clone(&queue.room))
            }
            Entry::Vacant(free) => Found::Turn(Arc::clone(&free.insert(Queue::new()).holder)),
        }
    }

    /// Those who are written together next, and their holder in place of the one before. The turn is over
    /// when there are none.
    pub(crate) fn next(
        &self,
        category: &Category,
        holder: &Arc<Holder>,
    ) -> Option<(Vec<Waiting>, Arc<Holder>)> {
        let mut all = self.lock();
        let queue = all.get_mut(category).filter(|queue| queue.is_held_by(holder))?;
        let (mut group, mut size, mut bytes) = (Vec::new(), 0, 0);
        for queued in std::mem::take(&mut queue.waiting) {
            let batch = &queued.waiting.batch;
            let fits = size + batch.size() <= TOGETHER && bytes + batch.bytes() <= BYTES_TOGETHER;
            if (group.is_empty() || fits) && batch.goes_with(&group) {
                size += batch.size();
                bytes += batch.bytes();
                group.push(queued.waiting);
            } else {
                queue.waiting.push(queued);
            }
        }
        if group.is_empty() {
            all.remove(category);
            return None;
        }
        Some((group, queue.pass()))
    }

    /// Gives the turn to whoever waits. If nobody does, or somebody else has it already, that is all.
    pub(crate) fn pass(&self, category: &Category, holder: &Arc<Holder>) -> Option<Arc<Holder>> {
        let mut all = self.lock();
        let queue = all.get_mut(category).filter(|queue| queue.is_held_by(holder))?;
        if queue.waiting.is_empty() {
            all.remove(category);
            return None;
        }
        Some(queue.pass())
    }

    /// Takes the turn from one who has had it for too long, with leave to go on without it.
    pub(crate) fn take_over(&self, category: &Category) -> Option<Arc<Holder>> {
        let mut all = self.lock();
        let queue = all.get_mut(category)?;
        let is_late = queue.holder.since.elapsed() >= PATIENCE && self.excuses(&queue.holder);
        is_late.then(|| queue.pass())
    }

    /// Whether one who is late has leave to go on without the turn.
    pub(crate) fn excuses(&self, holder: &Holder) -> bool {
        if holder.late.get().is_none() {
            let Ok(leave) = Arc::clone(&self.late).try_acquire_owned() else { return false };
            // Another may have given him leave just now.
            holder.late.set(leave).ok();
        }
        true
    }

    /// Lets those who wait go on by themselves.
    pub(crate) fn part(&self, category: &Category, holder: &Arc<Holder>) {
        let mut all = self.lock();
        if let Entry::Occupied(queue) = all.entry(category.clone())
            && queue.get().is_held_by(holder)
        {
            let waiting = queue.remove().waiting;
            for Queued { waiting, .. } in waiting {
                waiting.tell(Verdict::Alone);
            }
        }
    }

    /// Lets one wait no more; whether it did is the answer.
    pub(crate) fn forget(&self, category: &Category, number: u64) -> bool {
        let mut all = self.lock();
        let Some(queue) = all.get_mut(category) else { return false };
        let place = queue.waiting.iter().position(|queued| queued.number == number);
        place.map(|place| queue.waiting.remove(place)).is_some()
    }

    /// How many wait.
    pub(crate) fn waiting(&self, category: &Category) -> usize {
        self.lock().get(category).map_or(0, |queue| queue.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Category, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn new() -> Self {
        let room = Arc::new(Semaphore::new(ROOM));
        Self { holder: Holder::begin(), waiting: Vec::new(), room }
    }

    fn is_held_by(&self, holder: &Arc<Holder>) -> bool {
        Arc::ptr_eq(&self.holder, holder)
    }

    /// Another holder of the turn.
    fn pass(&mut self) -> Arc<Holder> {
        self.holder = Holder::begin();
        Arc::clone(&self.holder)
    }
}

impl Holder {
    fn begin() -> Arc<Self> {
        Arc::new(Self { since: Instant::now(), late: OnceLock::new() })
    }
}

/// A place to wait in, and one more for each [`PLACE`] of bytes. What does not fit into the room takes
/// all of it.
///
/// # Errors
///
/// When there was none for as long as a connection is waited for.
pub(crate) async fn place_in(
    room: Arc<Semaphore>,
    bytes: usize,
) -> Result<OwnedSemaphorePermit, sqlx::Error> {
    let places = u32::try_from((1 + bytes / PLACE).min(ROOM)).unwrap_or(1);
    let place = timeout(PATIENCE, room.acquire_many_owned(places)).await;
    place
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| sqlx::Error::Configuration(Fault::QueueFull { waiting: ROOM }.into()))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::Ordering;

    use evenfold_core::message::NewMessage;
    use evenfold_core::{ExpectedVersion, StreamName};
    use tokio::sync::oneshot;

    use super::*;
    use crate::flush::Batch;
    use crate::turn::Wait;

    pub(crate) fn category() -> Category {
        "account".parse().unwrap()
    }

    /// Takes the turn.
    pub(crate) fn turn(groups: &Groups) -> Arc<Holder> {
        let Found::Turn(holder) = groups.join(&category(), None) else { panic!("it is taken") };
        holder
    }

    /// A writer of one message of so many bytes, who waits.
    pub(crate) async fn waiting(groups: &Groups, bytes: usize) -> oneshot::Receiver<Verdict> {
        let Found::Room(room) = groups.join(&category(), None) else { panic!("the turn was free") };
        let data = serde_json::json!({ "text": "-".repeat(bytes) });
        let data = serde_json::value::to_raw_value(&data).unwrap();
        let message = NewMessage::new(uuid::Uuid::from_u128(1), "Deposited", &data).unwrap();
        let stream = StreamName::new("account-1").unwrap();
        let batch = Batch::new(&stream, &[message], ExpectedVersion::Any, true);
        let (told, verdict) = oneshot::channel();
        let number = groups.waited.fetch_add(1, Ordering::Relaxed);
        let place = place_in(room, bytes).await.unwrap();
        let queued = Queued { number, waiting: Waiting { batch, told }, place };
        assert!(matches!(groups.join(&category(), Some(queued)), Found::Room(_)));
        verdict
    }

    #[tokio::test]
    async fn who_waits_no_more_takes_no_room() {
        let groups = Groups::new();
        let holder = turn(&groups);
        let _verdict = waiting(&groups, PLACE * 9).await;
        let Found::Room(room) = groups.join(&category(), None) else { panic!("the turn was free") };
        assert_eq!(room.available_permits(), ROOM - 10);
        drop(Wait { groups: &groups, category: &category(), number: 0, is_over: false });
        assert_eq!(room.available_permits(), ROOM);
        assert!(groups.next(&category(), &holder).is_none());
    }

    #[tokio::test]
    async fn a_group_is_of_no_more_bytes_than_go_together_and_one_that_is_larger_goes_alone() {
        let groups = Groups::new();
        let mut holder = turn(&groups);
        let mut verdicts = Vec::new();
        for part in [3, 3, 3, 9, 1] {
            verdicts.push(waiting(&groups, (BYTES_TOGETHER / 8) * part).await);
        }
        let mut sizes = Vec::new();
        while let Some((group, next)) = groups.next(&category(), &holder) {
            sizes.push(group.len());
            holder = next;
        }
        assert_eq!(sizes, [3, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_of_one_who_is_late_is_taken_over_and_so_many_are_late_at_most() {
        let groups = Groups::new();
        let first = turn(&groups);
        assert!(groups.take_over(&category()).is_none(), "nobody is late");
        let mut late = vec![first];
        for _ in 0..LATE {
            tokio::time::advance(PATIENCE).await;
            late.push(groups.take_over(&category()).unwrap());
            assert!(groups.pass(&category(), &late[0]).is_none(), "it is another's");
        }
        tokio::time::advance(PATIENCE).await;
        assert!(groups.take_over(&category()).is_none());
        late.remove(0);
        assert!(groups.take_over(&category()).is_some(), "one of them came to an end");
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_is_told_so_in_time() {
        let room = Queue::new().room;
        let places = Arc::clone(&room).acquire_many_owned(ROOM.try_into().unwrap()).await;
        let full = place_in(Arc::clone(&room), 1).await.unwrap_err();
        assert!(full.to_string().contains("1000 writes"), "{full}");
        drop(places);
        assert!(
            place_in(Arc::clone(&room), usize::MAX).await.is_ok(),
            "one that is too large takes all"
        );
    }
}
