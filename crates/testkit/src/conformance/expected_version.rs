//! The law of the expected version: checked in the same step as the write, or nothing is written.
//!
//! The conflict names stream, expected and actual version. Races for one version are in
//! `concurrency.rs`.

use evenfold_core::store::MessageStore;
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};

use super::subject::{Subject, at, position, positions, refused, stream_of, write};
use crate::controls::message::deposited;
use crate::controls::{batch, stream};

/// Writes where it must conflict, and demands that the conflict tells all and wrote nothing.
async fn conflicts(
    store: &dyn MessageStore,
    stream: &StreamName,
    expected: ExpectedVersion,
    actual: Option<Position>,
) -> Result<(), Error> {
    let message = deposited(4_000)?;
    let error = refused(store.write(stream, std::slice::from_ref(&message), expected).await)?;
    assert!(error.is_conflict() && !error.is_exhausted(), "{error:?}");
    let Some(conflict) = error.conflict() else { return Err(error) };
    assert_eq!(conflict.stream(), stream, "the stream of the conflict");
    assert_eq!(conflict.expected(), expected, "what the conflict says was expected");
    assert_eq!(conflict.actual(), actual, "the actual version of the conflict");
    assert_eq!(store.stream_version(stream).await?, actual, "the conflict wrote something");
    assert_eq!(store.message(message.id()).await?, None, "the conflict wrote something");
    Ok(())
}

/// *Expected version.*
pub(super) async fn a_stream_without_messages_is_no_stream(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let written = store.write(&stream, &[deposited(1)?], ExpectedVersion::NoStream).await?;
    assert_eq!(written.last(), Position::START);
    Ok(())
}

/// *Expected version.*
pub(super) async fn a_write_at_the_expected_version_succeeds(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for number in 0..5 {
        let expected = ExpectedVersion::from(store.stream_version(&stream).await?);
        let written = store.write(&stream, &[deposited(number)?], expected).await?;
        assert_eq!(written.last(), position(number.into())?, "expected {expected}");
    }
    Ok(())
}

/// *Expected version*: any holds.
pub(super) async fn a_write_that_expects_nothing_succeeds_anywhere(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for number in 0..3 {
        store.write(&stream, &[deposited(number)?], ExpectedVersion::Any).await?;
    }
    assert_eq!(positions(&stream_of(&*store, &stream).await?), [0, 1, 2]);
    Ok(())
}

/// *Expected version*: the conflict of no stream.
pub(super) async fn a_stream_that_is_there_conflicts_with_no_stream(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 3)?).await?;
    conflicts(&*store, &stream, ExpectedVersion::NoStream, Some(position(2)?)).await
}

/// *Expected version*: the conflict of a version that was left behind.
pub(super) async fn a_write_at_a_stale_version_is_a_conflict(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 3)?).await?;
    for stale in [0, 1] {
        conflicts(&*store, &stream, at(stale)?, Some(position(2)?)).await?;
    }
    Ok(())
}

/// *Expected version*: the conflict of a version in the future.
pub(super) async fn a_write_at_a_version_not_yet_reached_is_a_conflict(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 3)?).await?;
    for ahead in [3, 4, i64::MAX] {
        conflicts(&*store, &stream, at(ahead)?, Some(position(2)?)).await?;
    }
    Ok(())
}

/// *Expected version*: the conflict of a stream that is not there, also at position 0.
pub(super) async fn a_write_at_a_version_of_a_missing_stream_is_a_conflict(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    write(&*store, &stream::account(2)?, &[deposited(1)?]).await?;
    for missing in [0, 1, i64::MAX] {
        conflicts(&*store, &stream::account(1)?, at(missing)?, None).await?;
    }
    Ok(())
}

/// *Expected version*, of a batch: it holds before the first message.
pub(super) async fn a_batch_is_checked_once_against_the_version_before_it(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    store.write(&stream, &batch::deposits(1, 3)?, ExpectedVersion::NoStream).await?;
    let written = store.write(&stream, &batch::deposits(4, 3)?, at(2)?).await?;
    assert_eq!(written.last(), position(5)?);
    Ok(())
}

/// *Expected version*, of a batch: none of it is written.
pub(super) async fn a_conflict_writes_nothing(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 2)?).await?;
    // At(0) is the version before the second message of the batch, were the first written.
    for expected in [ExpectedVersion::NoStream, at(0)?, at(2)?, at(3)?] {
        let error = refused(store.write(&stream, &batch::deposits(10, 3)?, expected).await)?;
        assert!(error.is_conflict(), "{error:?}");
        assert_eq!(positions(&stream_of(&*store, &stream).await?), [0, 1], "{expected}");
    }
    // The ids are free, so the conflict has not half taken them.
    let written = store.write(&stream, &batch::deposits(10, 3)?, at(1)?).await?;
    assert!(!written.is_repetition());
    Ok(())
}

/// *Expected version*, of one stream alone.
pub(super) async fn the_version_of_other_streams_does_not_count(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    write(&*store, &stream::account(12)?, &batch::deposits(1, 4)?).await?;
    write(&*store, &stream::category_alone()?, &batch::deposits(5, 2)?).await?;
    let stream = stream::account(1)?;
    store.write(&stream, &[deposited(7)?], ExpectedVersion::NoStream).await?;
    store.write(&stream, &[deposited(8)?], at(0)?).await?;
    Ok(())
}

/// *Expected version*, of a stream without an id.
pub(super) async fn a_category_alone_has_a_version_of_its_own(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let alone = stream::category_alone()?;
    write(&*store, &stream::account(1)?, &batch::deposits(1, 3)?).await?;
    store.write(&alone, &[deposited(4)?], ExpectedVersion::NoStream).await?;
    store.write(&alone, &[deposited(5)?], at(0)?).await?;
    conflicts(&*store, &alone, at(0)?, Some(position(1)?)).await
}
