//! Faults that the simulation of the testkit found, each as the shortest history that shows it.

use super::*;

#[test]
fn a_lane_is_not_taken_again_before_what_was_under_way_is_over() {
    let mut bench = Bench::leased(options(10, 100), &[(0, Progress::at(4))]);
    assert!(bench.answer(page(&[5])).contains(&Action::Handle(5, None)));
    // It was paused for longer than its lease, and gets the lane back.
    assert!(bench.after(TERM).contains(&Action::Renew));
    assert_eq!(bench.machine.lanes().next(), None);
    assert_eq!(bench.answer(held([0])), []);
    assert_eq!(bench.machine.running(), 1);
    assert_eq!(bench.answer(handled(5)), [Action::Renew]);
    assert_eq!(bench.answer(held([0])), [Action::ReadProgress(0)]);
}

#[test]
fn a_lane_that_is_too_many_is_given_up_even_before_it_is_begun_with() {
    let mut bench = Bench::leased(options(10, 100), &[(0, Progress::at(4))]);
    bench.now += TERM / 3;
    assert!(bench.ask().contains(&Action::Renew));
    let too_many = Input::Held(Ok((vec![0, 1], vec![1])));
    assert!(bench.answer(too_many).contains(&Action::Release(1)));
}

#[test]
fn a_commit_whose_reply_was_lost_is_not_recorded_over() {
    let options = Options { transactional: true, ..options(10, 1) };
    let mut bench = Bench::alone(options, Some(4));
    let actions = bench.answer(page(&[5, 6]));
    let with = Progress::at(5);
    assert!(actions.contains(&Action::Handle(5, Some(with.clone()))), "{actions:?}");
    bench.answer(page(&[]));
    let lost = Input::Handled(5, Outcome::Fault(Fault::Unavailable));
    let is_record = |action: &Action| matches!(action, Action::Record(..));
    assert!(!bench.answer(lost).iter().any(is_record));
    let actions = bench.after(Duration::from_secs(5));
    assert!(actions.contains(&Action::Handle(5, Some(with))), "{actions:?}");
    assert!(!actions.iter().any(is_record), "{actions:?}");
}

#[test]
fn what_was_begun_before_is_still_recorded_when_a_lane_is_taken_or_left() {
    let options = Options { crashes: Some(3), ..options(10, 100) };
    let alone = Began::Alone(5, 1);
    let machine = Machine::new(options, Unit::GlobalPosition, Sharing::Leased(TERM));
    let mut bench = Bench { machine, now: Duration::ZERO };
    bench.ask();
    bench.answer(held([0]));
    let actions = bench.answer(Input::Progress(0, Ok(Some(began(4, alone)))));
    let taken = Record { began: Some(alone), ..record(4) };
    assert_eq!(actions, [Action::Record(0, taken)]);
    bench.answer(Input::Recorded(0, Ok(())));
    bench.answer(Input::Notes(Ok(vec![])));
    assert!(
        bench
            .answer(page(&[5]))
            .contains(&Action::Record(0, Record { began: Some(Began::Alone(5, 2)), ..record(4) }))
    );
    bench.stop();
    let actions = bench.answer(Input::Recorded(0, Ok(())));
    // It was not begun with, so that is no crash more.
    let left = Record { began: Some(alone), is_last: true, ..record(4) };
    assert!(actions.contains(&Action::Record(0, left)), "{actions:?}");
}

#[test]
fn the_suspects_of_two_lanes_are_tested_one_after_another() {
    let options = Options { crashes: Some(1), concurrency: 4, ..options(10, 100) };
    let lanes = [(0, began(4, Began::Ahead(5))), (1, began(4, Began::Ahead(6)))];
    let mut bench = Bench::leased(options, &lanes);
    let items = vec![item(5, 0), item(6, 1)];
    let both = Input::Page(Ok(Page { items, scanned: Some(6), ..Page::default() }));
    let marks = |actions: &[Action]| {
        let is_mark = |it: &&Action| {
            matches!(it, Action::Record(_, Record { began: Some(Began::Alone(..)), .. }))
        };
        actions.iter().filter(is_mark).cloned().collect::<Vec<_>>()
    };
    let alone = |place| Record { began: Some(Began::Alone(place, 0)), ..record(place - 1) };
    let actions = bench.answer(both);
    assert_eq!(marks(&actions), [Action::Record(0, alone(5))]);
    assert!(bench.answer(Input::Recorded(0, Ok(()))).contains(&Action::Handle(5, None)));
    // Before the next, it is recorded that this one is over.
    let actions = bench.answer(handled(5));
    assert_eq!(marks(&actions), []);
    assert!(matches!(actions[..], [Action::Record(0, Record { began: None, .. }), ..]));
    let actions = bench.answer(Input::Recorded(0, Ok(())));
    assert!(matches!(marks(&actions)[..], [Action::Record(1, _)]), "{actions:?}");
}

#[test]
fn a_message_whose_parking_was_lost_is_parked_and_not_handled_again() {
    let mut bench = Bench::alone(options(10, 100), None);
    bench.answer(page(&[1]));
    let failed = Outcome::Failed(ErrorPolicy::park().retries(0));
    let park = Action::Park(1, Cause::Failed(1));
    assert_eq!(bench.answer(Input::Handled(1, failed)), std::slice::from_ref(&park));
    bench.answer(Input::Parked(1, Err(Fault::Unavailable)));
    let actions = bench.after(Duration::from_secs(5));
    assert!(actions.contains(&park), "{actions:?}");
}

#[test]
fn a_parked_message_is_not_replayed_before_it_is_recorded_as_passed_where_effects_are_committed() {
    let options = Options { transactional: true, ..options(10, 100) };
    let mut bench = Bench::alone(options, Some(4));
    // Who had it before parked the message and did not live to record that.
    bench.machine.answer(page(&[5]), bench.now);
    let notes = vec![(item(5, 0).stream, 0, parked(0, 5, None))];
    bench.machine.answer(Input::Notes(Ok(notes.clone())), bench.now);
    let actions = bench.ask();
    assert!(actions.contains(&Action::Park(5, Cause::Behind)), "{actions:?}");
    let is_replay = |action: &Action| matches!(action, Action::Replay(..));
    assert!(!actions.iter().any(is_replay), "{actions:?}");
    let parked = notes[0].2.clone();
    bench.answer(Input::Parked(5, Ok(parked)));
    bench.answer(page(&[]));
    let actions = bench.answer(Input::Recorded(0, Ok(())));
    assert!(actions.iter().any(is_replay), "{actions:?}");
}

#[test]
fn who_stands_still_says_so_once() {
    let options = Options { parked_limit: 1, ..options(10, 100) };
    let mut bench = Bench::alone(options, Some(4));
    let stream = item(5, 0).stream;
    let notes = vec![(stream, 0, parked(0, 3, Some("no luck")))];
    bench.machine.answer(Input::Notes(Ok(notes)), bench.now);
    bench.answer(page(&[5]));
    bench.answer(page(&[]));
    let actions = bench.after(Duration::from_secs(10));
    let held = Record { is_held: true, ..record(4) };
    assert!(actions.contains(&Action::Record(0, held)), "{actions:?}");
    let actions = bench.answer(Input::Recorded(0, Ok(())));
    assert!(!actions.iter().any(|it| matches!(it, Action::Record(..))), "{actions:?}");
}

#[test]
fn a_lane_that_was_given_up_is_not_taken_by_an_older_answer() {
    let mut bench = Bench::leased(options(10, 100), &[(0, Progress::at(4)), (1, Progress::at(4))]);
    bench.answer(page(&[]));
    assert!(bench.after(TERM / 3).contains(&Action::Renew));
    let too_many = Input::Held(Ok((vec![0, 1], vec![1])));
    assert!(bench.answer(too_many).contains(&Action::Release(1)));
    let renewed = bench.after(TERM / 3);
    assert!(renewed.contains(&Action::Renew), "{renewed:?}");
    bench.answer(Input::Released(1, Ok(())));
    let actions = bench.answer(held([0, 1]));
    assert!(!actions.contains(&Action::ReadProgress(1)), "{actions:?}");
    assert_eq!(bench.machine.lanes().collect::<Vec<_>>(), [0]);
}

#[test]
fn an_answer_that_is_older_than_the_notes_parks_nothing() {
    let mut bench = Bench::alone(options(10, 100), None);
    bench.answer(page(&[1]));
    let failed = Outcome::Failed(ErrorPolicy::park().retries(0));
    bench.answer(Input::Handled(1, failed));
    // It is parked, and a person gives it up at once, before the answer comes.
    let queue = parked(0, 1, Some("no luck"));
    let mut later = queue.clone();
    let version = Position::START.next();
    later.noted(Note::Discarded { position: Position::START, reason: None }, version);
    bench.answer(Input::Notes(Ok(vec![(item(1, 0).stream, 0, later)])));
    bench.answer(Input::Parked(1, Ok(queue)));
    assert_eq!(bench.machine.parked(), 0);
    assert_eq!(bench.machine.ahead(), 0);
}

#[test]
fn a_lane_that_comes_while_nothing_is_left_to_read_is_read_at_once() {
    let mut bench = Bench::leased(options(10, 100), &[(0, Progress::at(4))]);
    bench.answer(page(&[]));
    assert!(bench.machine.is_caught_up());
    bench.now += TERM / 3;
    assert!(bench.ask().contains(&Action::Renew));
    bench.answer(page(&[]));
    bench.answer(held([0, 1]));
    bench.answer(Input::Progress(1, Ok(None)));
    let mut actions = bench.answer(Input::Recorded(1, Ok(())));
    assert!(!bench.machine.is_caught_up(), "it has not read what the lane holds");
    // Notes that were being read when the lane came do not count for it.
    for _ in 0..2 {
        actions.extend(bench.answer(Input::Notes(Ok(vec![]))));
    }
    let is_read = |action: &Action| matches!(action, Action::Fetch(_, lanes) if lanes.contains(&1));
    assert!(actions.iter().any(is_read), "{actions:?}");
}

/// Whether the one suspect is parked, when a lease is lost after its test was recorded, and the lane is had
/// again with this record in it.
fn is_parked_after_a_lost_lease(found: Began) -> bool {
    let options = Options { crashes: Some(1), ..options(10, 100) };
    let mut bench = Bench::leased(options, &[(0, began(4, Began::Ahead(5)))]);
    let test = bench.answer(page(&[5]));
    let is_test = |it: &Action| {
        matches!(it, Action::Record(0, Record { began: Some(Began::Alone(5, 0)), .. }))
    };
    assert!(test.iter().any(is_test), "{test:?}");
    bench.answer(held([]));
    bench.answer(Input::Recorded(0, Ok(())));
    bench.after(ms(1000));
    bench.answer(held([0]));
    bench.answer(Input::Progress(0, Ok(Some(began(4, found)))));
    bench.answer(Input::Recorded(0, Ok(())));
    while bench.answer(Input::Notes(Ok(vec![]))).contains(&Action::ReadNotes) {}
    // That of the page that was asked for before, and then that of this lane.
    assert_eq!(bench.answer(page(&[])), [Action::Fetch(5, vec![0])]);
    bench.answer(page(&[5])).iter().any(|it| matches!(it, Action::Park(..)))
}

/// It was found by the simulation.
#[test]
fn who_finds_his_own_test_after_a_lost_lease_had_no_crash() {
    assert!(!is_parked_after_a_lost_lease(Began::Alone(5, 0)));
}

#[test]
fn who_finds_the_test_of_another_after_a_lost_lease_counts_it() {
    assert!(is_parked_after_a_lost_lease(Began::Alone(5, 1)));
}

#[test]
fn notes_that_are_older_than_the_end_of_a_replay_bring_nothing_back() {
    let mut bench = Bench::alone(options(10, 100), Some(4));
    let stream = item(5, 9).stream;
    let old = parked(0, 3, None);
    assert!(bench.after(Duration::from_secs(1)).contains(&Action::ReadNotes));
    let actions = bench.answer(Input::Notes(Ok(vec![(stream.clone(), 0, old.clone())])));
    assert!(actions.contains(&Action::Replay(stream.clone(), Position::START)), "{actions:?}");
    assert!(bench.after(Duration::from_secs(1)).contains(&Action::ReadNotes));
    let mut none = old.clone();
    none.noted(Note::Replayed { position: Position::START }, Position::START.next());
    bench.answer(Input::Replayed(stream.clone(), Outcome::Done, none));
    let actions = bench.answer(Input::Notes(Ok(vec![(stream.clone(), 0, old.clone())])));
    assert_eq!((bench.machine.parked(), actions), (0, vec![]));
    // What is read from then on counts.
    assert!(bench.after(Duration::from_secs(1)).contains(&Action::ReadNotes));
    bench.answer(Input::Notes(Ok(vec![(stream, 0, old)])));
    assert_eq!(bench.machine.parked(), 1);
}

#[test]
fn a_lane_that_is_kept_after_its_last_record_was_asked_for_is_recorded_again_before_it_is_given_up()
{
    let mut bench = Bench::leased(options(10, 100), &[(0, Progress::at(4)), (1, Progress::at(4))]);
    bench.answer(page(&[5]));
    bench.answer(handled(5));
    let last = |done| Action::Record(0, Record { is_last: true, ..record(done) });
    let is_renew = |action: &Action| *action == Action::Renew;
    assert!(bench.after(TERM / 3).iter().any(is_renew));
    let too_many = Input::Held(Ok((vec![0, 1], vec![0])));
    assert!(bench.answer(too_many.clone()).contains(&last(5)));
    assert!(bench.after(TERM / 3).iter().any(is_renew));
    bench.answer(held([0, 1]));
    bench.answer(Input::Recorded(0, Ok(())));
    bench.answer(page(&[6]));
    bench.answer(handled(6));
    assert!(bench.after(TERM / 3).iter().any(is_renew));
    let actions = bench.answer(too_many);
    assert!(actions.contains(&last(6)), "{actions:?}");
    assert!(!actions.contains(&Action::Release(0)), "{actions:?}");
    assert!(bench.answer(Input::Recorded(0, Ok(()))).contains(&Action::Release(0)));
}

#[test]
fn what_stands_before_all_that_is_parked_of_a_full_stream_is_parked_too() {
    let options = Options { transactional: true, parked_limit: 1, ..options(10, 100) };
    let mut bench = Bench::alone(options, Some(4));
    // 5 was parked and given up, and the process ended before it recorded that 5 is passed.
    bench.machine.answer(page(&[5, 6]), bench.now);
    let notes = vec![(item(5, 0).stream, 0, parked(1, 6, None))];
    let actions = bench.answer(Input::Notes(Ok(notes)));
    assert!(actions.contains(&Action::Park(5, Cause::Behind)), "{actions:?}");
}

#[test]
fn a_replay_does_not_begin_beside_a_message_of_its_stream() {
    let mut bench = Bench::alone(Options { concurrency: 2, ..options(10, 100) }, Some(4));
    assert!(bench.answer(page(&[5])).contains(&Action::Handle(5, None)));
    // Who had the lane before parked one after his lease.
    let notes = vec![(item(5, 0).stream, 0, parked(0, 4, None))];
    let is_replay = |action: &Action| matches!(action, Action::Replay(..));
    assert!(!bench.answer(Input::Notes(Ok(notes))).iter().any(is_replay));
    assert!(bench.answer(handled(5)).iter().any(is_replay));
}
