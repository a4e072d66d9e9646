//! The laws of the transaction that a store hands to handlers, for messages alone: what handlers do in
//! it is a backend's own to prove.
//!
//! Nobody here writes beside an open transaction in one task, for that may wait for its end.

use std::sync::Arc;

use evenfold_core::handler::Context;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{MessageStore, WriteStore};
use evenfold_core::{Error, ExpectedVersion, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::subject::{
    Subject, at, ids, position, positions, refused, stream_of, take_turns, write,
};
use crate::controls::message::{deposited, withdrawn};
use crate::controls::{batch, id, stream};

/// How the proofs end a transaction that does not commit.
async fn end(context: Context, round: u32) {
    if round.is_multiple_of(2) {
        context.rollback().await;
    }
}

/// *Together.*
pub(super) async fn what_is_written_in_a_transaction_is_there_when_it_commits(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (one, other) = (stream::account(1)?, StreamName::new("transfer-1")?);
    let context = store.context().await?;
    let first = ExpectedVersion::NoStream;
    context.write(&one, &batch::deposits(1, 3)?, first).await?;
    context.write(&other, &[deposited(4)?], first).await?;
    for (stream, message) in [(&one, 1), (&other, 4)] {
        assert_eq!(store.stream_version(stream).await?, None, "`{stream}` before the commit");
        assert_eq!(store.message(id(message)).await?, None);
    }
    context.commit().await?;
    assert_eq!(ids(&stream_of(&*store, &one).await?), [1, 2, 3].map(id));
    assert_eq!(ids(&stream_of(&*store, &other).await?), [id(4)]);
    Ok(())
}

/// *Together*, when it is rolled back or dropped: the same can be written again, as if for the first
/// time.
pub(super) async fn a_transaction_that_does_not_commit_wrote_nothing(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (stream, messages) = (stream::account(1)?, batch::deposits(1, 2)?);
    for round in 0..4 {
        let context = store.context().await?;
        let written = context.write(&stream, &messages, ExpectedVersion::NoStream).await?;
        assert!(!written.is_repetition());
        end(context, round).await;
        assert_eq!(store.stream_version(&stream).await?, None);
    }
    let written = store.write(&stream, &messages, ExpectedVersion::NoStream).await?;
    assert!(!written.is_repetition());
    Ok(())
}

/// *Writes within*: a conflict, a duplicate, an invalid batch, and then it goes on.
pub(super) async fn a_refused_write_leaves_the_transaction_usable(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (one, other) = (stream::account(1)?, stream::account(2)?);
    write(&*store, &one, &[deposited(1)?]).await?;

    let context = store.context().await?;
    context.write(&other, &[deposited(10)?], ExpectedVersion::NoStream).await?;
    let any = ExpectedVersion::Any;
    for count in [1, 3] {
        let late = batch::deposits(20, count)?;
        let error = refused(context.write(&one, &late, ExpectedVersion::NoStream).await)?;
        let actual = error.conflict().map(evenfold_core::error::Conflict::actual);
        assert_eq!(actual, Some(Some(position(0)?)), "{error:?}");
    }
    let error = refused(context.write(&one, &[withdrawn(1)?], any).await)?;
    assert!(error.is_duplicate_id(), "{error:?}");
    let error = refused(context.write(&one, &[], any).await)?;
    assert!(error.is_invalid(), "{error:?}");

    let again = context.write(&one, &[deposited(1)?], ExpectedVersion::NoStream).await?;
    assert!(again.is_repetition());
    let written = context.write(&one, &[deposited(2)?], at(0)?).await?;
    assert_eq!(written.last(), position(1)?);
    context.commit().await?;
    assert_eq!(ids(&stream_of(&*store, &one).await?), [1, 2].map(id));
    assert_eq!(ids(&stream_of(&*store, &other).await?), [id(10)]);
    Ok(())
}

/// *Writes within*: the next write stands behind the last, and knows it.
pub(super) async fn a_transaction_sees_what_it_wrote(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let context = store.context().await?;
    context.write(&stream, &batch::deposits(1, 2)?, ExpectedVersion::NoStream).await?;
    let written = context.write(&stream, &[deposited(3)?], at(1)?).await?;
    assert_eq!(written.last(), position(2)?);
    let error = refused(context.write(&stream, &[deposited(4)?], at(1)?).await)?;
    assert!(error.is_conflict(), "{error:?}");
    let again = context.write(&stream, &batch::deposits(1, 2)?, at(2)?).await?;
    assert!(again.is_repetition() && again.last() == position(1)?, "{again:?}");
    context.commit().await?;
    let all = stream_of(&*store, &stream).await?;
    assert_eq!((ids(&all), positions(&all)), ([1, 2, 3].map(id).to_vec(), vec![0, 1, 2]));
    Ok(())
}

/// *One transaction wins*, of others and of writers without one.
pub(super) async fn of_transactions_who_expect_one_version_one_commits(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    const ROUNDS: u32 = 10;
    const RACERS: u32 = 4;
    // The last, so that where tasks take turns it comes between the writes of the others and their
    // commits.
    const PLAIN: u32 = RACERS - 1;
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for round in 0..ROUNDS {
        let expected = ExpectedVersion::from(store.stream_version(&stream).await?);
        let racers = (0..RACERS).map(|racer| {
            let (store, stream) = (store.clone(), stream.clone());
            let task: BoxFuture<'static, Result<_, Error>> = async move {
                let message = [deposited(round * RACERS + racer)?];
                Ok(match racer {
                    PLAIN => write_late(&store, &stream, &message, expected).await,
                    _ => commit_one(&store, &stream, &message, expected).await,
                })
            }
            .boxed();
            task
        });
        let answers = subject.at_once(racers).await?;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "of round {round}: {answers:?}");
        let lost = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(lost.into_iter().all(Error::is_conflict), "{answers:?}");
    }
    let all = stream_of(&*store, &stream).await?;
    assert_eq!(positions(&all), (0..i64::from(ROUNDS)).collect::<Vec<_>>());
    Ok(())
}

async fn write_late(
    store: &Arc<dyn MessageStore>,
    stream: &StreamName,
    message: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<(), Error> {
    take_turns().await;
    store.write(stream, message, expected).await.map(drop)
}

async fn commit_one(
    store: &Arc<dyn MessageStore>,
    stream: &StreamName,
    message: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<(), Error> {
    let context = store.context().await?;
    take_turns().await;
    match context.write(stream, message, expected).await {
        Ok(_) => {
            take_turns().await;
            context.commit().await
        }
        Err(error) => {
            context.rollback().await;
            Err(error)
        }
    }
}

/// *Settled by repetition*, by who did not hear of the commit.
pub(super) async fn what_a_transaction_wrote_is_a_repetition_in_another(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (stream, record) = (stream::account(1)?, [deposited(1)?]);
    commit_one(&store, &stream, &record, ExpectedVersion::NoStream).await?;
    for round in 0..2 {
        let context = store.context().await?;
        let again = context.write(&stream, &record, ExpectedVersion::NoStream).await?;
        assert!(again.is_repetition());
        end(context, round).await;
    }
    assert_eq!(ids(&stream_of(&*store, &stream).await?), [id(1)]);
    Ok(())
}

/// *Nothing stays open*, wherever a begin, a write or a commit is dropped.
pub(super) async fn a_transaction_dropped_at_any_point_ends(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for round in 0..12_u32 {
        let stream = stream::account(round)?;
        let batch = batch::deposits(round * 10 + 1, 3)?;
        if round % 3 == 0 {
            some_polls(store.context(), round / 3).await;
        }
        let context = store.context().await?;
        if round % 3 == 1 {
            some_polls(context.write(&stream, &batch, ExpectedVersion::Any), round / 3).await;
            drop(context);
        } else {
            context.write(&stream, &batch, ExpectedVersion::Any).await?;
            some_polls(context.commit().boxed(), round / 3).await;
        }
        // Others can write, and there is all of it or nothing.
        write(&*store, &stream, &[deposited(round * 10 + 9)?]).await?;
        let found = stream_of(&*store, &stream).await?.len();
        assert!(found == 1 || (found == 4 && round % 3 != 1), "{found} in round {round}");
    }
    Ok(())
}

async fn some_polls<T>(mut future: BoxFuture<'_, T>, times: u32) {
    for _ in 0..times {
        if futures::poll!(&mut future).is_ready() {
            break;
        }
        take_turns().await;
    }
}
