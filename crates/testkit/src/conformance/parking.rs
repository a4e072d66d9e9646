//! The laws of parking: what is set aside is a message of the store, in the order of its stream.
//!
//! Parking is made of writing and reading, so a backend that keeps the other laws keeps these; here
//! they are asked of it in the way that subscribers do.

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    BatchSize, CategoryQuery, MessageStore, Note, ParkedQueue, ParkingLot, ParkingStream,
    SubscriberId,
};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use futures::FutureExt;

use super::subject::{Subject, category_of, position, refused, stream_of, streams, there, write};
use crate::controls::message::deposited;
use crate::controls::{id, metadata, stream};

fn teller() -> Result<SubscriberId, Error> {
    Ok(SubscriberId::new("teller")?)
}

fn lot() -> Result<ParkingLot, Error> {
    Ok(ParkingLot::of_category(&stream::category()?, &teller()?))
}

fn parking(of: &StreamName) -> Result<ParkingStream, Error> {
    Ok(lot()?.parking(of))
}

/// What is parked, by everything that was noted.
async fn queue(store: &dyn MessageStore, of: &ParkingStream) -> Result<ParkedQueue, Error> {
    let mut queue = ParkedQueue::default();
    for recorded in stream_of(store, of.stream()).await? {
        queue.apply(&recorded)?;
    }
    Ok(queue)
}

async fn note(
    store: &dyn MessageStore,
    of: &ParkingStream,
    note: &Note,
    number: u64,
    about: Option<&Recorded>,
    expected: ExpectedVersion,
) -> Result<Position, Error> {
    let message = note.message(id(number), about)?;
    Ok(store.write(of.stream(), &[message], expected).await?.last())
}

/// A store with three messages in a stream, and what they are.
async fn with_three(
    subject: &Subject<'_>,
) -> Result<(std::sync::Arc<dyn MessageStore>, ParkingStream, Vec<Recorded>), Error> {
    let store = subject.open().await?;
    let account = stream::account(123)?;
    for number in 1..=3 {
        let message = deposited(number)?.with_metadata(metadata::complete()?);
        write(&*store, &account, &[message]).await?;
    }
    let messages = stream_of(&*store, &account).await?;
    Ok((store, parking(&account)?, messages))
}

fn at(queue: &ParkedQueue) -> Vec<i64> {
    queue.messages().map(|parked| parked.position.get()).collect()
}

/// *Parked order*: by the position in the stream, whatever the order of the notes.
pub(super) async fn what_is_parked_comes_in_the_order_of_its_stream(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, parking, messages) = with_three(subject).await?;
    for (number, place) in (10..).zip([1, 0, 2]) {
        let message = there(messages.get(place), "a message")?;
        let reason = (place == 0).then(|| "no luck".to_owned());
        let parked = Note::parked(message, reason, 4, false);
        note(&*store, &parking, &parked, number, Some(message), ExpectedVersion::Any).await?;
    }
    let queue = queue(&*store, &parking).await?;
    assert_eq!(at(&queue), [0, 1, 2]);
    let first = there(queue.messages().next(), "a parked message")?;
    let of = there(messages.first(), "a message")?;
    assert_eq!((first.message_id, first.global_position), (of.id, of.global_position));
    assert_eq!((first.reason.as_deref(), first.attempts), (Some("no luck"), 4));
    assert!(queue.due().is_none(), "the first failed, and nobody asked for it");
    Ok(())
}

/// *Parked order*: the first goes, and what waited behind it is due.
pub(super) async fn what_is_resolved_lets_the_next_one_go(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, parking, messages) = with_three(subject).await?;
    let any = ExpectedVersion::Any;
    for (number, message) in (10..).zip(&messages) {
        let reason = (number == 10).then(|| "no luck".to_owned());
        let parked = Note::parked(message, reason, 4, false);
        note(&*store, &parking, &parked, number, Some(message), any).await?;
    }
    let first = position(0)?;
    note(&*store, &parking, &Note::ReplayAsked { position: first }, 20, None, any).await?;
    let asked = queue(&*store, &parking).await?;
    assert_eq!(asked.due().map(|due| due.position), Some(first));
    note(&*store, &parking, &Note::Replayed { position: first }, 21, None, any).await?;
    let queue = queue(&*store, &parking).await?;
    assert_eq!(at(&queue), [1, 2]);
    assert_eq!(queue.due().map(|due| due.position.get()), Some(1));
    Ok(())
}

/// *Known notes*: read again, they change nothing.
pub(super) async fn a_note_that_is_read_twice_counts_once(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, parking, messages) = with_three(subject).await?;
    let any = ExpectedVersion::Any;
    let first = there(messages.first(), "a message")?;
    note(&*store, &parking, &Note::parked(first, None, 0, false), 10, Some(first), any).await?;
    assert_eq!(queue(&*store, &parking).await?.len(), 1);
    let done = Note::Replayed { position: first.position };
    note(&*store, &parking, &done, 11, None, any).await?;
    let mut queue = queue(&*store, &parking).await?;
    for recorded in stream_of(&*store, parking.stream()).await? {
        queue.apply(&recorded)?;
    }
    assert!(queue.is_empty() && queue.version() == Some(position(1)?));
    Ok(())
}

/// *Expected version*, by which two who note at once learn of each other.
pub(super) async fn of_two_who_note_at_once_one_is_told_of_the_other(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, parking, messages) = with_three(subject).await?;
    let first = there(messages.first(), "a message")?;
    let parked = Note::parked(first, None, 0, false);
    let here = |number| {
        let (store, parking, parked) = (store.clone(), parking.clone(), parked.clone());
        let none = ExpectedVersion::NoStream;
        async move { Ok(note(&*store, &parking, &parked, number, None, none).await) }.boxed()
    };
    let answers = subject.at_once([here(10), here(11), here(12)]).await?;
    let told = answers.iter().filter(|it| it.as_ref().is_err_and(Error::is_conflict)).count();
    assert_eq!(told, 2, "{answers:?}");
    assert_eq!(queue(&*store, &parking).await?.len(), 1);
    let stale = note(&*store, &parking, &parked, 13, None, ExpectedVersion::NoStream).await;
    assert!(refused(stale)?.is_conflict());
    Ok(())
}

/// *Parked order*, and the wire stays clean: notes stand in a category of their own, and follow what
/// they are about.
pub(super) async fn notes_stand_in_a_category_of_their_own_and_name_their_cause(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, parking, messages) = with_three(subject).await?;
    let second = there(messages.get(1), "a message")?;
    let parked = Note::parked(second, Some("no luck".into()), 4, false);
    note(&*store, &parking, &parked, 10, Some(second), ExpectedVersion::Any).await?;
    let account = category_of(&*store, &CategoryQuery::new(stream::category()?)).await?;
    assert_eq!(streams(&account), ["account-123"; 3]);
    let of_parked = CategoryQuery::new(lot()?.category());
    let notes = category_of(&*store, &of_parked).await?;
    assert_eq!(streams(&notes), ["account:parked-teller+123"]);
    let first = there(notes.first(), "a note")?;
    let cause = first.metadata()?;
    assert_eq!(cause.causation_message_stream_name.as_ref(), Some(&second.stream_name));
    assert_eq!(cause.causation_message_position, Some(second.position));
    assert_eq!(cause.correlation_stream_name, second.metadata()?.correlation_stream_name);
    let listed = store.streams(of_parked.category(), None, BatchSize::DEFAULT).await?;
    assert_eq!(listed.len(), 1);
    Ok(())
}
