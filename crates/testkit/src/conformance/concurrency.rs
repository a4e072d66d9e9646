//! The laws that only races can break: one writer at a time, commit order, and dropped futures.
//!
//! Nothing here waits for a time; tasks meet by chance, as often as the backend's `spawn` lets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenfold_core::error::Conflict;
use evenfold_core::message::Recorded;
use evenfold_core::store::{CategoryQuery, MessageStore};
use evenfold_core::{Error, ExpectedVersion, GlobalPosition, StreamName};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use super::subject::{
    Subject, category_of, ids, limit, position, positions, rises, stream_of, take_turns, write,
};
use crate::controls::message::deposited;
use crate::controls::{batch, id, stream};

/// How many writers race.
const WRITERS: u32 = 4;

type Task<T> = BoxFuture<'static, Result<T, Error>>;

/// *One writer at a time.*
pub(super) async fn of_writers_who_expect_one_version_one_succeeds(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    succeed_once(subject, &[store]).await
}

/// Lets writers race for one version, round by round, through these openings of a store.
pub(super) async fn succeed_once(
    subject: &Subject<'_>,
    stores: &[Arc<dyn MessageStore>],
) -> Result<(), Error> {
    const ROUNDS: u32 = 20;
    let stream = stream::account(1)?;
    for round in 0..ROUNDS {
        let expected = match round.checked_sub(1) {
            Some(last) => super::subject::at(last.into())?,
            None => ExpectedVersion::NoStream,
        };
        let racers = (0..WRITERS).zip(stores.iter().cycle()).map(|(writer, store)| {
            let (store, stream) = (store.clone(), stream.clone());
            let task: Task<_> = async move {
                let message = deposited(round * WRITERS + writer)?;
                Ok(store.write(&stream, &[message], expected).await)
            }
            .boxed();
            task
        });
        let mut successes = 0;
        for answer in subject.at_once(racers).await? {
            let stands = match &answer {
                Ok(written) => Some(written.last()),
                Err(error) => error.conflict().and_then(Conflict::actual),
            };
            assert_eq!(stands, Some(position(round.into())?), "{answer:?}");
            successes += u32::from(answer.is_ok());
        }
        assert_eq!(successes, 1, "writers who succeeded at version {expected}");
    }
    for store in stores {
        let all = stream_of(&**store, &stream).await?;
        assert_eq!(positions(&all), (0..i64::from(ROUNDS)).collect::<Vec<_>>());
    }
    Ok(())
}

/// Lets writers write their batches to the stream that `to` names, each `batches` of `size`.
fn writers(
    store: &Arc<dyn MessageStore>,
    (batches, size): (u32, u32),
    to: impl Fn(u32) -> Result<StreamName, Error>,
) -> Result<Vec<Task<()>>, Error> {
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let (store, stream) = (store.clone(), to(writer)?);
        let task = async move {
            for number in 0..batches {
                let first = (writer * batches + number) * size + 1;
                write(&*store, &stream, &batch::deposits(first, size)?).await?;
                take_turns().await;
            }
            Ok(())
        };
        tasks.push(task.boxed());
    }
    Ok(tasks)
}

/// *Gapless stream*, when many write to it.
pub(super) async fn writers_who_expect_nothing_leave_no_gap(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    subject.at_once(writers(&store, (25, 1), |_| Ok(stream.clone()))?).await?;
    let all = stream_of(&*store, &stream).await?;
    assert_eq!(positions(&all), (0..i64::from(WRITERS * 25)).collect::<Vec<_>>());
    assert!(rises(&all), "the stream does not rise in the store");
    each_once(&all, WRITERS * 25);
    Ok(())
}

/// Demands that the ids from 1 to `count` are there, each once.
fn each_once(all: &[Recorded], count: u32) {
    let mut found = ids(all);
    found.sort_unstable();
    assert_eq!(found, (1..=u64::from(count)).map(id).collect::<Vec<_>>());
}

/// *Atomic batch*, when many write batches to one stream.
pub(super) async fn writers_of_batches_do_not_mix_them(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    subject.at_once(writers(&store, (10, 5), |_| Ok(stream.clone()))?).await?;
    let all = stream_of(&*store, &stream).await?;
    assert_eq!(positions(&all), (0..i64::from(WRITERS * 50)).collect::<Vec<_>>());
    for batch in all.chunks(5) {
        let first = batch.first().map_or(0, |first| first.id.as_u128());
        assert!(
            (first..).zip(batch).all(|(id, message)| message.id.as_u128() == id),
            "batches are mixed: {:?}",
            ids(batch)
        );
    }
    each_once(&all, WRITERS * 50);
    Ok(())
}

/// *Idempotent id*, when the same write is made many times at once.
pub(super) async fn writers_of_one_message_write_it_once(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    const ROUNDS: u32 = 10;
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for round in 0..ROUNDS {
        let expected = ExpectedVersion::from(store.stream_version(&stream).await?);
        let racers = (0..WRITERS).map(|_| {
            let (store, stream) = (store.clone(), stream.clone());
            let task: Task<_> = async move {
                store.write(&stream, &batch::deposits(round * 2 + 1, 2)?, expected).await
            }
            .boxed();
            task
        });
        let answers = subject.at_once(racers).await?;
        let last = position(i64::from(round) * 2 + 1)?;
        assert!(answers.iter().all(|written| written.last() == last), "{answers:?}");
        let first = answers.iter().filter(|written| !written.is_repetition()).count();
        assert_eq!(first, 1, "one of them wrote it: {answers:?}");
    }
    each_once(&stream_of(&*store, &stream).await?, ROUNDS * 2);
    Ok(())
}

/// *Atomic batch*, as a reader sees it who reads meanwhile.
pub(super) async fn a_batch_is_seen_whole_or_not_at_all(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let done = Arc::new(AtomicBool::new(false));
    let writing = writers(&store, (8, 10), |_| Ok(stream.clone()))?;
    let written = {
        let done = done.clone();
        async move {
            join_all(writing).await.into_iter().collect::<Result<(), _>>()?;
            done.store(true, Ordering::SeqCst);
            Ok(0)
        }
    };
    let read = async move {
        let query = CategoryQuery::new(stream::category()?);
        let mut torn = 0;
        while !done.load(Ordering::SeqCst) {
            let of_stream = stream_of(&*store, &stream).await?.len();
            let of_category = category_of(&*store, &query).await?.len();
            torn += usize::from(of_stream % 10 != 0) + usize::from(of_category % 10 != 0);
            take_turns().await;
        }
        Ok(torn)
    };
    let torn: usize = subject.at_once([written.boxed(), read.boxed()]).await?.into_iter().sum();
    assert_eq!(torn, 0, "pages that held part of a batch");
    Ok(())
}

/// *Commit order.*
pub(super) async fn a_reader_of_a_category_misses_nothing_while_others_write(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    read_while_written(subject, &store, &store).await
}

/// Reads a category on and on while others write to its streams, and demands all of it in order.
pub(super) async fn read_while_written(
    subject: &Subject<'_>,
    writer: &Arc<dyn MessageStore>,
    reader: &Arc<dyn MessageStore>,
) -> Result<(), Error> {
    const BATCHES: u32 = 30;
    let query = CategoryQuery::new(stream::category()?);
    let done = Arc::new(AtomicBool::new(false));
    let left = Arc::new(std::sync::atomic::AtomicU32::new(WRITERS));
    let tasks = writers(writer, (BATCHES, 2), |writer| Ok(stream::account(writer % 3)?))?;
    let mut tasks: Vec<Task<Vec<Recorded>>> = tasks
        .into_iter()
        .map(|task| {
            let (done, left) = (done.clone(), left.clone());
            let task = async move {
                let written = task.await;
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    done.store(true, Ordering::SeqCst);
                }
                written.map(|()| Vec::new())
            };
            task.boxed()
        })
        .collect();
    let (store, asked) = (reader.clone(), query.clone());
    let read = async move {
        let (mut seen, mut from) = (Vec::<Recorded>::new(), GlobalPosition::START);
        loop {
            // Asked before the page is read: what came before the last word is in a page.
            let last = done.load(Ordering::SeqCst);
            let page = store.read_category(&asked, from, limit(7)?).await?;
            if (page.is_empty() && last) || seen.len() > 10_000 {
                return Ok(seen);
            }
            from = page.last().map_or(from, |message| message.global_position.next());
            seen.extend(page);
            take_turns().await;
        }
    };
    tasks.push(read.boxed());
    let seen: Vec<_> = subject.at_once(tasks).await?.into_iter().flatten().collect();

    assert!(rises(&seen), "what was read does not rise");
    each_once(&seen, WRITERS * BATCHES * 2);
    assert!(seen == category_of(&**writer, &query).await?, "it reads otherwise afterwards");
    Ok(())
}

/// *One writer at a time* and *Commit order*, each category by itself.
pub(super) async fn writers_of_many_categories_do_not_disturb_each_other(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let name = |writer: u32| Ok(StreamName::new(format!("account:v{writer}-1"))?);
    subject.at_once(writers(&store, (20, 3), name)?).await?;
    for writer in 0..WRITERS {
        let stream = name(writer)?;
        let all = category_of(&*store, &CategoryQuery::new(stream.category())).await?;
        assert_eq!(positions(&all), (0..60).collect::<Vec<_>>(), "of `{stream}`");
        assert!(rises(&all), "of `{stream}`");
        let first = u64::from(writer) * 60 + 1;
        assert_eq!(ids(&all), (first..first + 60).map(id).collect::<Vec<_>>(), "of `{stream}`");
    }
    Ok(())
}

/// *No false success*, nor a hidden one.
pub(super) async fn a_write_that_was_never_polled_writes_nothing(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    drop(store.write(&stream, &[deposited(1)?], ExpectedVersion::Any));
    for _ in 0..3 {
        take_turns().await;
    }
    assert_eq!(stream_of(&*store, &stream).await?, []);
    Ok(())
}

/// *No false success* and *Atomic batch*, when a write is cancelled at any point.
pub(super) async fn a_dropped_write_wrote_all_or_nothing(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for round in 0..12 {
        let batch = batch::deposits(round * 5 + 1, 5)?;
        let mut write = store.write(&stream, &batch, ExpectedVersion::Any);
        for _ in 0..=round / 2 {
            if futures::poll!(&mut write).is_ready() {
                break;
            }
            take_turns().await;
        }
        drop(write);
        let found = stream_of(&*store, &stream).await?.len();
        assert_eq!(found % 5, 0, "part of a dropped write was written");
        // Whatever came of it, the same call settles it.
        let again = store.write(&stream, &batch, ExpectedVersion::Any).await?;
        assert_eq!(again.last(), position(i64::from(round) * 5 + 4)?);
    }
    let all = stream_of(&*store, &stream).await?;
    assert_eq!(ids(&all), (1..=60).map(id).collect::<Vec<_>>());
    Ok(())
}

/// *No false success*: what was cancelled leaves nothing behind.
pub(super) async fn a_dropped_read_leaves_the_store_usable(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (stream, query) = (stream::account(1)?, CategoryQuery::new(stream::category()?));
    write(&*store, &stream, &batch::deposits(1, 100)?).await?;
    for round in 0..20 {
        let mut read = store.read_stream(&stream, position(0)?, limit(1_000)?);
        let mut read_category = store.read_category(&query, GlobalPosition::START, limit(1_000)?);
        for _ in 0..round % 4 {
            if futures::poll!(&mut read).is_ready() | futures::poll!(&mut read_category).is_ready()
            {
                break;
            }
            take_turns().await;
        }
        drop((read, read_category));
        assert_eq!(stream_of(&*store, &stream).await?.len(), 100);
        write(&*store, &stream::account(2)?, &[deposited(1_000 + round)?]).await?;
    }
    Ok(())
}
