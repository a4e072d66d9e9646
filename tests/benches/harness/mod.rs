//! How two ways are compared: turn by turn in one process, and the ratio of each turn.
//!
//! The machine may be slow or busy: both ways meet the same weather, so only ratios count. What is
//! compared is in the files beside this folder.

use std::fmt;
use std::io;
use std::process::{Command, ExitCode};
use std::time::Duration;

use evenfold_tests::Outcome;
use evenfold_tests::asked::say;

/// How many rounds are counted; four more before them only warm up.
const ROUNDS: u32 = 101;
const WARM_UP: u32 = 4;

/// Says in which of two processes we are.
const PINNED: &str = "EVENFOLD_BENCH_PINNED";

/// One way to do something: `turn` does it some times and tells how long one time took.
pub(crate) trait Way {
    async fn turn(&mut self) -> Outcome<Duration>;
}

impl<F: AsyncFnMut() -> Outcome<Duration>> Way for F {
    async fn turn(&mut self) -> Outcome<Duration> {
        self().await
    }
}

/// What came of a comparison. A ratio above 1 means that the first way is faster; the ratio of the
/// best turns alone tells what a machine with nothing else to do would say.
pub(crate) struct Comparison {
    name: &'static str,
    goal: Option<f64>,
    ratios: Vec<f64>,
    ours: Vec<Duration>,
    theirs: Vec<Duration>,
}

/// Lets both ways take turns, the one first and then the other first.
pub(crate) async fn compare(
    name: &'static str,
    goal: Option<f64>,
    mut ours: impl Way,
    mut theirs: impl Way,
) -> Outcome<Comparison> {
    let mut comparison =
        Comparison { name, goal, ratios: Vec::new(), ours: Vec::new(), theirs: Vec::new() };
    for round in 0..WARM_UP + ROUNDS {
        let (one, other) = if round % 2 == 0 {
            let one = ours.turn().await?;
            (one, theirs.turn().await?)
        } else {
            let other = theirs.turn().await?;
            (ours.turn().await?, other)
        };
        if round >= WARM_UP {
            comparison.ratios.push(other.as_secs_f64() / one.as_secs_f64());
            comparison.ours.push(one);
            comparison.theirs.push(other);
        }
    }
    comparison.ratios.sort_unstable_by(f64::total_cmp);
    comparison.ours.sort_unstable();
    comparison.theirs.sort_unstable();
    Ok(comparison)
}

/// The value at this part of a sorted list: in the middle of it for 1 of 2.
fn at<T: Copy + Default>(sorted: &[T], part: usize, of: usize) -> T {
    sorted.get((sorted.len().saturating_sub(1)) * part / of).copied().unwrap_or_default()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, goal, ratios, ours, theirs } = self;
        let middle = at(ratios, 1, 2);
        let goal = match goal {
            Some(goal) if middle >= *goal => format!("≥ {goal}"),
            Some(goal) => format!("≥ {goal} missed"),
            None => "–".into(),
        };
        let spread = format!("{:.2}–{:.2}", at(ratios, 1, 4), at(ratios, 3, 4));
        let range = format!("{:.2}–{:.2}", at(ratios, 0, 1), at(ratios, 1, 1));
        let best = at(theirs, 0, 1).as_secs_f64() / at(ours, 0, 1).as_secs_f64();
        write!(
            f,
            "| {name:<62} | {middle:>5.2} | {spread:>9} | {range:>10} | {best:>4.2} | {:>6} | {goal:<13} | {:>9} | {:>9} |",
            ratios.len(),
            micros(at(ours, 1, 2)),
            micros(at(theirs, 1, 2)),
        )
    }
}

fn micros(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}

pub(crate) fn head() -> io::Result<()> {
    let (name, ours, theirs) = ("ours against theirs, times as fast", "ours", "theirs");
    say(format_args!(
        "| {name:<62} | ratio | quartiles | from–to    | best | rounds | goal          | {ours:>9} | {theirs:>9} |\n\
         |{:-<64}|------:|----------:|-----------:|-----:|-------:|---------------|----------:|----------:|",
        "",
    ))
}

/// Runs this program again on one core, where a call and the thread that answers it take turns
/// instead of waking each other across cores, which would measure the scheduler. None where that is
/// done already or cannot be.
pub(crate) fn pinned() -> io::Result<Option<ExitCode>> {
    if std::env::var_os(PINNED).is_some() {
        return Ok(None);
    }
    let cores = std::thread::available_parallelism()?.get();
    let mut again = Command::new("taskset");
    again.args(["-c", &(cores - 1).to_string()]);
    again.arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    match again.env(PINNED, "1").status() {
        Ok(status) if status.success() => Ok(Some(ExitCode::SUCCESS)),
        Ok(_) => Ok(Some(ExitCode::FAILURE)),
        Err(_) => {
            say("not pinned to one core: there is no `taskset` here")?;
            Ok(None)
        }
    }
}
