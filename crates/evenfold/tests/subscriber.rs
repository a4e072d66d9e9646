//! What a subscriber promises: every message, in order, and its progress.

mod story;

use std::time::Duration;

use evenfold::prelude::*;
use evenfold::{ErrorPolicy, GlobalPosition, Position, Subscriber};
use story::{AccountEvent, Deposited, Notes, Withdrawn, deposit, memory, progress};

#[tokio::test]
async fn every_message_is_handled_in_order_and_progress_is_recorded_when_idle() {
    let store = memory();
    deposit(&store, "1", &[1, 2]).await;
    deposit(&store, "2", &[3]).await;
    let notes = Notes::default();
    let polled = store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!((polled.handled, polled.caught_up), (3, true));
    assert_eq!(notes.seen(), [1, 2, 3]);
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":3}"#);

    deposit(&store, "1", &[4]).await;
    store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 2, 3, 4], "it went on where it was");
}

#[tokio::test]
async fn a_page_that_nobody_wants_is_passed_over() {
    let store = memory();
    for _ in 0..5 {
        store.send::<AccountEvent>("1", Withdrawn { amount: 1 }).await.unwrap();
        store.write("account-1", Unknown).await.unwrap();
    }
    deposit(&store, "1", &[9]).await;
    let notes = Notes::default();
    let subscriber = store.subscriber("notes", notes.clone()).batch_size(2);
    let polled = subscriber.run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [9]);
    // Skipping by name is handling; a type outside the set is passed over.
    assert_eq!((polled.handled, polled.passed_over), (6, 5));
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":11}"#);
}

/// Notes under another name.
#[derive(Clone, Default)]
struct Second(Notes);

#[handler(AccountEvent, skip(Withdrawn))]
impl Second {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        let received = event.map(AccountEvent::from);
        evenfold::handler::Handler::handle(&self.0, received, &mut Context::empty()).await
    }
}

#[tokio::test]
async fn handlers_run_in_the_order_they_were_added_and_all_again_when_one_fails() {
    let store = memory();
    deposit(&store, "1", &[7]).await;
    let (first, second) = (Notes::default(), Second::default());
    second.0.fail_on(7);
    let quick = ErrorPolicy::stop().delays(Duration::from_millis(1), Duration::from_millis(1));
    let subscriber = store.subscriber("both", first.clone()).handler(second.clone()).errors(quick);
    subscriber.run_until_caught_up().await.unwrap();
    assert_eq!((first.seen(), second.0.seen()), (vec![7, 7], vec![7]));
}

#[tokio::test]
async fn a_subscriber_of_one_stream_counts_its_positions_apart() {
    let store = memory();
    deposit(&store, "1", &[1]).await;
    deposit(&store, "2", &[2, 3]).await;
    let notes = Notes::default();
    store.subscriber("notes", notes.clone()).entity("2").run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [2, 3]);
    let of_stream = progress(&store, "account:streamPosition-notes+2").await;
    assert_eq!(of_stream.unwrap(), r#"{"streamPosition":1}"#);
    assert_eq!(progress(&store, "account:position-notes").await, None);

    store.subscriber("notes", notes.clone()).run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [2, 3, 1, 2, 3]);
    let foreign = store.subscriber("other", notes.clone()).stream("account-1");
    assert_eq!(foreign.run_until_caught_up().await.unwrap().handled, 1);
}

#[tokio::test]
async fn the_members_of_a_group_share_a_category() {
    let store = memory();
    for id in 1..=20_u64 {
        deposit(&store, &id.to_string(), &[id]).await;
    }
    let mut all = Vec::new();
    for member in 0..3 {
        let notes = Notes::default();
        let subscriber = store.subscriber("notes", notes.clone()).group(member, 3);
        subscriber.run_until_caught_up().await.unwrap();
        assert!((1..20).contains(&notes.seen().len()), "member {member}");
        all.extend(notes.seen());
        let stream = format!("account:position-notes+{member}of3");
        assert!(progress(&store, &stream).await.is_some());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_correlated_messages_are_read() {
    let store = memory();
    for (amount, origin) in [(1, "transfer-7"), (2, "payroll-1"), (3, "transfer-8")] {
        let metadata = evenfold::message::Metadata {
            correlation_stream_name: Some(StreamName::new(origin).unwrap()),
            ..Default::default()
        };
        store.send::<AccountEvent>("1", Deposited { amount }).metadata(metadata).await.unwrap();
    }
    let notes = Notes::default();
    let subscriber = store.subscriber("notes", notes.clone()).correlated_with("transfer");
    subscriber.run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [1, 3]);
}

#[tokio::test]
async fn who_has_caught_up_has_recorded_also_what_nobody_wanted() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let filtered = store.subscriber("filtered", Notes::default()).correlated_with("transfer");
    filtered.run_until_caught_up().await.unwrap();
    let record = "account:position-filtered+correlation:transfer";
    assert_eq!(progress(&store, record).await.unwrap(), r#"{"position":3}"#);
}

#[derive(Message)]
struct PaidIn {
    cents: u64,
}

#[tokio::test]
async fn a_converter_reads_foreign_messages() {
    let store = memory();
    store.write("account-1", PaidIn { cents: 500 }).await.unwrap();
    store.write("account-1", PaidIn { cents: 1 }).await.unwrap();
    let notes = Notes::default();
    let convert = |foreign: &Recorded| {
        if !foreign.is::<PaidIn>() {
            return Ok(None);
        }
        let PaidIn { cents } = foreign.decode()?;
        if cents % 100 != 0 {
            return Err("half a coin".into());
        }
        let data = format!(r#"{{"amount":{}}}"#, cents / 100);
        let message_type = "Deposited".into();
        Ok(Some(Recorded { message_type, data_json: Some(data.into()), ..foreign.clone() }))
    };
    let subscriber = store.subscriber("notes", notes.clone()).converter(convert);
    let error = subscriber.run_until_caught_up().await.unwrap_err();
    assert_eq!(notes.seen(), [5]);
    assert_eq!(
        format!("{error:?}"),
        "converting `PaidIn` at position 1 of `account-1` (global position 2)\n\
         caused by: half a coin"
    );
}

#[tokio::test]
async fn a_subscriber_without_progress_begins_where_it_is_told() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let notes = Notes::default();
    let start = GlobalPosition::new(2).unwrap();
    let subscriber = || store.subscriber("notes", notes.clone()).start_at(start);
    subscriber().run_until_caught_up().await.unwrap();
    subscriber().run_until_caught_up().await.unwrap();
    assert_eq!(notes.seen(), [2, 3], "progress comes before the start");
    let stream = store.subscriber("s", notes.clone()).entity("1").start_at(Position::START.next());
    assert_eq!(stream.run_until_caught_up().await.unwrap().handled, 2);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_fails_at_its_start_begins_there_again() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let notes = Notes::default();
    let start = GlobalPosition::new(3).unwrap();
    for policy in [ErrorPolicy::stop(), ErrorPolicy::park()] {
        let id = format!("{:?}", policy.then()).to_lowercase();
        let policy = policy.retries(0);
        let subscriber = || store.subscriber(&id, notes.clone()).errors(policy).start_at(start);
        notes.fail_on(3);
        subscriber().run_until_caught_up().await.ok();
        subscriber().run_until_caught_up().await.unwrap();
    }
    assert_eq!(notes.seen(), [3], "what was parked is not tried again");
}

#[tokio::test]
async fn a_start_beyond_the_end_is_waited_for_run_after_run() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let notes = Notes::default();
    let shared = || {
        let start = GlobalPosition::new(30).unwrap();
        store.subscriber("notes", notes.clone()).leased(2).start_at(start)
    };
    shared().run_until_caught_up().await.unwrap();
    shared().run_until_caught_up().await.unwrap();
    deposit(&store, "1", &(4..=40).collect::<Vec<_>>()).await;
    shared().run_until_caught_up().await.unwrap();
    let seen = notes.seen();
    assert!(!seen.is_empty() && seen.first() > Some(&3), "{seen:?}");
    assert_eq!(seen.last(), Some(&40));
}

struct OfAnotherCategory;

#[handler(story::AccountCommand)]
impl OfAnotherCategory {
    async fn deposit(&self, _command: Received<story::Deposit>) {}
}

#[tokio::test]
async fn options_that_cannot_be_run_are_refused_by_name() {
    let store = memory();
    let new = || store.subscriber("notes", Notes::default());
    let [short, long] = [1, 5].map(Duration::from_millis);
    let cases: [(Subscriber, &str); 18] = [
        (store.subscriber("a+b", Notes::default()), "subscriber id `a+b`: "),
        (new().batch_size(0), "batch size `0`: a page holds 1 to 1000000 messages"),
        (new().poll_interval(Duration::ZERO), "poll interval `0s`: "),
        (new().error_delay(Duration::ZERO), "error delay `0s`: "),
        (new().progress_interval(0), "progress interval `0`: "),
        (new().group(3, 3), "consumer group member `3`: the members of a group of 3 are 0 to 2"),
        (
            new().entity("1").group(0, 2),
            "stream name `account-1`: `.entity(…)` or `.stream(…)` reads one stream, so \
             `.group(…)` does not go with it",
        ),
        (
            new().entity("1").merged_all().leased(2).correlated_with("transfer"),
            "stream name `account-1`: `.entity(…)` or `.stream(…)` reads one stream, so \
             `.leased(…)`, `.correlated_with(…)` and `.merged_all()` do not go with it",
        ),
        (
            new().merged().leased(2),
            "subscriber `notes`: `.merged()` reads several categories by one cursor, so \
             `.leased(…)` does not go with it",
        ),
        (new().version(0), "version `0`: versions are counted from 1"),
        (
            new().leased(2).version(2),
            "version `2`: a subscriber that shares its work (`.leased`, `.group`) has no versions; \
             use another id, or `reset_to`",
        ),
        (
            new().leased(2).group(0, 2),
            "subscriber `notes`: `.leased(…)` shares all of a category, so `.group(…)` and",
        ),
        (new().lease_term(long), "lease term `5ms`: there are no leases; say `.leased(…)` too"),
        (new().leased(2).lease_term(Duration::ZERO), "lease term `0ns`: it must be longer than"),
        (
            new().errors(ErrorPolicy::park().delays(long, short)),
            "first delay `5ms`: it is longer than the longest, 1ms",
        ),
        (new().start_at(Position::START), "start `0`: a subscriber of a category starts at a"),
        (new().handler(Notes::default()), "handler `Notes`: subscriber `notes` has another"),
        (
            new().handler(OfAnotherCategory),
            "handler `OfAnotherCategory`: its set is of category `account:command`, and",
        ),
    ];
    for (subscriber, said) in cases {
        let refused = subscriber.into_poller().unwrap_err();
        assert!(refused.is_invalid());
        assert!(refused.to_string().starts_with(said), "{refused}");
    }
    assert!(new().stream("account").into_poller().unwrap_err().is_invalid());
    assert!(new().entity("").into_poller().unwrap_err().is_invalid());
    assert!(new().correlated_with("a-b").into_poller().unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_poll_handles_one_page_and_waits_for_nothing() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 3]).await;
    let notes = Notes::default();
    let mut poller = store.subscriber("notes", notes.clone()).batch_size(2).into_poller().unwrap();
    let first = poller.poll_once().await.unwrap();
    assert_eq!((first.handled, first.caught_up, notes.seen().len()), (2, false, 2));
    assert_eq!(poller.poll_once().await.unwrap().handled, 1);
    assert!(poller.poll_once().await.unwrap().caught_up);
    deposit(&store, "1", &[4]).await;
    assert_eq!(poller.poll_once().await.unwrap().handled, 1);
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":3}"#);
    poller.finish().await.unwrap();
    assert_eq!(progress(&store, "account:position-notes").await.unwrap(), r#"{"position":5}"#);
}

#[derive(Message)]
struct Unknown;
