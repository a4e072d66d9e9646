//! The law of the idempotent id: the same message again is success, another under its id is not.
//!
//! By it a writer who lost the reply settles whether it had written.

use evenfold_core::error::DuplicateId;
use evenfold_core::message::NewMessage;
use evenfold_core::store::MessageStore;
use evenfold_core::{Error, ExpectedVersion, StreamName};

use super::subject::{Subject, at, position, positions, refused, stream_of, write};
use crate::controls::message::{deposited, raw, withdrawn};
use crate::controls::{batch, metadata, stream};

/// Writes what must be refused for an id that is taken, there, and demands that nothing is written.
async fn is_taken(
    store: &dyn MessageStore,
    stream: &StreamName,
    messages: &[NewMessage],
    by: (&NewMessage, &StreamName, i64),
) -> Result<(), Error> {
    let before = store.stream_version(stream).await?;
    let error = refused(write(store, stream, messages).await)?;
    assert!(error.is_duplicate_id() && !error.is_conflict(), "{error:?}");
    let taken = DuplicateId::new(by.0.id(), by.1.clone(), position(by.2)?);
    assert_eq!(error.duplicate_id(), Some(&taken), "which id is taken, and where");
    assert_eq!(store.stream_version(stream).await?, before, "something was written");
    Ok(())
}

/// *Idempotent id.*
pub(super) async fn a_write_made_twice_is_a_repetition(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for messages in [vec![deposited(1)?], batch::mixed(2)?, batch::deposits(10, 100)?] {
        let first = write(&*store, &stream, &messages).await?;
        let version = store.stream_version(&stream).await?;
        let again = write(&*store, &stream, &messages).await?;
        assert!(!first.is_repetition() && again.is_repetition(), "{first:?}, then {again:?}");
        assert_eq!(first.last(), again.last());
        assert_eq!(store.stream_version(&stream).await?, version, "it was written twice");
    }
    Ok(())
}

/// *Idempotent id*, whatever version it expects.
pub(super) async fn a_repetition_has_its_first_positions_whatever_it_expects(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let messages = batch::deposits(1, 3)?;
    store.write(&stream, &messages, ExpectedVersion::NoStream).await?;
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Any, at(0)?, at(2)?, at(99)?] {
        let again = store.write(&stream, &messages, expected).await?;
        assert!(again.is_repetition(), "expecting {expected}");
        assert_eq!(again.last(), position(2)?, "expecting {expected}");
    }
    assert_eq!(stream_of(&*store, &stream).await?.len(), 3);
    Ok(())
}

/// *Idempotent id*: the lost reply, asked for late.
pub(super) async fn a_repetition_is_found_behind_later_messages(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let first = [deposited(1)?];
    store.write(&stream, &first, ExpectedVersion::NoStream).await?;
    write(&*store, &stream, &batch::deposits(2, 5)?).await?;
    let again = store.write(&stream, &first, ExpectedVersion::NoStream).await?;
    assert!(again.is_repetition());
    assert_eq!(again.last(), position(0)?);
    Ok(())
}

/// *Idempotent id*: all of its messages are written already, one after another.
pub(super) async fn part_of_a_batch_written_again_is_a_repetition(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 4)?).await?;
    for (first, count, last) in [(1, 2, 1), (2, 2, 2), (4, 1, 3)] {
        let again = write(&*store, &stream, &batch::deposits(first, count)?).await?;
        assert!(again.is_repetition(), "{count} from {first}");
        assert_eq!(again.last(), position(last)?, "{count} from {first}");
    }
    Ok(())
}

/// *Idempotent id*: all of its messages are written already, one after another.
pub(super) async fn two_writes_written_again_as_one_batch_are_a_repetition(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &[deposited(1)?]).await?;
    write(&*store, &stream, &[deposited(2)?]).await?;
    let again = write(&*store, &stream, &batch::deposits(1, 2)?).await?;
    assert!(again.is_repetition());
    assert_eq!(again.last(), position(1)?);
    Ok(())
}

/// *Idempotent id*: keys in any order, any white space and any form of a number are one content.
pub(super) async fn content_is_compared_as_json(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for (number, (one, other)) in (1..).zip([
        (
            r#"{"b":1,"a":{"d":[1,2],"c":"ü"}}"#,
            "{ \"a\": {\"c\": \"\\u00fc\", \"d\":[1, 2]}, \"b\":1 }",
        ),
        ("{}", "{ }"),
        (r#"{"amount":1e16}"#, r#"{"amount":10000000000000000}"#),
        (r#"{"amount":1E2}"#, r#"{"amount":100}"#),
        (r#"{"amount":1.10}"#, r#"{"amount":1.1}"#),
    ]) {
        write(&*store, &stream, &[raw(number, "Told", one)?]).await?;
        for again in [one, other] {
            let again = write(&*store, &stream, &[raw(number, "Told", again)?]).await;
            assert!(
                again.as_ref().is_ok_and(evenfold_core::store::Written::is_repetition),
                "{one} as {other}: {again:?}"
            );
        }
    }
    // An equal text is not an equal type, nor is a null an absent key.
    for (number, (one, other)) in (11..).zip([
        (r#"{"amount":1}"#, r#"{"amount":"1"}"#),
        (r#"{"amount":null}"#, "{}"),
        (r#"{"list":[1,2]}"#, r#"{"list":[2,1]}"#),
        (r#"{"amount":9007199254740993}"#, r#"{"amount":9007199254740992}"#),
    ]) {
        write(&*store, &stream, &[raw(number, "Told", one)?]).await?;
        let error = refused(write(&*store, &stream, &[raw(number, "Told", other)?]).await)?;
        assert!(error.is_duplicate_id(), "{one} as {other}: {error:?}");
    }
    Ok(())
}

/// *Idempotent id*: stream, type and data are the content.
pub(super) async fn other_metadata_is_no_other_content(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let first = deposited(1)?.with_metadata(metadata::complete()?);
    write(&*store, &stream, &[first]).await?;
    for other in [deposited(1)?, deposited(1)?.with_metadata(metadata::unknown_keys())] {
        assert!(write(&*store, &stream, &[other]).await?.is_repetition());
    }
    // What was written first stays.
    let recorded = stream_of(&*store, &stream).await?;
    let kept: Vec<_> = recorded
        .iter()
        .map(evenfold_core::message::Recorded::metadata)
        .collect::<Result<_, _>>()?;
    assert_eq!(kept, [metadata::complete()?]);
    Ok(())
}

/// *Idempotent id*: an id is taken.
pub(super) async fn an_id_taken_by_other_data_is_a_duplicate(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let by = deposited(2)?;
    write(&*store, &stream, &[deposited(1)?, by.clone()]).await?;
    let other = raw(2, "Deposited", r#"{"amount":3}"#)?;
    is_taken(&*store, &stream, &[other], (&by, &stream, 1)).await
}

/// *Idempotent id*: an id is taken.
pub(super) async fn an_id_taken_by_another_type_is_a_duplicate(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let by = deposited(1)?;
    write(&*store, &stream, std::slice::from_ref(&by)).await?;
    is_taken(&*store, &stream, &[withdrawn(1)?], (&by, &stream, 0)).await
}

/// *Idempotent id*: an id is taken.
pub(super) async fn an_id_taken_in_another_stream_is_a_duplicate(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let there = stream::account(1)?;
    let by = deposited(1)?;
    write(&*store, &there, std::slice::from_ref(&by)).await?;
    for here in ["account-2", "account", "account:command-1", "transfer-1"] {
        is_taken(&*store, &here.parse()?, std::slice::from_ref(&by), (&by, &there, 0)).await?;
    }
    Ok(())
}

/// *Idempotent id*: an id is taken by another batch.
pub(super) async fn a_batch_that_is_known_in_part_is_a_duplicate(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    let by = deposited(2)?;
    write(&*store, &stream, std::slice::from_ref(&by)).await?;
    for batch in [
        vec![by.clone(), deposited(3)?],
        vec![deposited(1)?, by.clone()],
        vec![deposited(1)?, by.clone(), deposited(3)?],
    ] {
        is_taken(&*store, &stream, &batch, (&by, &stream, 0)).await?;
    }
    for unknown in [deposited(1)?, deposited(3)?] {
        assert_eq!(store.message(unknown.id()).await?, None);
    }
    Ok(())
}

/// *Idempotent id*: one after another, in the order given.
pub(super) async fn a_batch_in_another_order_is_a_duplicate(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 2)?).await?;
    let error = refused(write(&*store, &stream, &[deposited(2)?, deposited(1)?]).await)?;
    assert!(error.is_duplicate_id(), "{error:?}");
    assert_eq!(positions(&stream_of(&*store, &stream).await?), [0, 1]);
    Ok(())
}

/// *Idempotent id*: one after another, with none between.
pub(super) async fn a_batch_whose_messages_stand_apart_is_a_duplicate(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &batch::deposits(1, 3)?).await?;
    let error = refused(write(&*store, &stream, &[deposited(1)?, deposited(3)?]).await)?;
    assert!(error.is_duplicate_id(), "{error:?}");
    assert_eq!(stream_of(&*store, &stream).await?.len(), 3);
    Ok(())
}

/// *Idempotent id*: ids are looked up before a conflict is reported.
pub(super) async fn a_duplicate_id_is_told_before_a_conflict(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    write(&*store, &stream, &[deposited(1)?]).await?;
    for expected in [ExpectedVersion::NoStream, at(5)?] {
        let error = refused(store.write(&stream, &[withdrawn(1)?], expected).await)?;
        assert!(error.is_duplicate_id() && !error.is_conflict(), "{error:?}");
    }
    Ok(())
}
