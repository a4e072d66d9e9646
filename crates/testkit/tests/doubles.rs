//! The doubles do what they are told, and are true stores otherwise.

use std::sync::Arc;
use std::time::Duration;

use evenfold_core::handler::Context;
use evenfold_core::store::{
    BatchSize, LeaseGroup, LeaseStore, Member, MessageStore, ProgressStore, ProgressStream,
    ReadStore, SubscriberId, WriteStore,
};
use evenfold_core::{Clock, Error, ExpectedVersion, Ids, Memory, Position};
use evenfold_testkit::conformance::{Backend, run};
use evenfold_testkit::controls::message::deposited;
use evenfold_testkit::controls::{batch, id, stream};
use evenfold_testkit::{
    CountedIds, ManualClock, NotedTransaction, Outcome, Recording, TransactionLog,
};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

struct Recorded;

impl Backend for Recorded {
    type Home = Recording;

    fn name(&self) -> &'static str {
        "recording"
    }

    fn home(&self) -> BoxFuture<'_, Result<Recording, Error>> {
        ready(Ok(Recording::default().with_transactions(&TransactionLog::default()))).boxed()
    }

    fn open<'a>(
        &'a self,
        home: &'a Recording,
    ) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>> {
        let store: Arc<dyn MessageStore> = Arc::new(home.clone());
        ready(Ok(store)).boxed()
    }
}

#[tokio::test]
async fn a_recording_keeps_the_laws_of_the_store_in_it() {
    run(&Recorded).await.assert();
}

fn outcomes(store: &Recording) -> Vec<Outcome> {
    store.writes().into_iter().map(|write| write.outcome).collect()
}

#[tokio::test]
async fn a_conflict_is_a_true_one_and_writes_nothing() -> Result<(), Error> {
    let (store, stream) = (Recording::default(), stream::account(1)?);
    store.conflict_next(2);
    // Nothing can be in conflict with a write that expects nothing.
    store.write(&stream, &[deposited(1)?], ExpectedVersion::Any).await?;
    for (expected, actual) in
        [(ExpectedVersion::At(Position::START), 1), (ExpectedVersion::NoStream, 0)]
    {
        let error = store.write(&stream, &[deposited(2)?], expected).await.err();
        let conflict = error.as_ref().and_then(Error::conflict).cloned();
        let actual = Some(Position::new(actual)?);
        assert_eq!(conflict.map(|it| (it.expected(), it.actual())), Some((expected, actual)));
    }
    assert_eq!(store.stream_version(&stream).await?, Some(Position::START));
    store.write(&stream, &[deposited(2)?], ExpectedVersion::At(Position::START)).await?;
    assert_eq!(
        outcomes(&store),
        [Outcome::Written, Outcome::Refused, Outcome::Refused, Outcome::Written]
    );
    Ok(())
}

#[tokio::test]
async fn a_refused_write_did_not_happen_and_one_whose_reply_is_lost_did() -> Result<(), Error> {
    let (store, stream) = (Recording::default(), stream::account(1)?);
    let messages = batch::mixed(1)?;
    store.refuse_next(1);
    store.lose_reply_next(1);
    for length in [0, 3] {
        let answer = store.write(&stream, &messages, ExpectedVersion::NoStream).await;
        assert!(answer.err().is_some_and(|error| error.is_unavailable()));
        let page = store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await?;
        assert_eq!(page.len(), length);
    }
    let again = store.write(&stream, &messages, ExpectedVersion::NoStream).await?;
    assert!(again.is_repetition());
    assert_eq!(outcomes(&store), [Outcome::Refused, Outcome::ReplyLost, Outcome::Repeated]);
    let first = store.writes_to(&stream).into_iter().next();
    assert_eq!(first.map(|write| write.messages), Some(messages));
    Ok(())
}

#[tokio::test]
async fn progress_fails_by_itself_and_is_remembered_as_a_write() -> Result<(), Error> {
    let store = Recording::default();
    let of = ProgressStream::of_category(&stream::category()?, &SubscriberId::new("teller")?, None);
    store.in_category(&of.stream().category()).refuse_next(1);
    store.write(&stream::account(1)?, &[deposited(1)?], ExpectedVersion::Any).await?;
    let refused = store.record_progress(&of, 1, id(2)).await.err();
    assert!(refused.is_some_and(|error| error.is_unavailable()));
    store.record_progress(&of, 1, id(2)).await?;
    assert_eq!(store.writes_to(of.stream()).len(), 2);

    store.fail_reads(1);
    let failed = store.read_progress(&of).await.err();
    assert!(failed.is_some_and(|error| error.is_unavailable()));
    assert_eq!(store.read_progress(&of).await?, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_renewal_that_fails_changes_nothing_and_one_whose_reply_is_lost_does() -> Result<(), Error>
{
    let memory = Memory::new();
    let store = Recording::of(Arc::new(memory.clone()));
    let group = LeaseGroup::new("account:position-teller".parse()?, 4)?;
    let member = Member { id: id(1), label: "host:1".into() };
    store.fail_leases(1);
    store.lose_lease_replies(1);
    for members in [0, 1] {
        let answer = store.renew_leases(&group, &member, Duration::from_secs(30)).await;
        assert!(answer.err().is_some_and(|error| error.is_unavailable()));
        assert_eq!(memory.group_members(&group).await?.len(), members);
    }
    Ok(())
}

#[tokio::test]
async fn a_write_that_was_never_polled_is_not_remembered() -> Result<(), Error> {
    let store = Recording::default();
    drop(store.write(&stream::account(1)?, &[deposited(1)?], ExpectedVersion::Any));
    assert_eq!(store.writes(), []);
    Ok(())
}

/// A context with this effect noted in its transaction.
async fn noted(store: &Recording, effect: &str) -> Result<Context, Error> {
    let mut context = store.context().await?;
    if let Some(transaction) = context.transaction::<NotedTransaction>() {
        transaction.note(effect);
    }
    Ok(context)
}

#[tokio::test]
async fn a_transaction_happens_as_a_whole_or_not_at_all() -> Result<(), Error> {
    let log = TransactionLog::default();
    let store = Recording::default().with_transactions(&log);
    drop(noted(&store, "dropped").await?);
    noted(&store, "committed").await?.commit().await?;
    log.refuse_commits(1);
    assert!(noted(&store, "refused").await?.commit().await.is_err());
    log.refuse_begins(1);
    assert!(store.context().await.is_err());
    assert_eq!(log.effects(), ["committed"]);
    assert_eq!((log.begun(), log.committed(), log.dropped()), (3, 1, 2));
    Ok(())
}

#[tokio::test]
async fn a_store_takes_the_time_from_the_clock_and_clones_share_it() -> Result<(), Error> {
    let clock = ManualClock::default();
    let store = Memory::with_clock(Arc::new(clock.clone()));
    let stream = stream::account(1)?;
    let start = clock.now();
    for number in 0..2 {
        store.write(&stream, &[deposited(number)?], ExpectedVersion::Any).await?;
        clock.advance(time::Duration::HOUR);
    }
    let page = store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await?;
    let times: Vec<_> = page.iter().map(|message| message.time - start).collect();
    assert_eq!(times, [time::Duration::ZERO, time::Duration::HOUR]);
    clock.set(start);
    assert_eq!(clock.now(), start);
    Ok(())
}

#[test]
fn counted_ids_are_never_made_twice_and_are_told_beforehand() {
    let ids = CountedIds::default();
    let made = [ids.next(), ids.clone().next(), ids.next()];
    assert_eq!(made, [1, 2, 3].map(CountedIds::nth));
    assert!(!made.contains(&id(1)));
}
