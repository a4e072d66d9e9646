//! The laws of the machine, over any history of answers; in `records.rs` what is recorded, in
//! `suspects.rs` what is begun after a crash, in `found.rs` the faults that the simulation found.

mod found;
mod parked;
mod records;
mod suspects;

use proptest::prelude::*;

use super::*;
use crate::store::{BatchSize, Note, Unit};

const TERM: Duration = Duration::from_secs(3);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn options(batch: i64, interval: u32) -> Options {
    let batch_size = BatchSize::new(batch).unwrap();
    let progress_pause = Duration::ZERO;
    Options { batch_size, progress_interval: interval, progress_pause, ..Options::default() }
}

fn item(place: Place, lane: Lane) -> Item {
    Item { place, stream: StreamName::stored(format!("account-{lane}")), lane }
}

fn page(places: &[Place]) -> Input {
    let items = places.iter().map(|place| item(*place, 0)).collect();
    Input::Page(Ok(Page { items, scanned: places.last().copied(), ..Page::default() }))
}

fn handled(place: Place) -> Input {
    Input::Handled(place, Outcome::Done)
}

fn record(done: Place) -> Record {
    Record { done: Some(done), began: None, is_held: false, is_last: false }
}

fn parked(position: i64, place: Place, reason: Option<&str>) -> ParkedQueue {
    let mut queue = ParkedQueue::default();
    let note = Note::Parked {
        position: Position::new(position).unwrap(),
        global_position: place.try_into().unwrap(),
        message_id: uuid::Uuid::nil(),
        message_type: "Deposited".into(),
        reason: reason.map(Into::into),
        attempts: 1,
        is_replay: false,
    };
    queue.noted(note, Position::START);
    queue
}

/// A machine, and the time it is told.
struct Bench {
    machine: Machine,
    now: Duration,
}

impl Bench {
    /// One by itself that knows its progress and the notes, and asks for its first page.
    fn alone(options: Options, done: Option<Place>) -> Self {
        let machine = Machine::new(options, Unit::GlobalPosition, Sharing::Alone);
        let mut bench = Self { machine, now: Duration::ZERO };
        assert_eq!(bench.ask(), [Action::ReadProgress(0)]);
        let progress = Input::Progress(0, Ok(done.map(Progress::at)));
        assert_eq!(bench.answer(progress), [Action::ReadNotes]);
        let from = done.map_or(0, |done| done + 1);
        assert_eq!(bench.answer(Input::Notes(Ok(vec![]))), [Action::Fetch(from, vec![0])]);
        bench
    }

    /// One that holds these lanes, with what is recorded of each, and asks for its first page.
    fn leased(options: Options, lanes: &[(Lane, Progress)]) -> Self {
        let machine = Machine::new(options, Unit::GlobalPosition, Sharing::Leased(TERM));
        let mut bench = Self { machine, now: Duration::ZERO };
        assert_eq!(bench.ask(), [Action::Renew]);
        bench.answer(held(lanes.iter().map(|(lane, _)| *lane)));
        for (lane, progress) in lanes {
            bench.answer(Input::Progress(*lane, Ok(Some(progress.clone()))));
            bench.answer(Input::Recorded(*lane, Ok(())));
        }
        // What was asked for before the last lane was known is too old, and asked for again.
        while bench.answer(Input::Notes(Ok(vec![]))).contains(&Action::ReadNotes) {}
        bench
    }

    fn ask(&mut self) -> Vec<Action> {
        let (machine, now) = (&mut self.machine, self.now);
        let actions: Vec<_> = std::iter::from_fn(|| machine.next(now)).take(100).collect();
        assert!(actions.len() < 100, "it asks for ever");
        let is_over = self.machine.deadline().is_some_and(|at| at <= self.now);
        assert!(!is_over, "{:?} is over, and nothing is to do", self.machine.deadline());
        actions
    }

    fn answer(&mut self, input: Input) -> Vec<Action> {
        self.machine.answer(input, self.now);
        self.ask()
    }

    fn after(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.ask()
    }

    fn stop(&mut self) -> Vec<Action> {
        self.machine.stop();
        self.ask()
    }
}

fn held(lanes: impl IntoIterator<Item = Lane>) -> Input {
    Input::Held(Ok((lanes.into_iter().collect(), vec![])))
}

fn began(done: Place, began: Began) -> Progress {
    Progress { began: Some(began), ..Progress::at(done) }
}

/// How the world behaves at each step: what an action comes to, and how much time goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    is_idle: bool,
    stopped: Option<Stop>,
}

/// Drives a machine over a log that holds the places `log`, and checks the laws at each action.
fn drive(policy: ErrorPolicy, options: Options, log: &[Place], lucks: &[(Luck, u64)]) -> Seen {
    let limit = options.batch_size.as_len();
    let mut machine = Machine::new(options, Unit::GlobalPosition, Sharing::Alone);
    let (mut seen, mut now) = (Seen::default(), Duration::ZERO);
    for (luck, millis) in lucks {
        now += ms(*millis);
        let Some(action) = machine.next(now) else {
            seen.is_idle = machine.is_caught_up();
            now = now.max(machine.deadline().unwrap());
            continue;
        };
        let is_away = *luck == Luck::Unavailable;
        let answer = match action {
            Action::Stop(why) => {
                seen.stopped = Some(why);
                return seen;
            }
            Action::Handle(place, _) => match luck {
                Luck::Good => {
                    seen.handled.push(place);
                    handled(place)
                }
                Luck::Unavailable => Input::Handled(place, Outcome::Fault(Fault::Unavailable)),
                Luck::Failed => Input::Handled(place, Outcome::Failed(policy)),
                Luck::Hopeless => Input::Handled(place, Outcome::Failed(policy.retries(0))),
            },
            Action::Skip(place) => {
                seen.handled.push(place);
                Input::Skipped(place)
            }
            Action::ReadProgress(0) if is_away => Input::Progress(0, Err(Fault::Unavailable)),
            Action::ReadProgress(0) => Input::Progress(0, Ok(seen.recorded.map(Progress::at))),
            Action::ReadNotes if is_away => Input::Notes(Err(Fault::Unavailable)),
            Action::ReadNotes => Input::Notes(Ok(vec![])),
            Action::Fetch(..) if is_away => Input::Page(Err(Fault::Unavailable)),
            Action::Fetch(from, _) => {
                let places = log.iter().copied().filter(|place| *place >= from);
                page(&places.take(limit).collect::<Vec<_>>())
            }
            Action::Record(0, _) if is_away => Input::Recorded(0, Err(Fault::Unavailable)),
            Action::Record(0, record) => {
                assert!(seen.handled.last() >= record.done.as_ref(), "passed unfinished work");
                seen.recorded = record.done;
                Input::Recorded(0, Ok(()))
            }
            other => panic!("{other:?}"),
        };
        machine.answer(answer, now);
    }
    seen
}

proptest! {
    #[test]
    fn every_message_is_handled_once_in_order_and_progress_stays_behind(
        gaps in prop::collection::vec(1_i64..4, 0..30),
        lucks in prop::collection::vec((luck(), 0_u64..4000), 0..300),
        batch in 1_i64..7,
        interval in 1_u32..9,
        skip in any::<bool>(),
    ) {
        let log: Vec<Place> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let policy = if skip { ErrorPolicy::skip() } else { ErrorPolicy::stop() };
        let seen = drive(policy, options(batch, interval), &log, &lucks);
        prop_assert_eq!(&seen.handled[..], &log[..seen.handled.len()]);
        if seen.is_idle {
            prop_assert_eq!(&seen.handled, &log, "caught up before the end of the log");
        }
    }
}

#[test]
fn progress_is_recorded_by_count() {
    let mut bench = Bench::alone(options(10, 2), None);
    // The next page is asked for before the messages in hand are begun with.
    let begun = [Action::Fetch(4, vec![0]), Action::Handle(1, None)];
    assert_eq!(bench.answer(page(&[1, 2, 3])), begun);
    assert_eq!(bench.answer(handled(1)), [Action::Handle(2, None)]);
    assert_eq!(bench.answer(handled(2)), [Action::Record(0, record(2)), Action::Handle(3, None)]);
}

#[test]
fn records_by_count_keep_their_distance() {
    let options = Options { progress_pause: ms(10), ..options(10, 2) };
    let mut bench = Bench::alone(options, None);
    bench.answer(page(&[1, 2, 3]));
    bench.answer(handled(1));
    assert_eq!(bench.answer(handled(2)), [Action::Handle(3, None)]);
    assert_eq!(bench.machine.deadline(), Some(ms(10)));
    assert_eq!(bench.after(ms(10)), [Action::Record(0, record(2))]);
}

#[test]
fn progress_is_recorded_by_time() {
    let mut bench = Bench::alone(options(10, 100), None);
    bench.answer(page(&[1, 2, 3]));
    assert_eq!(bench.answer(handled(1)), [Action::Handle(2, None)]);
    let actions = bench.after(Duration::from_secs(10));
    assert!(actions.contains(&Action::Record(0, record(1))), "{actions:?}");
}

#[test]
fn progress_is_recorded_when_there_is_nothing_more() {
    let mut bench = Bench::alone(options(10, 100), None);
    bench.answer(page(&[1]));
    bench.answer(handled(1));
    assert_eq!(bench.answer(page(&[])), [Action::Record(0, record(1))]);
    assert_eq!(bench.answer(Input::Recorded(0, Ok(()))), []);
    assert!(bench.machine.is_caught_up());
}

#[test]
fn a_message_that_keeps_failing_stops_the_subscriber_before_it() {
    let mut bench = Bench::alone(options(10, 100), Some(4));
    bench.answer(page(&[5, 6]));
    bench.answer(handled(5));
    bench.answer(page(&[]));
    let failed = || Input::Handled(6, Outcome::Failed(ErrorPolicy::stop()));
    for delay in [100, 200, 400] {
        assert!(!bench.answer(failed()).contains(&Action::Handle(6, None)));
        assert!(bench.after(ms(delay)).contains(&Action::Handle(6, None)));
        bench.machine.answer(page(&[]), bench.now);
    }
    let last = Record { is_last: true, ..record(5) };
    let actions = bench.answer(failed());
    assert!(actions.contains(&Action::Record(0, last)), "{actions:?}");
    bench.answer(page(&[]));
    bench.answer(Input::Notes(Ok(vec![])));
    assert_eq!(bench.answer(Input::Recorded(0, Ok(()))), [Action::Stop(Stop::Failed)]);
}

#[test]
fn a_message_that_cannot_be_read_is_not_tried_again() {
    let mut bench = Bench::alone(options(10, 100), None);
    bench.answer(page(&[1]));
    let hopeless = Outcome::Failed(ErrorPolicy::skip().retries(0));
    assert_eq!(bench.answer(Input::Handled(1, hopeless)), [Action::Skip(1)]);
    assert_eq!(bench.answer(Input::Skipped(1)), []);
    assert_eq!(bench.machine.ahead(), 0);
}

#[test]
fn a_record_that_was_not_taken_is_asked_for_again() {
    let mut bench = Bench::alone(options(10, 100), None);
    bench.answer(page(&[1]));
    bench.answer(handled(1));
    assert_eq!(bench.answer(page(&[])), [Action::Record(0, record(1))]);
    assert_eq!(bench.answer(Input::Recorded(0, Err(Fault::Unavailable))), []);
    bench.after(Duration::from_secs(5));
    let actions = bench.answer(page(&[]));
    assert!(actions.contains(&Action::Record(0, record(1))), "{actions:?}");
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

#[test]
fn delays_that_are_the_wrong_way_round_are_refused() {
    let [short, long] = [1, 5].map(Duration::from_millis);
    let refused = ErrorPolicy::park().delays(long, short).check().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "first delay `5ms`: it is longer than the longest, 1ms; write `.delays(1ms, 5ms)`"
    );
    assert!(ErrorPolicy::park().delays(short, long).check().is_ok());
    assert!(ErrorPolicy::park().delays(long, long).check().is_ok());
}
