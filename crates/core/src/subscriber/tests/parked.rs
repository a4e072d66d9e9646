//! What is parked is tried again to an end, and is not more than may be.

use super::*;

fn stream() -> StreamName {
    item(3, 0).stream
}

/// A message at position 3 that waits behind nothing, and that so many processes have begun with.
fn begun(times: i64) -> ParkedQueue {
    let mut queue = parked(3, 3, None);
    for version in 1..=times {
        let position = Position::new(3).unwrap();
        queue.noted(Note::ReplayBegun { position }, Position::new(version).unwrap());
    }
    queue
}

/// One that is asked to try the message again, which two processes have begun with.
fn third_life() -> Bench {
    let mut bench = Bench::alone(options(10, 100), Some(4));
    bench.answer(page(&[]));
    bench.now += ms(1000);
    bench.ask();
    let actions = bench.answer(Input::Notes(Ok(vec![(stream(), 0, begun(2))])));
    assert!(actions.iter().any(is_replay), "{actions:?}");
    bench
}

fn is_replay(action: &Action) -> bool {
    *action == Action::Replay(stream(), Position::new(3).unwrap())
}

fn failed() -> Outcome {
    Outcome::Failed(ErrorPolicy::park().retries(1))
}

#[test]
fn a_replay_that_is_begun_for_the_third_time_has_its_retries_and_then_its_failure_is_noted() {
    let mut bench = third_life();
    bench.answer(Input::Replayed(stream(), failed(), begun(3)));
    let actions = bench.after(ms(100));
    assert!(actions.iter().any(is_replay), "{actions:?}");
    let actions = bench.answer(Input::Replayed(stream(), failed(), begun(3)));
    let noted = Action::NoteFailure(stream(), Position::new(3).unwrap(), 3);
    assert!(actions.contains(&noted), "{actions:?}");
}

#[test]
fn a_replay_that_is_begun_for_the_third_time_outlasts_a_store_that_is_away() {
    let mut bench = third_life();
    let away = Outcome::Fault(Fault::Unavailable);
    bench.answer(Input::Replayed(stream(), away, ParkedQueue::default()));
    bench.answer(Input::Notes(Ok(vec![(stream(), 0, begun(3))])));
    let actions = bench.after(Duration::from_secs(5));
    assert!(actions.iter().any(is_replay), "{actions:?}");
}

#[test]
fn who_did_not_begin_a_replay_that_brought_three_down_lets_it_be() {
    let mut bench = Bench::alone(options(10, 100), Some(4));
    bench.answer(page(&[]));
    bench.now += ms(1000);
    bench.ask();
    let actions = bench.answer(Input::Notes(Ok(vec![(stream(), 0, begun(3))])));
    assert!(!actions.iter().any(is_replay), "{actions:?}");
}

#[test]
fn a_replay_of_which_nothing_can_be_read_comes_again_after_a_pause_and_is_noted_at_last() {
    let mut bench = third_life();
    // The queue did not read either, so nothing is known of it.
    let unread = || Input::Replayed(stream(), failed(), ParkedQueue::default());
    let actions = bench.answer(unread());
    assert!(!actions.iter().any(is_replay), "it comes again at once");
    let actions = bench.after(ms(100));
    assert!(actions.iter().any(is_replay), "{actions:?}");
    let actions = bench.answer(unread());
    let is_noted = |action: &Action| matches!(action, Action::NoteFailure(..));
    assert!(actions.iter().any(is_noted), "{actions:?}");
}

/// One that has as much parked as may be, each message of another stream and the first of lane 0.
fn full() -> Bench {
    let mut bench = Bench::alone(options(10, 100), Some(20_000));
    let others = 0..9_999_i64;
    let others = others.map(|number| StreamName::stored(format!("loan-{number}")));
    let all = others.chain([stream()]).map(|stream| (stream, 0, parked(3, 3, Some("no luck"))));
    bench.machine.answer(Input::Notes(Ok(all.collect())), bench.now);
    bench
}

#[test]
fn more_than_may_be_parked_in_all_is_not_parked_behind_either() {
    let mut bench = full();
    let actions = bench.answer(page(&[20_001]));
    assert!(!actions.iter().any(|it| matches!(it, Action::Park(..))), "{actions:?}");
    assert!(bench.machine.take_overflow());
    let last = Record { is_last: true, ..record(20_000) };
    assert!(actions.contains(&Action::Record(0, last)), "{actions:?}");
    // What is still under way is waited for.
    bench.answer(page(&[]));
    assert_eq!(bench.answer(Input::Recorded(0, Ok(()))), [Action::Stop(Stop::Failed)]);
}

#[test]
fn what_is_parked_already_is_passed_though_the_lot_is_full() {
    let mut bench = full();
    let queue = parked(3, 20_001, Some("no luck"));
    let mut known = queue.clone();
    known.noted(Note::ReplayAsked { position: Position::START }, Position::START.next());
    bench.machine.answer(Input::Notes(Ok(vec![(stream(), 0, known)])), bench.now);
    let actions = bench.answer(page(&[20_001]));
    assert!(actions.contains(&Action::Park(20_001, Cause::Behind)), "{actions:?}");
    assert!(!bench.machine.take_overflow());
}
