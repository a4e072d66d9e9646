//! The laws of writing: atomic batch, gapless stream, what is refused at the edge.
//!
//! What a write expects is in `expected_version.rs`, what it repeats in `idempotent_id.rs`.

use evenfold_core::Error;
use evenfold_core::store::CategoryQuery;

use super::subject::{
    Subject, category_of, ids, new_ids, paged_stream, position, positions, refused, rises,
    stream_of, streams, write,
};
use crate::controls::message::{deposited, withdrawn};
use crate::controls::{batch, stream};

/// *Atomic batch.*
pub(super) async fn a_batch_stands_at_consecutive_positions_in_its_order(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for (first, count) in [(1000, 1), (2000, 2), (3000, 100)] {
        let stream = stream::account(count)?;
        // Written in an order that is not that of the ids.
        let mut messages = batch::deposits(first, count)?;
        messages.reverse();
        let written = write(&*store, &stream, &messages).await?;
        let recorded = stream_of(&*store, &stream).await?;
        assert_eq!(ids(&recorded), new_ids(&messages), "a batch of {count}");
        let to: Vec<_> = (0..i64::from(count)).collect();
        assert_eq!(positions(&recorded), to, "a batch of {count}");
        assert_eq!(written.last(), position(i64::from(count) - 1)?, "a batch of {count}");
        assert!(!written.is_repetition() && rises(&recorded), "a batch of {count}");
    }
    Ok(())
}

/// *Atomic batch.*
pub(super) async fn a_batch_above_the_size_of_a_page_lands_whole(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let messages = batch::deposits(1, 2500)?;
    let written = write(&*store, &stream, &messages).await?;
    assert_eq!(written.last(), position(2499)?);
    let recorded = paged_stream(&*store, &stream, 1000).await?;
    assert_eq!(ids(&recorded), new_ids(&messages));
    Ok(())
}

/// *Atomic batch*, when the fault shows only at its end.
pub(super) async fn a_batch_with_one_message_that_cannot_be_written_lands_not_at_all(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (taken, stream) = (stream::account("taken")?, stream::account(1)?);
    write(&*store, &taken, &[deposited(9)?]).await?;
    write(&*store, &stream, &[deposited(1)?]).await?;

    let batch = [deposited(2)?, deposited(3)?, withdrawn(9)?];
    let error = refused(write(&*store, &stream, &batch).await)?;
    assert!(error.is_duplicate_id(), "{error:?}");
    assert_eq!(stream_of(&*store, &stream).await?.len(), 1, "part of the batch was written");
    let category = category_of(&*store, &CategoryQuery::new(stream::category()?)).await?;
    assert_eq!(category.len(), 2, "part of the batch stands in the category");
    for message in [deposited(2)?, deposited(3)?] {
        assert_eq!(
            store.message(message.id()).await?,
            None,
            "part of the batch is found by its id"
        );
    }
    Ok(())
}

/// *Gapless stream.*
pub(super) async fn a_stream_begins_at_zero_and_has_no_gap(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let mut number = 1;
    for count in [1, 3, 1, 1, 5] {
        let written = write(&*store, &stream, &batch::deposits(number, count)?).await?;
        number += count;
        assert_eq!(written.last(), position(i64::from(number) - 2)?);
    }
    let recorded = stream_of(&*store, &stream).await?;
    assert_eq!(positions(&recorded), (0..11).collect::<Vec<_>>());
    Ok(())
}

/// *Gapless stream.*
pub(super) async fn streams_count_their_positions_apart(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (one, other) = (stream::account(1)?, stream::account(2)?);
    for (number, stream) in (1..).zip([&one, &other, &other, &one, &other]) {
        write(&*store, stream, &[deposited(number)?]).await?;
    }
    assert_eq!(positions(&stream_of(&*store, &one).await?), [0, 1]);
    assert_eq!(positions(&stream_of(&*store, &other).await?), [0, 1, 2]);
    Ok(())
}

/// *Gapless stream*, of a stream without an id.
pub(super) async fn a_stream_named_by_a_category_alone_can_be_written(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let alone = stream::category_alone()?;
    write(&*store, &alone, &[deposited(1)?]).await?;
    write(&*store, &stream::account(1)?, &[deposited(2)?]).await?;
    let written = write(&*store, &alone, &[deposited(3)?]).await?;
    assert_eq!(written.last(), position(1)?);
    Ok(())
}

/// *Gapless stream*: a name that looks like another is another stream.
pub(super) async fn every_stream_is_known_by_its_whole_name(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let names = stream::awkward()?;
    for (number, name) in (1..).zip(&names) {
        let written = write(&*store, name, &[deposited(number)?]).await?;
        assert_eq!(written.last(), position(0)?, "`{name}` was taken for another stream");
    }
    for (number, name) in (1..).zip(&names) {
        let recorded = stream_of(&*store, name).await?;
        assert_eq!(ids(&recorded), [deposited(number)?.id()], "`{name}`");
        assert_eq!(streams(&recorded), [name.as_str()]);
    }
    Ok(())
}

/// *Commit order*, of writes one after another.
pub(super) async fn global_positions_begin_above_zero_and_rise(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let mut recorded = Vec::new();
    for (number, name) in
        (1..).zip(["account-1", "transfer-1", "account-2", "account", "account-1"])
    {
        let message = deposited(number)?;
        write(&*store, &name.parse()?, std::slice::from_ref(&message)).await?;
        recorded.extend(store.message(message.id()).await?);
    }
    assert_eq!(recorded.len(), 5);
    assert!(rises(&recorded), "{recorded:?}");
    assert!(recorded.iter().all(|message| message.global_position.get() > 0), "{recorded:?}");
    Ok(())
}

/// *Gapless stream*, also after a duplicate id and a conflict.
pub(super) async fn a_refused_write_leaves_no_gap_in_the_stream(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &[deposited(1)?]).await?;
    refused(write(&*store, &stream, &[deposited(2)?, withdrawn(1)?]).await)?;
    let expected = super::subject::at(7)?;
    refused(store.write(&stream, &[deposited(3)?], expected).await)?;
    write(&*store, &stream, &[deposited(4)?]).await?;
    assert_eq!(positions(&stream_of(&*store, &stream).await?), [0, 1]);
    Ok(())
}

/// *Refused at the edge.*
pub(super) async fn an_empty_batch_is_invalid(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for expected in [super::subject::at(3)?, evenfold_core::ExpectedVersion::Any] {
        let error = refused(store.write(&stream, &[], expected).await)?;
        assert!(error.is_invalid(), "{error:?}");
    }
    assert_eq!(store.stream_version(&stream).await?, None);
    Ok(())
}

/// *Refused at the edge.*
pub(super) async fn a_batch_with_an_id_twice_is_invalid(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let twice = batch::with_an_id_twice(1)?;
    let error = refused(write(&*store, &stream, &twice).await)?;
    assert!(error.is_invalid(), "{error:?}");
    assert_eq!(stream_of(&*store, &stream).await?, []);

    // Also where the message is there already, so that it could be taken for a repetition.
    write(&*store, &stream, &[deposited(1)?]).await?;
    let error = refused(write(&*store, &stream, &[deposited(1)?, deposited(1)?]).await)?;
    assert!(error.is_invalid(), "{error:?}");
    assert_eq!(stream_of(&*store, &stream).await?.len(), 1);
    Ok(())
}
