//! Members that share a category by leases: who joins, who leaves, who dies.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what stands around the tests is test code too"
)]

mod story;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::{Clock, Host, Memory, Store, Subscriber};
use evenfold_testkit::Recording;
use story::{AccountEvent, Deposited, Withdrawn, deposit, progress};
use tokio::sync::oneshot;

/// A clock that stands and goes with that of the runtime.
#[derive(Debug)]
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn now(&self) -> time::OffsetDateTime {
        time::OffsetDateTime::UNIX_EPOCH + self.0.elapsed()
    }
}

fn memory() -> Store {
    Store::new(Memory::with_clock(Arc::new(Paused(tokio::time::Instant::now()))))
}

/// Notes which member handled what, stream by stream.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<(String, u64, u8)>>>);

impl Book {
    fn by_stream(&self) -> HashMap<String, Vec<u64>> {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (stream, amount, _) in self.0.lock().unwrap().iter() {
            all.entry(stream.clone()).or_default().push(*amount);
        }
        all
    }

    fn of(&self, member: u8) -> usize {
        self.0.lock().unwrap().iter().filter(|(_, _, by)| *by == member).count()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

struct Clerk(Book, u8);

#[handler(AccountEvent, skip(Withdrawn))]
impl Clerk {
    async fn deposited(&self, event: Received<Deposited>) {
        let stream = event.recorded().stream_name.to_string();
        self.0.0.lock().unwrap().push((stream, event.amount, self.1));
    }
}

fn clerk(store: &Store, book: &Book, member: u8) -> Subscriber {
    store.subscriber("clerk", Clerk(book.clone(), member)).leased(8).lease_term(TERM)
}

const TERM: Duration = Duration::from_secs(3);

/// A member that runs until it is told to stop, or dropped as in a crash.
struct Running {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

fn start(store: &Store, book: &Book, member: u8) -> Running {
    let (stop, stopped) = oneshot::channel();
    let host = Host::new().subscriber(clerk(store, book, member));
    let task = tokio::spawn(async move {
        let stops = host.run_until(async { drop(stopped.await) }).await.unwrap();
        stops.into_result().unwrap();
    });
    Running { stop, task }
}

/// Writes a round of messages, one to each of 40 streams.
async fn round(store: &Store, amount: u64) {
    for id in 1..=40 {
        deposit(store, &id.to_string(), &[amount]).await;
    }
}

async fn until(reached: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if reached() {
            return;
        }
        tokio::time::advance(Duration::from_millis(20)).await;
        tokio::task::yield_now().await;
    }
    panic!("it is not reached in 200 s");
}

fn once_and_in_order(book: &Book, rounds: u64) {
    let by_stream = book.by_stream();
    assert_eq!(by_stream.len(), 40);
    let expected: Vec<_> = (1..=rounds).collect();
    for (stream, amounts) in by_stream {
        assert_eq!(amounts, expected, "{stream}");
    }
}

#[tokio::test(start_paused = true)]
async fn members_join_and_leave_and_each_message_is_handled_once_in_order() {
    let store = memory();
    let book = Book::default();
    round(&store, 1).await;
    let first = start(&store, &book, 1);
    until(|| book.len() == 40).await;

    let second = start(&store, &book, 2);
    // Until the second has its share, the first works on all.
    tokio::time::sleep(3 * TERM).await;
    round(&store, 2).await;
    until(|| book.len() == 80).await;
    assert!(book.of(2) >= 10, "the second has {}", book.of(2));
    assert!(book.of(1) >= 50, "the first has {}", book.of(1));

    first.stop.send(()).unwrap();
    first.task.await.unwrap();
    round(&store, 3).await;
    until(|| book.len() == 120).await;
    second.stop.send(()).unwrap();
    second.task.await.unwrap();
    once_and_in_order(&book, 3);
    // Bucket 3 of 8 stands where member 3 of a group of 8 keeps its progress.
    assert!(progress(&store, "account:position-clerk+3of8").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_member_held_is_taken_over_after_its_term() {
    let store = memory();
    let book = Book::default();
    let (first, second) = (start(&store, &book, 1), start(&store, &book, 2));
    tokio::time::sleep(3 * TERM).await;
    round(&store, 1).await;
    until(|| book.len() == 40).await;
    tokio::time::sleep(TERM).await;
    first.task.abort();
    assert!(first.task.await.unwrap_err().is_cancelled());
    round(&store, 2).await;
    until(|| book.len() == 80).await;
    once_and_in_order(&book, 2);
    second.stop.send(()).unwrap();
    second.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_could_not_be_given_up_is_worked_on_still() {
    let clock = Paused(tokio::time::Instant::now());
    let recording = Recording::of(Arc::new(Memory::with_clock(Arc::new(clock))));
    let store = Store::new(recording.clone());
    let book = Book::default();
    round(&store, 1).await;
    let first = start(&store, &book, 1);
    until(|| book.len() == 40).await;
    let second = start(&store, &book, 2);
    // The first is asked to give some up, and the store does not answer, now and then.
    for _ in 0..20 {
        recording.fail_leases(2);
        tokio::time::sleep(TERM / 4).await;
    }
    round(&store, 2).await;
    until(|| book.len() >= 80).await;
    round(&store, 3).await;
    until(|| book.len() >= 120).await;
    once_and_in_order(&book, 3);
    for member in [first, second] {
        member.stop.send(()).unwrap();
        member.task.await.unwrap();
    }
}

#[tokio::test]
async fn a_member_beyond_the_buckets_has_nothing_to_do() {
    let store = memory();
    round(&store, 1).await;
    let book = Book::default();
    let one = |member| store.subscriber("one", Clerk(book.clone(), member)).leased(1);
    let mut first = one(1).into_poller().unwrap();
    first.poll_until_caught_up().await.unwrap();
    assert_eq!(one(2).run_until_caught_up().await.unwrap().handled, 0);
    first.finish().await.unwrap();
    assert_eq!(book.of(1), 40);
}

#[tokio::test]
async fn a_static_group_goes_on_as_one_that_is_shared_by_leases() {
    let store = memory();
    round(&store, 1).await;
    let book = Book::default();
    for member in 0..8 {
        let clerk = store.subscriber("clerk", Clerk(book.clone(), 0)).group(member, 8);
        clerk.run_until_caught_up().await.unwrap();
    }
    assert_eq!(book.len(), 40);
    round(&store, 2).await;
    clerk(&store, &book, 1).run_until_caught_up().await.unwrap();
    once_and_in_order(&book, 2);
}

#[tokio::test]
async fn a_static_member_does_not_begin_where_its_group_had_another_size() {
    let store = memory();
    round(&store, 1).await;
    let book = Book::default();
    let member = |size| store.subscriber("clerk", Clerk(book.clone(), 0)).group(0, size);
    member(2).run_until_caught_up().await.unwrap();
    let refused = member(3).run_until_caught_up().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "consumer group size `3`: subscriber `clerk` of `account` has progress as a group of 2, \
         which says nothing of where one of 3 begins; say that by `.start_at(…)`"
    );
    let told = member(3).start_at(evenfold::GlobalPosition::START);
    told.run_until_caught_up().await.unwrap();
}

#[tokio::test]
async fn who_worked_alone_does_not_begin_anew_in_a_group_nor_a_group_alone() {
    let start = evenfold::GlobalPosition::START;
    let shared: [fn(Subscriber) -> Subscriber; 2] = [|it| it.leased(4), |it| it.group(0, 4)];
    for share in shared {
        let store = memory();
        round(&store, 1).await;
        let book = Book::default();
        let clerk = |id| store.subscriber(id, Clerk(book.clone(), 0));
        clerk("alone").version(2).run_until_caught_up().await.unwrap();
        share(clerk("shared")).run_until_caught_up().await.unwrap();
        let handled = book.len();

        let refused = share(clerk("alone")).run_until_caught_up().await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "consumer group size `4`: subscriber `alone` of `account` has progress as one that works \
             alone, which says nothing of where one of 4 begins; say that by `.start_at(…)`"
        );
        let refused = clerk("shared").run_until_caught_up().await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "subscriber `shared`: subscriber `shared` of `account` has progress as a group of 4, \
             which says nothing of where one that works alone begins; say that by `.start_at(…)`"
        );
        assert_eq!(book.len(), handled, "nothing is handled again before that is said");

        share(clerk("alone")).start_at(start).run_until_caught_up().await.unwrap();
        clerk("shared").start_at(start).run_until_caught_up().await.unwrap();
        // Both have progress of their own now.
        share(clerk("alone")).run_until_caught_up().await.unwrap();
        clerk("shared").run_until_caught_up().await.unwrap();
    }
}

#[tokio::test]
async fn versions_filters_and_other_subscribers_say_nothing_of_how_one_is_shared() {
    let store = memory();
    round(&store, 1).await;
    let book = Book::default();
    let clerk = |id| store.subscriber(id, Clerk(book.clone(), 0));
    clerk("clerk").run_until_caught_up().await.unwrap();
    clerk("clerk").version(2).run_until_caught_up().await.unwrap();
    clerk("clerk").version(3).run_until_caught_up().await.unwrap();
    clerk("clerk").correlated_with("transfer").group(0, 2).run_until_caught_up().await.unwrap();
    clerk("other").leased(4).run_until_caught_up().await.unwrap();
}

#[tokio::test]
async fn a_group_of_another_size_is_refused() {
    let store = memory();
    round(&store, 1).await;
    let book = Book::default();
    clerk(&store, &book, 1).run_until_caught_up().await.unwrap();
    let other = store.subscriber("clerk", Clerk(book, 2)).leased(16);
    let refused = other.run_until_caught_up().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "number of buckets `16`: group `account:position-clerk` has 8, which cannot be changed"
    );
}
