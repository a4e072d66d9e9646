//! What only some backends can do: keep what was written, and share a store between processes.
//!
//! A law here names the ability it needs in `laws.rs`; a store that does not declare it is skipped.

use std::sync::Arc;

use evenfold_core::store::{Ability, CategoryQuery, MessageStore};
use evenfold_core::{Error, ExpectedVersion};
use futures::FutureExt;

use super::concurrency::{read_while_written, succeed_once};
use super::leases::{LONG, group, member};
use super::progress::of_category;
use super::subject::{Subject, at, category_of, refused, stream_of, write};
use crate::controls::message::{deposited, withdrawn};
use crate::controls::{batch, id, metadata, stream};

/// *Declared abilities.*
pub(super) async fn a_store_names_itself_and_each_ability_once(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    assert!(!store.name().is_empty(), "a store has a name");
    for ability in Ability::ALL {
        let declared = store.abilities().iter().filter(|declared| **declared == ability).count();
        assert!(declared <= 1, "{ability} is declared {declared} times");
    }
    Ok(())
}

/// *Declared abilities*: what is not declared is refused, by the name of the ability.
pub(super) async fn a_store_has_leases_or_says_that_it_lacks_them(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (group, one) = (group(2)?, member(1));
    let lacking = (!store.abilities().contains(&Ability::Leases)).then_some(Ability::Leases);
    for answer in [
        store.renew_leases(&group, &one, LONG).await.map(drop),
        store.release_leases(&group, one.id, &[0]).await,
        store.leave_group(&group, one.id).await,
        store.group_members(&group).await.map(drop),
    ] {
        assert_eq!(answer.as_ref().err().and_then(Error::lacks), lacking, "{answer:?}");
    }
    Ok(())
}

/// *No false success*: a context that was not used changes nothing, however it ends.
pub(super) async fn a_context_leaves_the_store_usable_however_it_ends(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    for number in 0..5 {
        drop(store.context().await?);
        store.context().await?.commit().await?;
        write(&*store, &stream, &[deposited(number)?]).await?;
    }
    drop(store.context());
    assert_eq!(stream_of(&*store, &stream).await?.len(), 5);
    Ok(())
}

async fn fill(store: &dyn MessageStore) -> Result<(), Error> {
    let message = deposited(1)?.with_metadata(metadata::complete()?);
    store.write(&stream::account(1)?, &[message], ExpectedVersion::NoStream).await?;
    write(store, &stream::account(2)?, &batch::awkward(100)?).await?;
    store.record_progress(&of_category("teller")?, 17, id(9)).await
}

/// *Declared abilities*: durable.
pub(super) async fn a_store_opened_again_has_everything(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let query = CategoryQuery::new(stream::category()?);
    let store = subject.open().await?;
    fill(&*store).await?;
    let before = category_of(&*store, &query).await?;
    drop(store);

    let store = subject.open().await?;
    let after = category_of(&*store, &query).await?;
    assert!(before.len() > 1 && before == after, "what was written came back otherwise");
    assert_eq!(store.read_progress(&of_category("teller")?).await?, Some(17));
    let listed = store.categories(None, super::subject::limit(10)?).await?;
    assert_eq!(listed.len(), 2, "account and account:position");

    // Positions go on where they were.
    store.write(&stream::account(1)?, &[deposited(2)?], at(0)?).await?;
    let all = category_of(&*store, &query).await?;
    assert!(super::subject::rises(&all) && all.len() == before.len() + 1);
    Ok(())
}

/// *Declared abilities*: durable, so that a writer who lost the reply in a crash may ask again.
pub(super) async fn a_store_opened_again_knows_what_was_written(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(1)?;
    store.write(&stream, &[deposited(1)?], ExpectedVersion::NoStream).await?;
    drop(store);

    let store = subject.open().await?;
    let again = store.write(&stream, &[deposited(1)?], ExpectedVersion::NoStream).await?;
    assert!(again.is_repetition());
    let error = refused(write(&*store, &stream, &[withdrawn(1)?]).await)?;
    assert!(error.is_duplicate_id(), "{error:?}");
    let error = refused(store.write(&stream, &[deposited(2)?], ExpectedVersion::NoStream).await)?;
    assert!(error.is_conflict(), "{error:?}");
    Ok(())
}

async fn two(subject: &Subject<'_>) -> Result<[Arc<dyn MessageStore>; 2], Error> {
    Ok([subject.open().await?, subject.open().await?])
}

/// *Declared abilities*: shared by processes.
pub(super) async fn two_openings_see_each_others_writes(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let [one, other] = two(subject).await?;
    let stream = stream::account(1)?;
    for number in 0..6 {
        let (writer, reader) = if number % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let expected = ExpectedVersion::from(writer.stream_version(&stream).await?);
        writer.write(&stream, &[deposited(number)?], expected).await?;
        let seen = stream_of(&**reader, &stream).await?;
        assert_eq!(seen.last().map(|message| message.id), Some(id(number.into())));
        let again = reader.write(&stream, &[deposited(number)?], expected).await?;
        assert!(again.is_repetition());
        let stale = refused(reader.write(&stream, &[deposited(90)?], expected).await)?;
        assert!(stale.is_conflict(), "{stale:?}");
        reader
            .record_progress(&of_category("teller")?, number.into(), id(50 + u64::from(number)))
            .await?;
        assert_eq!(writer.read_progress(&of_category("teller")?).await?, Some(number.into()));
    }
    Ok(())
}

/// *One writer at a time*, of two processes.
pub(super) async fn of_writers_of_two_openings_one_succeeds(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let stores = two(subject).await?;
    succeed_once(subject, &stores).await
}

/// *Commit order*, as another process sees it.
pub(super) async fn a_reader_of_another_opening_misses_nothing(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let [writer, reader] = two(subject).await?;
    read_while_written(subject, &writer, &reader).boxed().await
}
