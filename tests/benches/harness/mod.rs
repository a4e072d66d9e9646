//! How two ways are compared: turn by turn in one process, and the ratio of each turn.
//!
//! The machine may be slow or busy: both ways meet the same weather, so only ratios count. What is
//! compared is in the files beside this folder; what is made of it is `report.rs`.

mod plot;
mod report;

use std::fmt;
use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use evenfold_tests::Outcome;
use evenfold_tests::asked::{self, say};

pub(crate) use report::Report;

/// How many rounds are counted. A few more before them only warm up.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Turns of some milliseconds, of which there must be many.
    Quick,
    /// Turns of some tenths of a second.
    Slow,
    /// Turns of seconds.
    Slowest,
}

impl Pace {
    fn rounds(self) -> u32 {
        match (self, asked::quickly()) {
            (Self::Quick, false) => 101,
            (Self::Quick, true) => 21,
            (Self::Slow, false) => 11,
            (Self::Slow, true) | (Self::Slowest, false) => 5,
            (Self::Slowest, true) => 3,
        }
    }

    fn warm_up(self) -> u32 {
        self.rounds() / 25 + 1
    }
}

/// Says in which of two processes we are: how many cores there are, in the one that runs on the last.
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
    pub(crate) name: String,
    pub(crate) goal: Option<f64>,
    ratios: Vec<f64>,
    ours: Vec<Duration>,
    theirs: Vec<Duration>,
}

/// Lets both ways take turns, the one first and then the other first.
pub(crate) async fn compare(
    name: impl Into<String>,
    goal: Option<f64>,
    ours: impl Way,
    theirs: impl Way,
) -> Outcome<Comparison> {
    compare_at(Pace::Quick, name, goal, ours, theirs).await
}

/// The same in so many rounds.
pub(crate) async fn compare_at(
    pace: Pace,
    name: impl Into<String>,
    goal: Option<f64>,
    mut ours: impl Way,
    mut theirs: impl Way,
) -> Outcome<Comparison> {
    let (name, ratios) = (name.into(), Vec::new());
    let mut comparison = Comparison { name, goal, ratios, ours: Vec::new(), theirs: Vec::new() };
    for round in 0..pace.warm_up() + pace.rounds() {
        let (one, other) = if round % 2 == 0 {
            let one = ours.turn().await?;
            (one, theirs.turn().await?)
        } else {
            let other = theirs.turn().await?;
            (ours.turn().await?, other)
        };
        if round >= pace.warm_up() {
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

impl Comparison {
    /// The ratio that half of the rounds are below.
    pub(crate) fn ratio(&self) -> f64 {
        at(&self.ratios, 1, 2)
    }

    /// The ratios between which half of the rounds are.
    pub(crate) fn quartiles(&self) -> (f64, f64) {
        (at(&self.ratios, 1, 4), at(&self.ratios, 3, 4))
    }

    /// The ratio of the best turns: what a machine with nothing else to do would say.
    fn best(&self) -> f64 {
        at(&self.theirs, 0, 1).as_secs_f64() / at(&self.ours, 0, 1).as_secs_f64()
    }

    pub(crate) fn is_missed(&self) -> bool {
        self.goal.is_some_and(|goal| self.ratio() < goal)
    }
}

/// The value at this part of a sorted list: in the middle of it for 1 of 2.
fn at<T: Copy + Default>(sorted: &[T], part: usize, of: usize) -> T {
    sorted.get((sorted.len().saturating_sub(1)) * part / of).copied().unwrap_or_default()
}

/// A line of the table.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, goal, ratios, ours, theirs } = self;
        let goal = match goal {
            Some(goal) if self.is_missed() => format!("≥ {goal} missed"),
            Some(goal) => format!("≥ {goal}"),
            None => "–".into(),
        };
        let (first, third) = self.quartiles();
        let spread = format!("{}–{}", shown(first), shown(third));
        write!(
            f,
            "| {name:<66} | {:>5} | {spread:>11} | {:>5} | {:>6} | {goal:<13} | {:>9} | {:>9} |",
            shown(self.ratio()),
            shown(self.best()),
            ratios.len(),
            time(at(ours, 1, 2)),
            time(at(theirs, 1, 2)),
        )
    }
}

/// Three digits, whatever the size.
fn shown(ratio: f64) -> String {
    match ratio {
        ..10.0 => format!("{ratio:.2}"),
        ..100.0 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds @ ..1e-3 => format!("{:.2} µs", seconds * 1e6),
        seconds @ ..1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
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
    match again.env(PINNED, cores.to_string()).status() {
        Ok(status) if status.success() => Ok(Some(ExitCode::SUCCESS)),
        Ok(_) => Ok(Some(ExitCode::FAILURE)),
        Err(_) => {
            say("not pinned to one core: there is no `taskset` here")?;
            Ok(None)
        }
    }
}

/// All cores, until this is dropped: for what is read in pages from a thread of a database, as it is where
/// nobody pins anything.
pub(crate) struct AllCores {
    count: usize,
}

impl AllCores {
    pub(crate) fn take() -> Self {
        let count = std::env::var(PINNED).ok().and_then(|count| count.parse().ok()).unwrap_or(1);
        moved(std::process::id(), &format!("0-{}", count - 1));
        Self { count }
    }
}

impl Drop for AllCores {
    fn drop(&mut self) {
        moved(std::process::id(), &(self.count - 1).to_string());
    }
}

/// Moves a process with all its threads; whether that could be done is the answer.
pub(crate) fn moved(process: impl fmt::Display, cores: &str) -> bool {
    let mut taskset = Command::new("taskset");
    taskset.args(["-acp", cores, &process.to_string()]).stdout(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}
