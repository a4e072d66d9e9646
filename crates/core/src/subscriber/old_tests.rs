//! The laws of the machine, over any history of answers.

use proptest::prelude::*;

use super::*;
use crate::store::BatchSize;

/// How the world behaves at each step: what answer an action gets, and how much time goes by.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Good,
    Unavailable,
    Failed,
    Hopeless,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        6 => Just(Luck::Good),
        1 => Just(Luck::Unavailable),
        2 => Just(Luck::Failed),
        1 => Just(Luck::Hopeless),
    ]
}

#[derive(Debug, Default)]
struct Seen {
    handled: Vec<Place>,
    recorded: Option<Place>,
    idle: bool,
    /// The last record that was asked for was not taken.
    is_record_lost: bool,
    stopped: Option<Stop>,
}

/// Drives a machine over a log that holds the places `log`, and checks the laws at each action.
fn drive(options: Options, log: &[Place], lucks: &[(Luck, u64)], stop_at: Option<usize>) -> Seen {
    let limit = options.batch_size.as_len();
    let (mut machine, mut action) = Machine::new(options, Unit::GlobalPosition);
    let mut seen = Seen::default();
    let mut page: Vec<Place> = Vec::new();
    let mut now = Duration::ZERO;
    for (step, (luck, millis)) in lucks.iter().enumerate() {
        if stop_at == Some(step) {
            machine.stop();
        }
        now += Duration::from_millis(*millis);
        if let Action::Record(_) = action {
            seen.is_record_lost = matches!(luck, Luck::Unavailable);
        }
        let answer = match (&action, luck) {
            (Action::Stop(why), _) => {
                seen.stopped = Some(*why);
                return seen;
            }
            (Action::Wait(_, why), _) => {
                seen.idle = *why == Why::Idle;
                if seen.idle {
                    assert_eq!(seen.recorded, machine.done(), "idle without a record");
                }
                Input::Waited
            }
            (Action::Skip(at), _) | (Action::Handle(at), Luck::Good) => {
                seen.handled.push(page[*at]);
                Input::Done
            }
            (Action::Handle(_), Luck::Hopeless) => Input::Hopeless,
            (Action::Handle(_) | Action::Fetch(_), Luck::Failed) => Input::Failed,
            (_, Luck::Unavailable) => Input::Unavailable,
            (Action::ReadProgress, _) => Input::Progress(seen.recorded),
            (Action::Fetch(from), _) => {
                page = log.iter().copied().filter(|place| place >= from).take(limit).collect();
                Input::Page(page.clone())
            }
            (Action::Record(place), _) => {
                assert!(seen.handled.last() >= Some(place), "progress passed unfinished work");
                seen.recorded = Some(*place);
                Input::Done
            }
        };
        action = machine.next(answer, now);
    }
    seen
}

fn options(then: Then, batch: i64, interval: u32) -> Options {
    let errors = if then == Then::Skip { ErrorPolicy::skip() } else { ErrorPolicy::stop() };
    Options {
        batch_size: BatchSize::new(batch).unwrap(),
        progress_interval: interval,
        errors,
        ..Options::default()
    }
}

proptest! {
    #[test]
    fn every_message_is_handled_once_in_order_and_progress_stays_behind(
        gaps in prop::collection::vec(1_i64..4, 0..30),
        lucks in prop::collection::vec((luck(), 0_u64..4000), 0..200),
        batch in 1_i64..7,
        interval in 1_u32..9,
        skip in any::<bool>(),
        stop_at in prop::option::of(0_usize..200),
    ) {
        let log: Vec<Place> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let then = if skip { Then::Skip } else { Then::Stop };
        let seen = drive(options(then, batch, interval), &log, &lucks, stop_at);
        prop_assert_eq!(&seen.handled[..], &log[..seen.handled.len()]);
        if seen.idle {
            prop_assert_eq!(&seen.handled, &log, "idle before the end of the log");
        }
        if seen.stopped.is_some() && !seen.is_record_lost {
            prop_assert_eq!(seen.recorded, seen.handled.last().copied(), "stopped without a record");
        }
    }
}

fn good(steps: usize) -> Vec<(Luck, u64)> {
    vec![(Luck::Good, 1); steps]
}

#[test]
fn progress_is_recorded_by_count() {
    // Read progress, fetch, then two messages and a record, and again.
    let seen = drive(options(Then::Stop, 10, 2), &[1, 2, 3, 4, 5], &good(6), None);
    assert_eq!((seen.handled.len(), seen.recorded), (3, Some(2)));
}

#[test]
fn progress_is_recorded_by_time() {
    // The first message is done 12 s after the progress was read, the second 6 s after the record.
    let slow = vec![(Luck::Good, 6_000); 5];
    let seen = drive(options(Then::Stop, 10, 100), &[1, 2, 3, 4, 5], &slow, None);
    assert_eq!((seen.handled.len(), seen.recorded), (2, Some(1)));
}

#[test]
fn a_message_that_keeps_failing_stops_the_subscriber_before_it() {
    let (mut machine, _) = Machine::new(options(Then::Stop, 10, 100), Unit::GlobalPosition);
    let now = Duration::ZERO;
    assert_eq!(machine.next(Input::Progress(Some(4)), now), Action::Fetch(5));
    assert_eq!(machine.next(Input::Page(vec![5, 6]), now), Action::Handle(0));
    assert_eq!(machine.next(Input::Done, now), Action::Handle(1));
    for delay in [100, 200, 400] {
        let wait = Action::Wait(Duration::from_millis(delay), Why::Retry);
        assert_eq!(machine.next(Input::Failed, now), wait);
        assert_eq!(machine.next(Input::Waited, now), Action::Handle(1));
    }
    assert_eq!(machine.next(Input::Failed, now), Action::Record(5));
    assert_eq!(machine.next(Input::Done, now), Action::Stop(Stop::Failed));
}

#[test]
fn a_message_that_cannot_be_read_is_not_tried_again() {
    let (mut machine, _) = Machine::new(options(Then::Skip, 10, 100), Unit::StreamPosition);
    let now = Duration::ZERO;
    assert_eq!(machine.next(Input::Progress(None), now), Action::Fetch(0));
    assert_eq!(machine.next(Input::Page(vec![0]), now), Action::Handle(0));
    assert_eq!(machine.next(Input::Hopeless, now), Action::Skip(0));
    assert_eq!(machine.next(Input::Done, now), Action::Fetch(1));
}

#[test]
fn a_record_that_was_not_taken_is_asked_for_again() {
    let (mut machine, _) = Machine::new(options(Then::Stop, 10, 100), Unit::GlobalPosition);
    let now = Duration::ZERO;
    machine.next(Input::Progress(None), now);
    machine.next(Input::Page(vec![1]), now);
    machine.next(Input::Done, now);
    assert_eq!(machine.next(Input::Page(vec![]), now), Action::Record(1));
    let wait = Action::Wait(Duration::from_secs(5), Why::Unavailable);
    assert_eq!(machine.next(Input::Unavailable, now), wait);
    assert_eq!(machine.next(Input::Waited, now), Action::Record(1));
}

#[test]
fn options_that_cannot_be_followed_are_refused_by_name() {
    let refused = Options { poll_interval: Duration::ZERO, ..Options::default() }.check();
    assert_eq!(
        refused.unwrap_err().to_string(),
        "poll interval `0s`: it must be longer than nothing"
    );
    assert!(Options { progress_interval: 0, ..Options::default() }.check().is_err());
    assert!(Options { start: Some(-1), ..Options::default() }.check().is_err());
    assert!(Options::default().check().is_ok());
}
