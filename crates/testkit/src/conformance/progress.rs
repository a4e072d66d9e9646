//! The laws of progress: what was recorded last is what is read, in the form of Eventide.
//!
//! What cannot be read as progress is in `unreadable_progress.rs`.

use evenfold_core::store::{
    Began, CategoryQuery, ConsumerGroup, MessageStore, Progress, ProgressStream, Standing,
    SubscriberId,
};
use evenfold_core::{Category, Error};
use futures::FutureExt;

use super::subject::{Subject, at, category_of, refused, stream_of, streams, there, write};
use crate::controls::message::{deposited, raw};
use crate::controls::{id, stream};
use crate::json::json;

/// The position stream of a subscriber of the category `account`.
pub(super) fn of_category(subscriber: &str) -> Result<ProgressStream, Error> {
    let subscriber = SubscriberId::new(subscriber)?;
    Ok(ProgressStream::of_category(&stream::category()?, &subscriber, None))
}

/// The position stream of a member of a group that shares the category `account`.
fn of_member(subscriber: &str, member: i64, size: i64) -> Result<ProgressStream, Error> {
    let group = ConsumerGroup::new(member, size)?;
    let subscriber = SubscriberId::new(subscriber)?;
    Ok(ProgressStream::of_category(&stream::category()?, &subscriber, Some(group)))
}

/// The position stream of a subscriber of the stream `account-123`.
pub(super) fn of_stream(subscriber: &str) -> Result<ProgressStream, Error> {
    let subscriber = SubscriberId::new(subscriber)?;
    Ok(ProgressStream::of_stream(&stream::account(123)?, &subscriber)?)
}

/// Records a place of its own for each, and demands that each reads its own.
async fn keep_apart(store: &dyn MessageStore, all: &[ProgressStream]) -> Result<(), Error> {
    for (number, of) in (1..).zip(all) {
        assert_eq!(store.read_progress(of).await?, None, "{}", of.stream());
        store.record_progress(of, 100 + number, id(number.unsigned_abs())).await?;
    }
    for (number, of) in (1..).zip(all) {
        assert_eq!(store.read_progress(of).await?, Some(100 + number), "{}", of.stream());
    }
    Ok(())
}

/// *Absent is the start.*
pub(super) async fn a_subscriber_that_has_not_begun_has_no_progress(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    write(&*store, &stream::account(123)?, &[deposited(1)?]).await?;
    for of in [of_category("teller")?, of_member("teller", 0, 2)?, of_stream("teller")?] {
        assert_eq!(store.read_progress(&of).await?, None, "{}", of.stream());
    }
    Ok(())
}

/// *Progress is read back.*
pub(super) async fn progress_is_read_back_as_it_was_recorded_last(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for (from, of) in [(0, of_category("teller")?), (10, of_stream("teller")?)] {
        // The third goes back, as when an operator lets a subscriber read again.
        for (number, place) in (from..).zip([1, 17, 3]) {
            store.record_progress(&of, place, id(number)).await?;
            assert_eq!(store.read_progress(&of).await?, Some(place), "{}", of.stream());
        }
    }
    Ok(())
}

/// *Progress is read back*, from one end to the other.
pub(super) async fn any_place_can_be_recorded(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let of = of_category("teller")?;
    for (number, place) in (1..).zip([0, i64::MAX, 9_007_199_254_740_993, 1]) {
        store.record_progress(&of, place, id(number)).await?;
        assert_eq!(store.read_progress(&of).await?, Some(place));
    }
    Ok(())
}

/// *Progress is read back*, after a reply was lost.
pub(super) async fn progress_recorded_twice_under_one_id_is_recorded_once(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let of = of_category("teller")?;
    for _ in 0..2 {
        store.record_progress(&of, 5, id(1)).await?;
        assert_eq!(store.read_progress(&of).await?, Some(5));
    }
    // Another place under the same id is another record: no false success.
    let error = refused(store.record_progress(&of, 6, id(1)).await)?;
    assert!(error.is_duplicate_id(), "{error:?}");
    assert_eq!(store.read_progress(&of).await?, Some(5));
    Ok(())
}

/// *Progress is read back*, each subscriber its own.
pub(super) async fn subscribers_keep_their_progress_apart(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let teller = SubscriberId::new("teller")?;
    let mut all = Vec::new();
    for subscriber in ["teller", "Teller", "teller2", "teller-2", "tell", "zähler 😀", "a'b%_:"]
    {
        all.push(of_category(subscriber)?);
    }
    for category in ["transfer", "account:command", "account:v1", "accountX"] {
        all.push(ProgressStream::of_category(&Category::new(category)?, &teller, None));
    }
    keep_apart(&*store, &all).await
}

/// *Progress is read back*, each member its own; another size of the group is another member.
pub(super) async fn members_keep_their_progress_apart(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let mut all = vec![of_category("teller")?, of_member("clerk", 0, 2)?];
    for (member, size) in [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (11, 12), (1, 12)] {
        all.push(of_member("teller", member, size)?);
    }
    keep_apart(&*store, &all).await
}

/// *Eventide's record*: the two units cannot be taken for each other.
pub(super) async fn a_subscriber_of_a_stream_and_one_of_its_category_keep_apart(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let teller = SubscriberId::new("teller")?;
    let mut all = vec![of_category("teller")?, of_stream("teller")?, of_member("teller", 0, 1)?];
    for name in ["account-0of1", "account-12", "account-123+1", "account:command-123"] {
        all.push(ProgressStream::of_stream(&name.parse()?, &teller)?);
    }
    keep_apart(&*store, &all).await
}

/// *Category is no stream*, for subscribers too.
pub(super) async fn a_category_alone_is_not_subscribed_to_as_a_stream(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    subject.open().await?;
    let teller = SubscriberId::new("teller")?;
    let alone = ProgressStream::of_stream(&stream::category_alone()?, &teller);
    let error = refused(alone.map_err(Error::from))?;
    assert!(error.is_invalid(), "{error:?}");
    Ok(())
}

/// *Eventide's record*, as it stands in the store.
pub(super) async fn progress_is_recorded_as_eventide_records_it(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for (number, (of, name, data)) in (1..).zip([
        (of_category("teller")?, "account:position-teller", r#"{"position":11}"#),
        (of_member("teller", 1, 4)?, "account:position-teller+1of4", r#"{"position":11}"#),
        (of_stream("teller")?, "account:streamPosition-teller+123", r#"{"streamPosition":11}"#),
    ]) {
        store.record_progress(&of, 11, id(number)).await?;
        let recorded = stream_of(&*store, &name.parse()?).await?;
        assert_eq!(recorded.len(), 1, "in `{name}`");
        let recorded = there(recorded.first(), name)?;
        assert_eq!(recorded.id, id(number));
        assert_eq!(&*recorded.message_type, "Recorded", "in `{name}`");
        assert_eq!(json(recorded.data())?, json(data)?, "in `{name}`");
    }
    Ok(())
}

/// *Eventide's record*, written by a client that adds keys of its own.
pub(super) async fn progress_recorded_by_another_client_is_read(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let of = of_category("teller")?;
    for (number, data) in (1..).zip(["{\"position\":1}", "{ \"by\": \"ruby\", \"position\" : 2 }"])
    {
        write(&*store, of.stream(), &[raw(number, "Recorded", data)?]).await?;
        assert_eq!(store.read_progress(&of).await?, Some(number.into()), "{data}");
    }
    // And it is recorded behind what the other client wrote.
    store.record_progress(&of, 3, id(9)).await?;
    assert_eq!(store.read_progress(&of).await?, Some(3));
    Ok(())
}

/// *Eventide's record*: it stands in a category of its own.
pub(super) async fn progress_stands_in_no_page_of_the_category(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    write(&*store, &stream::account(123)?, &[deposited(50)?]).await?;
    for (number, of) in
        (1..).zip([of_category("teller")?, of_member("teller", 0, 1)?, of_stream("teller")?])
    {
        store.record_progress(&of, 1, id(number)).await?;
    }
    let page = category_of(&*store, &CategoryQuery::new(stream::category()?)).await?;
    assert_eq!(streams(&page), ["account-123"]);
    Ok(())
}

/// *Progress is read back*, with what is noted beside it; the record itself stays Eventide's.
pub(super) async fn what_is_noted_beside_progress_comes_back(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let standing = Some(Standing { stopped: true, reason: "no luck 😀".into() });
    for (number, of) in (1..).zip([of_category("teller")?, of_stream("teller")?]) {
        for (more, began) in [(0, Began::Ahead(99)), (10, Began::Alone(12, 2))] {
            let progress = Progress {
                done: Some(11),
                began: Some(began),
                standing: standing.clone(),
                replay: Some(20),
                successor: Some(2),
            };
            let record = of.record(&progress, id(number + more))?;
            write(&*store, of.stream(), &[record]).await?;
            let last = store.last_message(of.stream(), None).await?;
            let last = there(last.as_ref(), "a record")?;
            assert_eq!(of.progress_in(last)?, progress);
            assert_eq!(store.read_progress(&of).await?, Some(11));
            assert!(json(last.data())?.as_object().is_some_and(|data| data.len() == 1));
        }
    }
    Ok(())
}

/// *Progress is read back*, and nobody records over what he has not read.
pub(super) async fn of_two_who_record_on_the_same_progress_one_is_told_of_the_other(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let of = of_category("teller")?;
    store.record_progress(&of, 5, id(1)).await?;
    let here = |number: u64| {
        let (store, of) = (store.clone(), of.clone());
        async move {
            let record = of.record(&Progress::at(5 + number.cast_signed()), id(number))?;
            Ok(store.write(of.stream(), &[record], at(0)?).await)
        }
        .boxed()
    };
    let answers = subject.at_once([here(2), here(3), here(4)]).await?;
    let told = answers.iter().filter(|it| it.as_ref().is_err_and(Error::is_conflict)).count();
    assert_eq!(told, 2, "{answers:?}");
    let won = (2..).zip(&answers).find(|(_, answer)| answer.is_ok()).map(|(number, _)| 5 + number);
    assert_eq!(store.read_progress(&of).await?, won);
    Ok(())
}
