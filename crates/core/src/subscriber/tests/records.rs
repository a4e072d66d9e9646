//! What a record says, and when one is made: of a start, of what was passed by, of what stands still.

use super::*;

fn scanned(to: Place) -> Input {
    Input::Page(Ok(Page { items: vec![], scanned: Some(to), ..Page::default() }))
}

fn records(actions: &[Action]) -> Vec<(Lane, Record)> {
    let record = |action: &Action| match action {
        Action::Record(lane, record) => Some((*lane, *record)),
        _ => None,
    };
    actions.iter().filter_map(record).collect()
}

/// One that is to start at this place, and has no record.
fn starting(at: Place, crashes: Option<u32>, unit: Unit) -> Bench {
    let options = Options { start: Some(at), crashes, ..options(10, 100) };
    let machine = Machine::new(options, unit, Sharing::Alone);
    let mut bench = Bench { machine, now: Duration::ZERO };
    bench.ask();
    bench.answer(Input::Progress(0, Ok(None)));
    assert_eq!(bench.answer(Input::Notes(Ok(vec![]))), [Action::Fetch(at, vec![0])]);
    bench
}

#[test]
fn what_fails_first_is_recorded_after_the_start() {
    for (at, unit, done) in [
        (1000, Unit::GlobalPosition, Some(999)),
        (1, Unit::StreamPosition, Some(0)),
        (0, Unit::StreamPosition, None),
        (0, Unit::GlobalPosition, None),
    ] {
        let mut bench = starting(at, None, unit);
        bench.answer(page(&[at]));
        bench.answer(page(&[]));
        let failed = Outcome::Failed(ErrorPolicy::stop().retries(0));
        let actions = bench.answer(Input::Handled(at, failed));
        let last = Record { done, is_last: true, ..record(0) };
        assert_eq!(records(&actions), [(0, last)], "from {at} by {unit}");
    }
}

#[test]
fn what_is_begun_first_is_recorded_after_the_start() {
    let mut bench = starting(1000, Some(3), Unit::GlobalPosition);
    let begun = Record { began: Some(Began::Ahead(1000)), ..record(999) };
    assert_eq!(records(&bench.answer(page(&[1000]))), [(0, begun)]);
}

#[test]
fn a_lane_is_taken_before_its_start() {
    let options = Options { start: Some(1000), ..options(10, 100) };
    let machine = Machine::new(options, Unit::GlobalPosition, Sharing::Leased(TERM));
    let mut bench = Bench { machine, now: Duration::ZERO };
    bench.ask();
    bench.answer(held([0]));
    let actions = bench.answer(Input::Progress(0, Ok(None)));
    assert_eq!(records(&actions), [(0, record(999))]);
}

#[test]
fn what_was_only_passed_by_is_recorded_in_time_where_that_is_asked_for() {
    let options = Options { records_passed: true, ..options(10, 100) };
    let mut bench = Bench::alone(options, Some(4));
    assert_eq!(records(&bench.answer(scanned(5))), []);
    assert_eq!(records(&bench.after(Duration::from_secs(10))), [(0, record(5))]);
    bench.answer(Input::Recorded(0, Ok(())));
    assert_eq!(records(&bench.answer(scanned(5))), []);
    assert_eq!(records(&bench.after(Duration::from_secs(10))), []);
}

#[test]
fn what_was_only_passed_by_is_recorded_when_it_is_a_batch() {
    let mut bench = Bench::alone(options(10, 100), Some(4));
    bench.answer(scanned(13));
    let late = Duration::from_secs(10);
    assert_eq!(records(&bench.after(late)), []);
    // It looks again, and finds nothing but what others, or itself, have written beside.
    assert_eq!(records(&bench.answer(scanned(14))), [(0, record(14))]);
    bench.answer(Input::Recorded(0, Ok(())));
    // The record itself is passed by next, and no reason for another.
    for _ in 0..5 {
        bench.after(late);
        assert_eq!(records(&bench.answer(scanned(15))), []);
    }
    assert_eq!(records(&bench.stop()), [(0, Record { is_last: true, ..record(15) })]);
}

/// Parks one message of the stream of a lane, so that there is no room for another.
fn full(lane: Lane) -> Input {
    Input::Notes(Ok(vec![(item(3, lane).stream, lane, parked(0, 3, Some("no luck")))]))
}

#[test]
fn a_stream_without_room_holds_its_own_lane_alone_and_all_the_time() {
    let options = Options { parked_limit: 1, ..options(10, 100) };
    let lanes = [(0, Progress::at(4)), (1, Progress::at(4))];
    let mut bench = Bench::leased(options, &lanes);
    bench.machine.answer(full(0), bench.now);
    bench.answer(Input::Page(Ok(Page {
        items: vec![item(5, 0), item(6, 1)],
        scanned: Some(6),
        ..Page::default()
    })));
    let mut seen = records(&bench.answer(handled(6)));
    assert_eq!(bench.machine.full_stream(0), Some(&item(5, 0).stream));
    assert_eq!(bench.machine.full_stream(1), None);
    for _ in 0..40 {
        let actions = bench.after(ms(500));
        seen.extend(records(&actions));
        for action in actions {
            let answer = match action {
                Action::Record(lane, _) => Input::Recorded(lane, Ok(())),
                Action::Renew => held([0, 1]),
                Action::Fetch(..) => page(&[]),
                Action::ReadNotes => Input::Notes(Ok(vec![])),
                _ => continue,
            };
            bench.machine.answer(answer, bench.now);
        }
    }
    seen.sort_by_key(|(lane, _)| *lane);
    assert_eq!(seen, [(0, Record { is_held: true, ..record(4) }), (1, record(6))]);
}

#[test]
fn what_waits_for_room_goes_on_when_there_is_some() {
    let options = Options { parked_limit: 1, ..options(10, 100) };
    let mut bench = Bench::alone(options, Some(4));
    bench.machine.answer(full(0), bench.now);
    assert!(!bench.answer(page(&[5])).contains(&Action::Handle(5, None)));
    let mut queue = parked(0, 3, Some("no luck"));
    let given_up = Note::Discarded { position: Position::START, reason: None };
    queue.noted(given_up, Position::START.next());
    let notes = Input::Notes(Ok(vec![(item(3, 0).stream, 0, queue)]));
    assert!(bench.answer(notes).contains(&Action::Handle(5, None)));
    assert_eq!(bench.machine.full_stream(0), None);
}

#[test]
fn who_was_held_and_commits_stands_still_no_more() {
    let options = Options { transactional: true, ..options(10, 100) };
    let mut bench = Bench::alone(options, Some(4));
    bench.answer(page(&[5, 6]));
    bench.answer(page(&[]));
    let fail = |bench: &mut Bench| {
        let policy = ErrorPolicy::stop().delays(Duration::from_secs(11), Duration::from_secs(11));
        bench.answer(Input::Handled(5, Outcome::Failed(policy)));
        bench.after(Duration::from_secs(10))
    };
    let held = Record { is_held: true, ..record(4) };
    assert_eq!(records(&fail(&mut bench)), [(0, held)]);
    bench.answer(Input::Recorded(0, Ok(())));
    bench.answer(page(&[]));
    bench.after(Duration::from_secs(1));
    bench.answer(Input::Handled(5, Outcome::Committed));
    bench.answer(page(&[]));
    let mut actions = bench.answer(Input::Handled(6, Outcome::Committed));
    actions.extend(bench.answer(page(&[])));
    assert_eq!(
        records(&actions),
        [],
        "the record of 6 was committed with it, and says nothing of a hold"
    );
}

/// No page, for a writer has not ended.
fn held_up() -> Input {
    Input::Page(Ok(Page { scanned: Some(5), is_held_up: true, ..Page::default() }))
}

#[test]
fn who_is_held_up_has_not_caught_up_and_says_so_until_it_goes_on() {
    let mut bench = Bench::alone(options(10, 100), Some(4));
    bench.answer(page(&[5]));
    bench.answer(handled(5));
    let held = Record { is_held: true, ..record(5) };
    assert_eq!(records(&bench.answer(held_up())), [(0, held)]);
    bench.answer(Input::Recorded(0, Ok(())));
    for _ in 0..30 {
        assert!(!bench.machine.is_caught_up());
        assert_eq!(bench.after(ms(500)).pop(), Some(Action::Fetch(6, vec![0])), "it looks again");
        assert_eq!(records(&bench.answer(held_up())), [], "that is said once");
    }
    bench.after(ms(500));
    bench.answer(page(&[6]));
    assert_eq!(records(&bench.answer(handled(6))), [(0, record(6))]);
    bench.answer(Input::Recorded(0, Ok(())));
    bench.answer(page(&[]));
    assert!(bench.machine.is_caught_up());
}

#[test]
fn who_is_held_up_says_so_after_a_while_though_it_did_nothing_before() {
    let mut bench = Bench::alone(options(10, 100), Some(4));
    let held_up = Page { scanned: Some(4), is_held_up: true, ..Page::default() };
    assert_eq!(records(&bench.answer(Input::Page(Ok(held_up)))), []);
    let held = Record { is_held: true, ..record(4) };
    assert_eq!(records(&bench.after(Duration::from_secs(10))), [(0, held)]);
    bench.answer(Input::Recorded(0, Ok(())));
    assert_eq!(records(&bench.answer(page(&[]))), [(0, record(4))], "it is over");
}

#[test]
fn a_lot_that_is_full_is_told_apart_from_the_failure_of_the_message() {
    let mut bench = Bench::alone(options(10, 100), None);
    let mut queue = ParkedQueue::default();
    for position in 0..10_000 {
        let note = Note::Parked {
            position: Position::new(position).unwrap(),
            global_position: (position + 1).try_into().unwrap(),
            message_id: uuid::Uuid::nil(),
            message_type: "Deposited".into(),
            reason: None,
            attempts: 0,
            is_replay: false,
        };
        queue.noted(note, Position::new(position).unwrap());
    }
    let other = StreamName::stored("account-9".to_owned());
    bench.answer(page(&[20_000]));
    bench.answer(Input::Notes(Ok(vec![(other, 0, queue)])));
    let failed = |policy: ErrorPolicy| Input::Handled(20_000, Outcome::Failed(policy.retries(0)));
    assert!(!bench.machine.take_overflow());
    bench.answer(failed(ErrorPolicy::park()));
    assert!(bench.machine.take_overflow() && bench.machine.is_failing());
}
