//! Tests of suspects: nothing else is under way while one is tested, so that a crash is its own.

use super::*;

fn is_replay(action: &Action) -> bool {
    matches!(action, Action::Replay(..))
}

/// Something parked of another stream, that may be tried again.
fn due() -> Input {
    Input::Notes(Ok(vec![(StreamName::stored("account-9".to_owned()), 0, parked(0, 3, None))]))
}

fn test_of(place: Place, done: Place) -> Action {
    Action::Record(0, Record { began: Some(Began::Alone(place, 0)), ..record(done) })
}

#[test]
fn a_replay_begins_when_all_suspects_are_over() {
    let options = Options { crashes: Some(1), concurrency: 2, ..options(10, 100) };
    let mut bench = Bench::leased(options, &[(0, began(4, Began::Ahead(6)))]);
    bench.after(Duration::from_secs(1));
    assert!(bench.answer(page(&[5, 6])).contains(&test_of(5, 4)));
    let answers = [
        due(),
        Input::Recorded(0, Ok(())),
        handled(5),
        Input::Recorded(0, Ok(())),
        Input::Recorded(0, Ok(())),
        handled(6),
    ];
    let actions: Vec<_> = answers.into_iter().flat_map(|answer| bench.answer(answer)).collect();
    for action in [Action::Handle(5, None), test_of(6, 5), Action::Handle(6, None)] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    assert!(!actions.iter().any(is_replay), "it is not recorded that 6 is over: {actions:?}");
    let actions = bench.answer(Input::Recorded(0, Ok(())));
    assert!(actions.iter().any(is_replay), "{actions:?}");
}

#[test]
fn a_record_that_is_due_beside_a_replay_begins_no_test() {
    let options = Options { crashes: Some(1), progress_time: ms(100), ..options(2, 100) };
    let mut bench = Bench::leased(options, &[(0, began(2, Began::Ahead(6)))]);
    bench.after(Duration::from_secs(1));
    assert!(bench.answer(due()).iter().any(is_replay));
    let full = Page { scanned: Some(4), is_full: true, ..Page::default() };
    let mut due = bench.answer(Input::Page(Ok(full)));
    due.extend(bench.answer(page(&[5, 6])));
    let begun = Action::Record(0, Record { began: Some(Began::Ahead(6)), ..record(4) });
    assert!(due.contains(&begun), "{due:?}");
    bench.answer(Input::Recorded(0, Ok(())));
    let stream = StreamName::stored("account-9".to_owned());
    let mut none = parked(0, 3, None);
    none.noted(Note::Replayed { position: Position::START }, Position::START.next());
    let actions = bench.answer(Input::Replayed(stream, Outcome::Done, none));
    assert!(actions.contains(&test_of(5, 4)), "{actions:?}");
}

#[test]
fn nothing_begins_before_it_is_recorded_that_a_test_in_a_lost_lane_is_over() {
    let options = Options { crashes: Some(1), ..options(10, 100) };
    let other = Progress::at(4);
    let mut bench = Bench::leased(options, &[(0, began(4, Began::Ahead(5))), (1, other.clone())]);
    let actions = bench.answer(page(&[5]));
    assert!(actions.contains(&test_of(5, 4)), "{actions:?}");
    bench.answer(Input::Recorded(0, Ok(())));
    bench.answer(page(&[]));
    bench.answer(handled(5));
    bench.answer(held([]));
    bench.answer(Input::Recorded(0, Ok(())));
    bench.after(ms(1000));
    bench.answer(held([0, 1]));
    bench.answer(Input::Progress(1, Ok(Some(other))));
    bench.answer(Input::Recorded(1, Ok(())));
    while bench.answer(Input::Notes(Ok(vec![]))).contains(&Action::ReadNotes) {}
    let items = vec![item(6, 1)];
    bench.answer(Input::Page(Ok(Page { items, scanned: Some(6), ..Page::default() })));
    let marked = bench.answer(Input::Recorded(1, Ok(())));
    assert_eq!(bench.machine.running(), 0, "{marked:?}");
    bench.answer(Input::Progress(0, Ok(Some(began(4, Began::Alone(5, 0))))));
    bench.answer(Input::Recorded(0, Ok(())));
    while bench.answer(Input::Notes(Ok(vec![]))).contains(&Action::ReadNotes) {}
    let mut actions = bench.answer(page(&[]));
    actions.extend(bench.answer(Input::Recorded(1, Ok(()))));
    assert!(actions.contains(&Action::Handle(6, None)), "{actions:?}");
}

#[test]
fn suspects_that_are_there_no_more_are_left_and_it_comes_to_rest() {
    let options = Options { crashes: Some(1), ..options(10, 100) };
    let mut bench = Bench::leased(options, &[(0, began(4, Began::Ahead(9)))]);
    let actions = bench.answer(page(&[]));
    assert!(!actions.iter().any(|it| matches!(it, Action::Record(..))), "{actions:?}");
    assert!(bench.machine.is_caught_up());
}

#[test]
fn a_test_ends_where_the_message_is_kept_back() {
    let error_delay = ms(500);
    let options = Options { crashes: Some(1), parked_limit: 1, error_delay, ..options(10, 100) };
    let mut bench = Bench::leased(options, &[(0, began(4, Began::Ahead(5)))]);
    assert!(bench.answer(page(&[5])).contains(&test_of(5, 4)));
    assert!(bench.answer(Input::Recorded(0, Ok(()))).contains(&Action::Handle(5, None)));
    bench.answer(Input::Handled(5, Outcome::Fault(Fault::Unavailable)));
    // Who had the lane before parked one of the stream after his lease, and there is room for no more.
    bench.answer(Input::Notes(Ok(vec![(item(5, 0).stream, 0, parked(0, 3, None))])));
    let actions = bench.after(error_delay);
    let began = Some(Began::Ahead(5));
    let over = Action::Record(0, Record { began, is_held: true, ..record(4) });
    assert!(actions.contains(&over), "{actions:?}");
    let actions = bench.answer(Input::Recorded(0, Ok(())));
    assert!(actions.iter().any(is_replay), "{actions:?}");
}
