//! The laws of entities that stay in memory: as new as without, and one read for many.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::projector::Projector;
use evenfold::stores::BatchSize;
use evenfold::{Entities, EntityCache, Memory, Position, Snapshots, Store, Transacted};
use evenfold_testkit::{CountedIds, Held, Outcome, Recording};
use futures::future::join_all;
use futures::poll;
use story::{Account, Deposited, Withdrawn, balance, deposit_at_once, recording};
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::timeout;

fn load(accounts: &Entities<Account>) -> JoinHandle<Result<u64, Error>> {
    let accounts = accounts.clone();
    tokio::spawn(async move { Ok(accounts.load("1").await?.state.balance) })
}

fn cached() -> (Store, Arc<Recording>, Entities<Account>) {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>().cached(EntityCache::of(100));
    (store, recording, accounts)
}

#[tokio::test]
async fn only_what_is_new_is_read_and_all_of_it() {
    let (store, recording, accounts) = cached();
    let accounts = accounts.projected_by(of_pages(2));
    deposit_at_once(&store, [1; 7]).await;
    assert_eq!(balance(&accounts).await, 7);
    assert_eq!(recording.reads(), 4, "pages of 2, the last of them not full");
    assert_eq!(balance(&accounts).await, 7);
    assert_eq!(recording.reads(), 5, "one round trip for what is in the cache");
    deposit_at_once(&store, [1; 5]).await;
    assert_eq!(balance(&accounts).await, 12);
    assert_eq!(recording.reads(), 8);
}

fn of_pages(size: i64) -> Projector<Account> {
    Projector::of_reducer().batch_size(BatchSize::new(size).unwrap())
}

#[tokio::test]
async fn those_who_ask_while_it_is_read_share_the_next_read() {
    let (store, recording, accounts) = cached();
    deposit_at_once(&store, [1]).await;
    let mut held = recording.hold_next_read();
    let first = load(&accounts);
    held.reached().await;
    // The one under way may have begun before this was written, so they must not take it.
    deposit_at_once(&store, [1]).await;
    let others = join_all((0..100).map(|_| balance(&accounts)));
    let (others, ()) = futures::join!(others, async { held.let_go() });
    assert_eq!(others, [2; 100]);
    first.await.unwrap().unwrap();
    assert_eq!(recording.reads(), 2);
}

/// They read, decide and write at the same pace, so that without pauses each attempt of all of them
/// would be the success of one.
#[tokio::test(start_paused = true)]
async fn many_more_writers_than_attempts_are_drawn_apart() {
    let store = Store::new(Memory::new()).with_ids(CountedIds::default());
    let accounts = store.entities::<Account>().cached(EntityCache::of(100));
    let double = |account: &Account| Ok(vec![Deposited { amount: account.balance + 1 }.into()]);
    let writers = (0..60).map(|_| accounts.transact("1", double).into_future());
    join_all(writers).await.into_iter().for_each(|written| {
        written.unwrap();
    });
    assert_eq!(balance(&accounts).await, (1 << 60) - 1);
}

/// As a branch of `select!` that did not win, or a handler that is held back.
#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_goes_on_with_keeps_nobody_waiting() {
    let (store, recording, accounts) = cached();
    deposit_at_once(&store, [1]).await;
    let mut held = recording.hold_next_read();
    let mut idle = pin!(accounts.load("1"));
    assert!(poll!(&mut idle).is_pending());
    held.reached().await;
    held.let_go();
    let other = timeout(Duration::from_mins(1), accounts.load("1")).await;
    assert_eq!(other.unwrap().unwrap().state.balance, 1);
    assert_eq!(idle.await.unwrap().state.balance, 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_given_up_is_no_longer_waited_for() {
    let (store, recording, accounts) = cached();
    deposit_at_once(&store, [1]).await;
    let mut held = recording.hold_next_read();
    let first = load(&accounts);
    held.reached().await;
    let others = join_all((0..9).map(|_| balance(&accounts)));
    let (others, ()) = futures::join!(others, async { first.abort() });
    assert_eq!(others, [1; 9]);
    assert_eq!(recording.reads(), 2, "the one that was given up, and one for the others");
    held.let_go();
}

#[tokio::test]
async fn a_reducer_that_panics_does_so_for_who_began_the_read_alone() {
    let (store, recording, accounts) = cached();
    let is_first = AtomicBool::new(true);
    let panics_once = move |account: &mut Account, event: &Deposited| {
        assert!(!is_first.swap(false, Ordering::Relaxed), "on purpose");
        account.balance += event.amount;
        Ok(())
    };
    let projector = Projector::starting_with(Account::default).on(panics_once);
    let accounts = accounts.projected_by(projector);
    deposit_at_once(&store, [1]).await;
    let mut held = recording.hold_next_read();
    let first = load(&accounts);
    held.reached().await;
    let (other, ()) = futures::join!(balance(&accounts), async { held.let_go() });
    assert!(first.await.unwrap_err().is_panic());
    assert_eq!(other, 1);
}

#[test]
fn a_read_of_a_runtime_that_stands_still_is_not_waited_for() {
    let (store, recording, accounts) = cached();
    // Of one thread, so that it stands still while nobody is in it.
    let new = || Builder::new_current_thread().enable_all().build().unwrap();
    let (one, other) = (new(), new());
    one.block_on(deposit_at_once(&store, [1]));
    let mut held = recording.hold_next_read();
    let first = {
        let _in_one = one.enter();
        load(&accounts)
    };
    one.block_on(held.reached());
    assert_eq!(other.block_on(balance(&accounts)), 1);
    held.let_go();
    assert_eq!(other.block_on(balance(&accounts)), 1, "it could go on, and does not");
    assert_eq!(one.block_on(first).unwrap().unwrap(), 1);
    assert_eq!(futures::executor::block_on(balance(&accounts)), 1, "and outside of all of them");
}

#[tokio::test]
async fn nobody_waits_for_a_snapshot_but_who_writes_it() {
    let (store, recording, accounts) = cached();
    let accounts = accounts.snapshots(Snapshots::every(2));
    deposit_at_once(&store, [1, 2]).await;
    let kept = StreamName::new("account:snapshot-1").unwrap();
    for _ in 0..2 {
        let mut held = recording.hold_next(&kept.category());
        let first = load(&accounts);
        held.reached().await;
        assert_eq!([balance(&accounts).await, balance(&accounts).await], [3, 3]);
        // It is given up, and so another one's to write.
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        drop(held);
    }
    assert!(recording.writes_to(&kept).is_empty());
    for _ in 0..2 {
        assert_eq!(balance(&accounts).await, 3);
    }
    assert_eq!(recording.writes_to(&kept).len(), 1);
}

#[tokio::test]
async fn those_who_wait_for_a_read_that_fails_read_by_themselves_and_at_once() {
    let (store, recording, accounts) = cached();
    deposit_at_once(&store, [1]).await;
    let mut held = [recording.hold_next_read(), recording.hold_next_read()];
    // The first read passes and the second fails; of the others, all are held at once: were they
    // to wait for one another, the third would never be reached.
    recording.fail_reads_after(1, 1);
    let first = load(&accounts);
    held[0].reached().await;
    let others: Vec<_> = (0..3).map(|_| load(&accounts)).collect();
    tokio::task::yield_now().await;
    let mut later = [recording.hold_next_read(), recording.hold_next_read()];
    let [one, mut two] = held;
    one.let_go();
    two.reached().await;
    two.let_go();
    for held in &mut later {
        held.reached().await;
    }
    later.into_iter().for_each(Held::let_go);
    assert_eq!(first.await.unwrap().unwrap(), 1);
    let others: Vec<_> = join_all(others).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(others.iter().filter(|it| it.is_err()).count(), 1, "{others:?}");
    assert!(others.iter().flatten().all(|balance| *balance == 1));
}

#[tokio::test]
async fn a_read_that_fails_or_is_given_up_leaves_the_state_that_was_there() {
    let (store, recording, accounts) = cached();
    deposit_at_once(&store, [5]).await;
    assert_eq!(balance(&accounts).await, 5);
    store.write_all("account-1", [Withdrawn { amount: 1 }, Withdrawn { amount: 9 }]).await.unwrap();
    let fault = accounts.load("1").await.unwrap_err();
    assert!(format!("{fault:?}").contains("more than there is"), "{fault:?}");
    recording.fail_reads(1);
    assert!(accounts.load("1").await.unwrap_err().is_unavailable());
    let mut held = recording.hold_next_read();
    tokio::select! {
        biased;
        _ = accounts.load("1") => unreachable!("it is held"),
        () = held.reached() => {}
    }
    drop(held);
    // Half of it would be 4, and a withdrawal of 9 from what is there still fails.
    let fault = accounts.load("1").await.unwrap_err();
    assert!(format!("{fault:?}").contains("more than there is"), "{fault:?}");
}

#[tokio::test]
async fn a_shared_state_is_not_copied_and_does_not_change() {
    let (store, _, accounts) = cached();
    deposit_at_once(&store, [1]).await;
    let one = accounts.load_shared("1").await.unwrap();
    let same = accounts.load_shared("1").await.unwrap();
    assert!(Arc::ptr_eq(&one, &same));
    deposit_at_once(&store, [1]).await;
    assert_eq!(accounts.load_shared("1").await.unwrap().state.balance, 2);
    assert_eq!(one.state.balance, 1);
}

#[tokio::test]
async fn another_projector_does_not_find_the_states_of_the_first() {
    let (store, _, accounts) = cached();
    deposit_at_once(&store, [1, 1]).await;
    assert_eq!(balance(&accounts).await, 2);
    let twice = Projector::starting_with(Account::default).on(
        |account: &mut Account, event: &Deposited| {
            account.balance += 2 * event.amount;
            Ok(())
        },
    );
    assert_eq!(balance(&accounts.clone().projected_by(twice)).await, 4);
}

#[tokio::test]
async fn no_more_stay_than_were_asked_for() {
    let (store, recording) = recording();
    let accounts = store.entities::<Account>().cached(EntityCache::of(0));
    deposit_at_once(&store, [1]).await;
    for _ in 0..3 {
        assert_eq!(accounts.load("1").await.unwrap().version, Some(Position::START));
    }
    let whole = recording.reads();
    assert_eq!(whole, 3);
}

mod age {
    use super::*;

    async fn deposit_one_more(accounts: Entities<Account>) {
        for _ in 0..7 {
            let one_more = |account: &Account| {
                let amount = account.balance + 1;
                Ok(vec![Deposited { amount }.into()])
            };
            accounts.transact("1", one_more).await.unwrap();
        }
    }

    fn at_most_a_second_old() -> (Store, Arc<Recording>, Entities<Account>) {
        let (store, recording) = recording();
        let cache = EntityCache::of(100).max_age(Duration::from_secs(1));
        (store.clone(), recording, store.entities::<Account>().cached(cache))
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_may_be_as_old_as_was_said() {
        let (store, recording, accounts) = at_most_a_second_old();
        deposit_at_once(&store, [1]).await;
        assert_eq!(balance(&accounts).await, 1);
        deposit_at_once(&store, [1]).await;
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(balance(&accounts).await, 1);
        assert_eq!(recording.reads(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(balance(&accounts).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_reads_what_one_wrote_oneself() {
        let (_, _, accounts) = at_most_a_second_old();
        for expected in 1..5 {
            let one = |_: &Account| Ok(vec![Deposited { amount: 1 }.into()]);
            accounts.transact("1", one).await.unwrap();
            assert_eq!(balance(&accounts.clone()).await, expected);
        }
    }

    /// Each decision deposits one more than the balance it saw: had one been written on an old
    /// state, the sums would not double.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn decisions_that_collide_on_old_states_are_made_again_and_none_is_lost() {
        let (_, recording, accounts) = at_most_a_second_old();
        let tasks = (0..8).map(|_| tokio::spawn(deposit_one_more(accounts.clone())));
        join_all(tasks).await.into_iter().for_each(Result::unwrap);
        let written = recording.writes();
        let written = written.iter().filter(|write| write.outcome == Outcome::Written);
        assert_eq!((written.count(), balance(&accounts).await), (56, (1 << 56) - 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_reads_what_one_wrote_oneself_after_a_read_that_failed_too() {
        let (_, recording, accounts) = at_most_a_second_old();
        assert_eq!(balance(&accounts).await, 0);
        let one = |_: &Account| Ok(vec![Deposited { amount: 1 }.into()]);
        accounts.transact("1", one).await.unwrap();
        recording.fail_reads(1);
        assert!(accounts.load("1").await.unwrap_err().is_unavailable());
        assert_eq!(balance(&accounts).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_reads_what_was_written_while_a_write_was_given_up() {
        let (store, recording, accounts) = at_most_a_second_old();
        assert_eq!(balance(&accounts).await, 0);
        let mut held = recording.hold_next(&"account".parse().unwrap());
        let one = |_: &Account| Ok(vec![Deposited { amount: 1 }.into()]);
        tokio::select! {
            biased;
            _ = accounts.transact("1", one).into_future() => unreachable!("it is held"),
            () = held.reached() => {}
        }
        deposit_at_once(&store, [5]).await;
        assert_eq!(balance(&accounts).await, 5, "the store was asked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_on_an_old_state_is_no_attempt() {
        let (store, _, accounts) = at_most_a_second_old();
        assert_eq!(balance(&accounts).await, 0);
        deposit_at_once(&store, [5]).await;
        let double = |account: &Account| Ok(vec![Deposited { amount: account.balance }.into()]);
        let of_one = accounts.transact("1", double).attempts(1).await;
        assert_eq!(of_one.unwrap(), Transacted::Written(Position::START.next()));
        assert_eq!(balance(&accounts).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_on_an_old_state_is_made_again_where_nothing_would_show_it() {
        let (store, _, accounts) = at_most_a_second_old();
        assert_eq!(balance(&accounts).await, 0);
        deposit_at_once(&store, [5]).await;
        let withdraw = |amount: u64| {
            move |account: &Account| match account.balance.checked_sub(amount) {
                Some(_) => Ok(vec![Withdrawn { amount }.into()]),
                None => reject("more than there is"),
            }
        };
        let of_one = accounts.transact("1", withdraw(4)).attempts(1).await;
        assert_eq!(of_one.unwrap(), Transacted::Written(Position::START.next()));
        let none = |account: &Account| {
            let events = (account.balance == 1).then_some(Withdrawn { amount: 1 }.into());
            Ok(events.into_iter().collect())
        };
        assert_eq!(balance(&accounts).await, 1);
        store.write("account-1", Withdrawn { amount: 1 }).await.unwrap();
        // On the old state it would write, at a version that is no more; on the new one, nothing.
        assert_eq!(accounts.transact("1", none).await.unwrap(), Transacted::Nothing);
    }
}
