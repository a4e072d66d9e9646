//! Reading page after page: nothing is missed, and no page is asked for that nobody may want.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use evenfold::message::Recorded;
use evenfold::stores::CategoryQuery;
use evenfold::{Error, GlobalPosition, Position, Store};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use story::{Deposited, deposit_at_once, recording};

const PAGE: u64 = 1000;

/// Of the stream, and of its category.
fn both(store: &Store) -> [BoxStream<'_, Result<Recorded, Error>>; 2] {
    let account = CategoryQuery::new("account".parse().unwrap());
    let category = store.read_category(account, GlobalPosition::START);
    [store.read_stream("account-1", Position::START), category]
}

#[tokio::test]
async fn all_is_read_in_order_wherever_the_last_page_ends() {
    for messages in [1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE - 1, 3 * PAGE, 3 * PAGE + 1] {
        let (store, _) = recording();
        deposit_at_once(&store, 0..messages).await;
        for read in both(&store) {
            let amounts = read.map(|it| Ok::<_, Error>(it?.decode::<Deposited>()?.amount));
            let amounts: Vec<_> = amounts.try_collect().await.unwrap();
            assert_eq!(amounts, (0..messages).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn who_stops_within_the_first_page_asked_for_no_other() {
    let (store, log) = recording();
    deposit_at_once(&store, 0..5 * PAGE).await;
    for (taken, reads) in [(1, 1), (PAGE, 1), (PAGE + 1, 3), (2 * PAGE, 3), (2 * PAGE + 1, 4)] {
        for read in both(&store) {
            let before = log.reads();
            let count = read.take(usize::try_from(taken).unwrap()).count().await;
            assert_eq!(u64::try_from(count).unwrap(), taken);
            tokio::task::yield_now().await;
            assert_eq!(log.reads() - before, reads, "{taken} taken");
        }
    }
}

#[tokio::test]
async fn what_was_read_before_a_page_that_fails_comes_before_its_error() {
    for (page, number) in (0..4).flat_map(|page| [(page, 0), (page, 1)]) {
        let (store, log) = recording();
        deposit_at_once(&store, 0..5 * PAGE).await;
        log.fail_reads_after(page, 1);
        let [read, other] = both(&store);
        let read: Vec<_> = if number == 0 { read } else { other }.collect().await;
        let (last, before) = read.split_last().unwrap();
        assert_eq!(before.len(), usize::try_from(u64::from(page) * PAGE).unwrap());
        assert!(before.iter().all(Result::is_ok) && last.is_err());
    }
}

#[test]
fn what_is_read_on_in_another_runtime_is_whole() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (store, log) = recording();
    runtime().block_on(deposit_at_once(&store, 0..5 * PAGE));
    for (mut read, is_there) in both(&store).into_iter().zip([true, false]) {
        // The second page is read at once, the third is on its way when the runtime ends, or stands still.
        let one = runtime();
        let mut count = one.block_on(read.by_ref().take(1000).count());
        drop(log.hold_next_read());
        let held = log.hold_next_read();
        count += one.block_on(read.by_ref().take(1000).count());
        let one = is_there.then_some(one);
        count += runtime().block_on(read.count());
        assert_eq!(count, 5000);
        drop((held, one));
    }
}
