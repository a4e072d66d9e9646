//! What a message holds when it comes back: data, type, metadata and time.
//!
//! Data and metadata are compared as JSON values, for a store may keep them in a form of its own.

use evenfold_core::Error;
use evenfold_core::message::{Metadata, Recorded};
use evenfold_core::store::{CategoryQuery, MessageStore};
use time::UtcOffset;

use super::subject::{Subject, category_of, ids, stream_of, there, write};
use crate::controls::message::{
    Closed, Deposited, awkward_data, awkward_types, closed, deposited, raw,
};
use crate::controls::{batch, metadata, stream};
use crate::json::json;

/// The only message of a stream.
async fn only(store: &dyn MessageStore, stream: &str) -> Result<Recorded, Error> {
    let mut messages = stream_of(store, &stream.parse()?).await?;
    assert_eq!(messages.len(), 1, "in `{stream}`");
    there(messages.pop(), stream)
}

/// *Content.*
pub(super) async fn data_comes_back_as_it_was_written(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    for (number, (what, data)) in (1..).zip(awkward_data()) {
        write(&*store, &stream::account(number)?, &[raw(number, "Awkward", data.as_str())?])
            .await?;
        let recorded = only(&*store, &format!("account-{number}")).await?;
        // Not `assert_eq!`, which would print a megabyte twice.
        assert!(json(recorded.data())? == json(&data)?, "{what} came back otherwise");
    }
    // In one batch, too.
    let stream = stream::account("batch")?;
    let messages = batch::awkward(1_000)?;
    write(&*store, &stream, &messages).await?;
    for (message, recorded) in messages.iter().zip(stream_of(&*store, &stream).await?) {
        assert!(json(recorded.data())? == json(message.data())?, "{} in a batch", message.id());
    }
    Ok(())
}

/// *Content*: an empty object is stored as nothing and comes back as an empty object.
pub(super) async fn empty_data_comes_back_as_an_empty_object(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &[closed(1)?, raw(2, "Closed", "{}")?, deposited(3)?]).await?;
    let recorded = stream_of(&*store, &stream).await?;
    let data: Vec<_> = recorded.iter().map(Recorded::data).map(json).collect::<Result<_, _>>()?;
    assert_eq!(data, [json("{}")?, json("{}")?, json(r#"{"amount":3}"#)?]);
    for closed in recorded.iter().take(2) {
        assert_eq!(closed.data_json, None, "an empty object is stored as nothing");
        assert_eq!(closed.decode::<Closed>()?, Closed {});
    }
    let last = there(recorded.last(), "the deposit")?;
    assert_eq!(last.decode::<Deposited>()?, Deposited { amount: 3 });
    Ok(())
}

/// *Content.*
pub(super) async fn types_come_back_as_they_were_written(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for (number, message_type) in (1..).zip(awkward_types()) {
        let stream = stream::account(number)?;
        write(&*store, &stream, &[raw(number, message_type.as_str(), "{}")?]).await?;
        let recorded = only(&*store, stream.as_str()).await?;
        assert_eq!(*recorded.message_type, *message_type);
        let last = store.last_message(&stream, Some(&message_type)).await?;
        assert_eq!(last, Some(recorded));
    }
    Ok(())
}

/// *Content*: the keys on the wire are Eventide's.
pub(super) async fn metadata_comes_back_with_every_key(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let message = deposited(1)?.with_metadata(metadata::complete()?);
    write(&*store, &stream::account(1)?, &[message]).await?;
    let recorded = only(&*store, "account-1").await?;
    assert_eq!(recorded.metadata()?, metadata::complete()?);
    let stored = json(recorded.metadata_json.as_deref().unwrap_or_default())?;
    assert_eq!(stored, json(&metadata::complete_json().to_string())?);
    Ok(())
}

/// *Content*: keys that are none of ours are kept.
pub(super) async fn metadata_keys_of_other_clients_come_back(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let message = deposited(1)?.with_metadata(metadata::unknown_keys());
    write(&*store, &stream::account(1)?, &[message]).await?;
    let recorded = only(&*store, "account-1").await?;
    assert_eq!(recorded.metadata()?, metadata::unknown_keys());
    Ok(())
}

/// *Content*: empty metadata is stored as nothing.
pub(super) async fn empty_metadata_is_not_stored(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    write(&*store, &stream::account(1)?, &[deposited(1)?]).await?;
    let recorded = only(&*store, "account-1").await?;
    assert_eq!(recorded.metadata_json, None);
    assert_eq!(recorded.metadata()?, Metadata::default());
    Ok(())
}

/// *Stream page*, *Category page*, *Last message*, *Found by id*: they tell the same of a message.
pub(super) async fn a_message_reads_the_same_however_it_is_asked_for(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let query = CategoryQuery::new(stream::category()?);
    for (number, (_, data)) in (1..).zip(awkward_data()) {
        let stream = stream::account(number)?;
        let message = raw(number, "Awkward", data)?.with_metadata(metadata::complete()?);
        write(&*store, &stream, &[message]).await?;
        let recorded = only(&*store, stream.as_str()).await?;
        let by_id = store.message(recorded.id).await?;
        let last = store.last_message(&stream, None).await?;
        let category = category_of(&*store, &query).await?.pop();
        // Not `assert_eq!`, which would print a megabyte twice.
        assert!(by_id.as_ref() == Some(&recorded), "by its id, `{stream}` reads otherwise");
        assert!(last.as_ref() == Some(&recorded), "as the last, `{stream}` reads otherwise");
        assert!(
            category.as_ref() == Some(&recorded),
            "in its category, `{stream}` reads otherwise"
        );
    }
    Ok(())
}

/// *Content*: the time is the store's, in UTC; nothing is ordered by it.
pub(super) async fn times_are_in_utc(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 3)?).await?;
    let recorded = stream_of(&*store, &stream).await?;
    assert_eq!(ids(&recorded).len(), 3);
    for message in &recorded {
        assert_eq!(message.time.offset(), UtcOffset::UTC);
    }
    assert_eq!(stream_of(&*store, &stream).await?, recorded, "a time changed between two reads");
    Ok(())
}
