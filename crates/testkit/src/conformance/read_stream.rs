//! The laws of reading a stream: pages by position, the last message, the version.
//!
//! What a message holds when it comes back is in `content.rs`.

use std::sync::Arc;

use evenfold_core::store::MessageStore;
use evenfold_core::{Error, StreamName};

use super::subject::{
    Subject, ids, limit, new_ids, paged_stream, position, positions, refused, stream_of, write,
};
use crate::controls::message::{closed, deposited, withdrawn};
use crate::controls::{batch, id, stream};

/// A store with a stream of so many messages, whose ids count from 1, beside another stream.
async fn with_stream(
    subject: &Subject<'_>,
    count: u32,
) -> Result<(Arc<dyn MessageStore>, StreamName), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for half in [1..=count / 2, count / 2 + 1..=count] {
        let batch = half.map(deposited).collect::<Result<Vec<_>, _>>()?;
        if !batch.is_empty() {
            write(&*store, &stream, &batch).await?;
        }
        let other = deposited(10_000 + u32::try_from(batch.len()).unwrap_or_default())?;
        write(&*store, &stream::account(2)?, &[other]).await?;
    }
    Ok((store, stream))
}

/// *Stream page*: from the position asked for, that one too.
pub(super) async fn a_page_of_a_stream_begins_at_the_position_asked_for(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, stream) = with_stream(subject, 5).await?;
    for from in 0..5 {
        let page = store.read_stream(&stream, position(from)?, limit(100)?).await?;
        assert_eq!(positions(&page), (from..5).collect::<Vec<_>>(), "from {from}");
    }
    Ok(())
}

/// *Stream page*: to the limit.
pub(super) async fn a_page_of_a_stream_ends_at_its_limit(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, stream) = with_stream(subject, 5).await?;
    for (from, most, end) in [(0, 1, 1), (0, 4, 4), (0, 5, 5), (0, 6, 5), (2, 2, 4), (4, 1, 5)] {
        let page = store.read_stream(&stream, position(from)?, limit(most)?).await?;
        assert_eq!(positions(&page), (from..end).collect::<Vec<_>>(), "{most} from {from}");
    }
    let page = store.read_stream(&stream, position(0)?, limit(1_000_000)?).await?;
    assert_eq!(page.len(), 5, "the largest limit there is");
    Ok(())
}

/// *Stream page*: where there is nothing after it.
pub(super) async fn a_page_of_a_stream_past_its_end_is_empty(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, stream) = with_stream(subject, 5).await?;
    for past in [5, 6, 1_000, i64::MAX] {
        assert_eq!(store.read_stream(&stream, position(past)?, limit(10)?).await?, [], "{past}");
    }
    Ok(())
}

/// *Stream page*, of a stream that is not there.
pub(super) async fn a_page_of_a_missing_stream_is_empty(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    assert_eq!(stream_of(&*store, &stream::account(1)?).await?, []);
    write(&*store, &stream::account(12)?, &[deposited(1)?]).await?;
    assert_eq!(stream_of(&*store, &stream::account(1)?).await?, []);
    Ok(())
}

/// *Stream page*: it holds one stream, however alike the names are.
pub(super) async fn a_page_of_a_stream_holds_no_other_stream(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let names = stream::awkward()?;
    let mut number = 0;
    for name in names.iter().chain(&names) {
        number += 1;
        write(&*store, name, &[deposited(number)?]).await?;
    }
    for name in &names {
        let page = stream_of(&*store, name).await?;
        assert_eq!(positions(&page), [0, 1], "`{name}`");
        assert!(page.iter().all(|message| message.stream_name == *name), "`{name}`: {page:?}");
    }
    Ok(())
}

/// *Stream page*: page by page nothing is missed and nothing comes twice.
pub(super) async fn the_pages_of_a_stream_hold_it_whole(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    // A number that 7 divides, so that the last page is full.
    let (store, stream) = with_stream(subject, 49).await?;
    for page in [1, 7, 48, 49, 50, 1000] {
        let paged = paged_stream(&*store, &stream, page).await?;
        assert_eq!(ids(&paged), (1..=49).map(id).collect::<Vec<_>>(), "in pages of {page}");
    }
    Ok(())
}

/// *Category is no stream.*
pub(super) async fn reading_a_stream_by_the_name_of_a_category_is_invalid(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let alone = stream::category_alone()?;
    for number in 1..=2 {
        let error = refused(stream_of(&*store, &alone).await)?;
        assert!(error.is_invalid(), "{error:?}");
        // So too when there is a stream of that very name.
        write(&*store, &alone, &[deposited(number)?]).await?;
    }
    Ok(())
}

/// *Last message.*
pub(super) async fn the_last_message_is_the_one_at_the_end(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (stream, other) = (stream::account(1)?, stream::account(12)?);
    assert_eq!(store.last_message(&stream, None).await?, None);
    for number in 1..=3 {
        write(&*store, &stream, &[deposited(number)?]).await?;
        write(&*store, &other, &[deposited(10 + number)?]).await?;
        let last = store.last_message(&stream, None).await?;
        assert_eq!(last.map(|message| message.id), Some(deposited(number)?.id()));
    }
    write(&*store, &stream, &batch::mixed(4)?).await?;
    let last = store.last_message(&stream, None).await?;
    assert_eq!(last.map(|message| message.position.get()), Some(5));
    Ok(())
}

/// *Last message*, of a type.
pub(super) async fn the_last_message_of_a_type_is_found_behind_others(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let messages = [deposited(1)?, deposited(2)?, withdrawn(3)?, deposited(4)?, withdrawn(5)?];
    write(&*store, &stream, &messages).await?;
    write(&*store, &stream::account(2)?, &[closed(6)?]).await?;
    for (of_type, found) in [
        ("Deposited", Some(3)),
        ("Withdrawn", Some(4)),
        ("Closed", None),
        ("deposited", None),
        ("Deposit%", None),
        ("", None),
    ] {
        let last = store.last_message(&stream, Some(of_type)).await?;
        assert_eq!(last.map(|message| message.position.get()), found, "of type `{of_type}`");
    }
    assert_eq!(store.last_message(&stream::account(3)?, Some("Deposited")).await?, None);
    Ok(())
}

/// *Last message*, of a stream that is named by a category alone.
pub(super) async fn a_category_alone_has_a_last_message(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let alone = stream::category_alone()?;
    write(&*store, &stream::account(1)?, &[deposited(1)?]).await?;
    assert_eq!(store.last_message(&alone, None).await?, None, "that of a stream with an id");
    write(&*store, &alone, &[deposited(2)?, withdrawn(3)?]).await?;
    write(&*store, &stream::account(1)?, &[deposited(4)?]).await?;
    let last = store.last_message(&alone, None).await?;
    assert_eq!(last.map(|message| message.id), Some(withdrawn(3)?.id()));
    let last = store.last_message(&alone, Some("Deposited")).await?;
    assert_eq!(last.map(|message| message.id), Some(deposited(2)?.id()));
    Ok(())
}

/// *Stream version.*
pub(super) async fn the_version_is_the_position_of_the_last_message(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for stream in [stream::account(1)?, stream::category_alone()?] {
        assert_eq!(store.stream_version(&stream).await?, None);
    }
    let mixed = batch::mixed(1)?;
    write(&*store, &stream::account(1)?, &mixed).await?;
    assert_eq!(store.stream_version(&stream::account(1)?).await?, Some(position(2)?));
    assert_eq!(store.stream_version(&stream::account(12)?).await?, None);
    assert_eq!(store.stream_version(&stream::category_alone()?).await?, None);

    write(&*store, &stream::category_alone()?, &[deposited(9)?]).await?;
    assert_eq!(store.stream_version(&stream::category_alone()?).await?, Some(position(0)?));
    let found = stream_of(&*store, &stream::account(1)?).await?;
    assert_eq!(ids(&found), new_ids(&mixed));
    Ok(())
}
