//! What is parked outlasts everything: who else parks, a reset, a store that is away, crashes and
//! reasons that no store can hold.

#![expect(clippy::unwrap_used, reason = "what stands around the tests is test code too")]

mod story;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold::message::Metadata;
use evenfold::prelude::*;
use evenfold::stores::{Note, ParkingLot, SubscriberId};
use evenfold::subscriber::{Parking, SubscriberState};
use evenfold::{ErrorPolicy, ExpectedVersion, GlobalPosition, Position, Store, Subscriber};
use evenfold_testkit::controls;
use story::{AccountEvent, Deposited, Withdrawn, deposit, memory, recording};
use uuid::Uuid;

/// Notes what it handles and what of that it may mail, and fails on amounts that it is told to.
#[derive(Clone, Default)]
struct Ledger {
    seen: Arc<Mutex<Vec<u64>>>,
    mailed: Arc<Mutex<Vec<u64>>>,
    poison: Arc<Mutex<Vec<u64>>>,
}

impl Ledger {
    fn poisoned_by(amount: u64) -> Self {
        let ledger = Self::default();
        ledger.poison.lock().unwrap().push(amount);
        ledger
    }

    fn mend(&self) {
        self.poison.lock().unwrap().clear();
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }

    fn mailed(&self) -> Vec<u64> {
        self.mailed.lock().unwrap().clone()
    }
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Ledger {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        if self.poison.lock().unwrap().contains(&event.amount) {
            return Err(format!("bad byte \0 in {}", event.amount).into());
        }
        self.seen.lock().unwrap().push(event.amount);
        if !event.is_replay() {
            self.mailed.lock().unwrap().push(event.amount);
        }
        Ok(())
    }
}

/// How many notes were made by hand.
static NOTED: AtomicU64 = AtomicU64::new(0);

const QUICK: Duration = Duration::from_millis(1);

fn parks(store: &Store, ledger: &Ledger) -> Subscriber {
    let policy = ErrorPolicy::park().retries(1).delays(QUICK, QUICK);
    store.subscriber("ledger", ledger.clone()).errors(policy)
}

async fn catch_up(subscriber: Subscriber) {
    subscriber.run_until_caught_up().await.unwrap();
}

fn parking(store: &Store) -> Parking {
    store.parking("ledger", "account").unwrap()
}

fn account() -> StreamName {
    StreamName::new("account-1").unwrap()
}

fn at(position: i64) -> Position {
    Position::new(position).unwrap()
}

async fn amounts(parking: &Parking) -> Vec<i64> {
    let parked = parking.list().await.unwrap();
    parked.iter().map(|it| it.message.position.get()).collect()
}

/// Writes notes on the messages of account 1, as another process would.
async fn note(store: &Store, subscriber: &str, notes: impl IntoIterator<Item = Note>) {
    note_of(store, subscriber, &account(), notes).await;
}

async fn note_of(
    store: &Store,
    subscriber: &str,
    stream: &StreamName,
    notes: impl IntoIterator<Item = Note>,
) {
    let id = SubscriberId::new(subscriber).unwrap();
    let parking = ParkingLot::of_category(&stream.category(), &id).parking(stream);
    let id = || controls::id(1000 + NOTED.fetch_add(1, Ordering::Relaxed));
    let message = |note: Note| note.message(id(), None).unwrap();
    let messages: Vec<_> = notes.into_iter().map(message).collect();
    let any = ExpectedVersion::Any;
    store.messages().write(parking.stream(), &messages, any).await.unwrap();
}

#[tokio::test]
async fn a_version_parks_apart_from_the_one_before_it() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 13, 3]).await;
    let (old, new) = (Ledger::poisoned_by(13), Ledger::poisoned_by(13));
    catch_up(parks(&store, &old)).await;
    assert_eq!(amounts(&parking(&store)).await, [2, 3]);

    // The second begins at the start, though the first waits for the third of the messages.
    let second = || parks(&store, &new).version(2);
    let of_second = parking(&store).version(2);
    let mut poller = second().batch_size(1).into_poller().unwrap();
    while amounts(&of_second).await != [2, 3] {
        poller.poll_once().await.unwrap();
    }
    assert_eq!(new.seen(), [1, 2]);
    // It has not come to the end of the category, and so has not taken over.
    poller.finish().await.unwrap();
    let status = store.status().await.unwrap();
    let told: Vec<_> = status.iter().map(|it| (it.version, it.parked)).collect();
    assert_eq!(told, [(1, 2), (2, 2)]);

    old.mend();
    parking(&store).replay_all().await.unwrap();
    catch_up(parks(&store, &old)).await;
    assert_eq!(old.seen(), [1, 2, 13, 3]);
    assert_eq!((amounts(&parking(&store)).await, amounts(&of_second).await), (vec![], vec![2, 3]));
    new.mend();
    let parked = of_second.of(&account()).await.unwrap();
    let first = parked.iter().find(|it| it.message.position == at(2)).unwrap();
    of_second.replay(first).await.unwrap();
    catch_up(second()).await;
    assert_eq!(new.seen(), [1, 2, 13, 3]);
    assert!(new.mailed().is_empty(), "what the first version has mailed");
}

#[tokio::test]
async fn who_reads_by_correlation_or_one_stream_alone_parks_apart() {
    let store = memory();
    let correlation_stream_name = Some(StreamName::new("transfer-1").unwrap());
    let correlated = Metadata { correlation_stream_name, ..Metadata::default() };
    for amount in [1, 13, 3] {
        let event = Deposited { amount };
        store.write(account(), event).metadata(correlated.clone()).await.unwrap();
    }
    let ledgers = [(); 3].map(|()| Ledger::poisoned_by(13));
    let subscribers = || {
        let [all, correlated, one] = &ledgers;
        let correlated = parks(&store, correlated).correlated_with("transfer");
        [parks(&store, all), correlated, parks(&store, one).entity("1")]
    };
    for subscriber in subscribers() {
        catch_up(subscriber).await;
    }
    let lots = [
        parking(&store),
        parking(&store).correlated_with("transfer").unwrap(),
        parking(&store).by_stream(),
    ];
    let status = store.status().await.unwrap();
    assert_eq!(status.iter().map(|it| it.parked).collect::<Vec<_>>(), [2, 2, 2]);
    for (number, (subscriber, lot)) in subscribers().into_iter().zip(&lots).enumerate() {
        ledgers[number].mend();
        assert_eq!(lot.replay_all().await.unwrap(), 1);
        catch_up(subscriber).await;
        assert_eq!(ledgers[number].seen(), [1, 13, 3]);
        let left: Vec<_> = store.status().await.unwrap().iter().map(|it| it.parked).collect();
        assert_eq!(left.iter().sum::<usize>(), 2 * (2 - number), "{left:?}");
    }
}

#[tokio::test]
async fn what_was_handled_before_a_reset_comes_out_of_the_lot_as_a_replay() {
    let store = memory();
    deposit(&store, "1", &[1, 2, 13, 3]).await;
    let ledger = Ledger::poisoned_by(13);
    catch_up(parks(&store, &ledger)).await;
    let place = store.place("ledger", "account").unwrap();
    place.reset_to(GlobalPosition::START).await.unwrap();
    deposit(&store, "1", &[4]).await;
    // The first waits behind the third, and comes when that is given up or done with.
    catch_up(parks(&store, &ledger)).await;
    ledger.mend();
    parking(&store).replay_all().await.unwrap();
    catch_up(parks(&store, &ledger)).await;
    assert_eq!(ledger.seen(), [1, 2, 1, 2, 13, 3, 4]);
    assert_eq!(ledger.mailed(), [1, 2, 13, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn whichever_read_fails_nothing_overtakes_what_is_parked() {
    for reads in 0..16 {
        let (store, faults) = recording();
        deposit(&store, "1", &[13]).await;
        let ledger = Ledger::poisoned_by(13);
        catch_up(parks(&store, &ledger)).await;
        // The notes of another one make it a second page, in which there is nothing of ours.
        let asked = || Note::ReplayAsked { position: at(0) };
        note(&store, "other", (0..1500).map(|_| asked())).await;
        deposit(&store, "1", &[2]).await;
        faults.fail_reads_after(reads, 1);
        catch_up(parks(&store, &ledger)).await;
        faults.fail_reads(0);
        assert!(ledger.seen().is_empty(), "after {reads} reads");
        assert_eq!(amounts(&parking(&store)).await, [0, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_two_processes_began_has_its_retries_and_its_new_reason() {
    for reads in 0..24 {
        let (store, faults) = recording();
        deposit(&store, "1", &[13, 2]).await;
        let ledger = Ledger::poisoned_by(13);
        catch_up(parks(&store, &ledger)).await;
        parking(&store).replay_all().await.unwrap();
        let begun = || Note::ReplayBegun { position: at(0) };
        note(&store, "ledger", [begun(), begun()]).await;
        // That the store is away for a while, wherever, is no attempt and no end.
        faults.fail_reads_after(reads, 1);
        faults.in_category(&"account:parked".parse().unwrap()).refuse_next(reads % 3);
        catch_up(parks(&store, &ledger)).await;
        faults.fail_reads(0);
        let parked = parking(&store).of(&account()).await.unwrap();
        let told =
            (parked[0].message.begun, parked[0].message.is_asked, parked[0].message.attempts);
        assert_eq!(told, (0, false, 4), "after {reads} reads");
        // Two parked, one asked for, three begun, one failed.
        let notes = "account:parked-ledger+1".parse().unwrap();
        let version = store.messages().stream_version(&notes).await.unwrap();
        assert_eq!(version, Some(at(6)), "after {reads} reads");
    }
}

#[tokio::test]
async fn what_brought_three_processes_down_as_it_waited_can_be_asked_for_with_all_others() {
    let store = memory();
    deposit(&store, "1", &[13, 2]).await;
    let ledger = Ledger::poisoned_by(13);
    catch_up(parks(&store, &ledger)).await;
    ledger.mend();
    let begun = || Note::ReplayBegun { position: at(1) };
    let parked = parking(&store).of(&account()).await.unwrap();
    parking(&store).discard(&parked[0], "").await.unwrap();
    note(&store, "ledger", [begun(), begun(), begun()]).await;
    catch_up(parks(&store, &ledger)).await;
    assert_eq!(amounts(&parking(&store)).await, [1], "it is tried no more");
    assert_eq!(parking(&store).replay_all().await.unwrap(), 1);
    catch_up(parks(&store, &ledger)).await;
    assert_eq!(ledger.seen(), [2]);
}

#[tokio::test]
async fn a_reason_that_no_store_can_hold_is_stored_as_it_can_be() {
    let store = memory();
    deposit(&store, "1", &[13]).await;
    let ledger = Ledger::poisoned_by(13);
    let stops = store.subscriber("stops", ledger.clone()).errors(ErrorPolicy::stop().retries(0));
    stops.run_until_caught_up().await.unwrap_err();
    let status = store.status().await.unwrap();
    let SubscriberState::Stopped(reason) = &status[0].state else { panic!("{status:?}") };
    assert!(reason.ends_with("bad byte \u{FFFD} in 13"), "{reason}");

    catch_up(parks(&store, &ledger)).await;
    parking(&store).replay_all().await.unwrap();
    catch_up(parks(&store, &ledger)).await;
    let parked = parking(&store).of(&account()).await.unwrap();
    let reason = parked[0].message.reason.as_deref().unwrap();
    assert!(reason.ends_with("bad byte \u{FFFD} in 13"), "{reason}");
    assert_eq!(parked[0].message.attempts, 4);
    parking(&store).discard(&parked[0], "\0").await.unwrap();
    assert!(parking(&store).list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_subscriber_with_ten_thousand_parked_messages_stops_at_the_next_one_behind_them() {
    let store = memory();
    for id in 0..100 {
        let parked = |position| Note::Parked {
            position: at(position),
            global_position: GlobalPosition::new(position + 1).unwrap(),
            message_id: Uuid::nil(),
            message_type: "Deposited".into(),
            reason: Some("no luck".into()),
            attempts: 1,
            is_replay: false,
        };
        let stream = format!("account-{id}").parse().unwrap();
        note_of(&store, "ledger", &stream, (1..=100).map(parked)).await;
    }
    deposit(&store, "1", &[1]).await;
    let error = parks(&store, &Ledger::default()).run_until_caught_up().await.unwrap_err();
    let text = "parking one more message of subscriber `ledger`, of which 10000 are parked, as many as \
                may be: replay or discard some: it comes behind one that is parked";
    assert_eq!(format!("{error:#}"), text);
    assert_eq!(parking(&store).of(&account()).await.unwrap().len(), 100);
    let status = store.status().await.unwrap();
    let SubscriberState::Stopped(reason) = &status[0].state else { panic!("{status:?}") };
    assert_eq!(reason, text);
}

#[derive(Message)]
struct Replayed;

#[derive(Messages)]
#[messages(category = "account:parked")]
enum AccountNote {
    Replayed(Replayed),
}

struct Reader;

#[handler(AccountNote)]
impl Reader {
    async fn replayed(&self, _: Received<Replayed>) {}
}

#[tokio::test]
async fn nobody_reads_his_own_notes() {
    let refused = memory().subscriber("reader", Reader).run_until_caught_up().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "category `account:parked`: its subscriber would read its own notes on what it parks"
    );
}
