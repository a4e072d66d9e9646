//! The loop of a running subscriber: it carries out what the state machine asks for.
//!
//! Owns what is under way, and when to wait. It decides nothing: what comes next is the machine's
//! answer. How each action is done is in `work.rs` and the files of its topics, what the machine is
//! told of it in `told.rs`.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::subscriber::{Action, Input, Machine, Options, Stop};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dispatch::panic_text;
use super::report::{Polled, StopReason, Stopped};
use super::told::{Known, Told};
use super::version::TakingOver;
use super::work::Work;
use crate::telemetry::{self, Meters, State};
use crate::wakeups::Waiter;
use crate::{Error, Store, StreamName};

/// A subscriber that is driven by hand, a page at a time.
///
/// What it is done with is recorded as its options say, and by [`finish`](Self::finish).
pub struct Poller {
    pub(super) work: Arc<Work>,
    pub(super) machine: Machine,
    pub(super) known: Known,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Told>>,
    /// There is more to begin.
    pub(super) is_busy: bool,
    pub(super) polled: Polled,
    /// What it did in all calls.
    total: Polled,
    pub(super) stopped: Option<Stop>,
    pub(super) taking_over: TakingOver,
    /// Hears of what is written.
    waiter: Waiter,
    /// How long it waits when there was nothing to read; and the same where it hears of writes.
    intervals: [Duration; 2],
    pub(super) stop: CancellationToken,
    since: Instant,
    pub(super) meters: Meters,
}

/// How many actions that need no waiting are done in a row, before others have a turn.
const IN_A_ROW: u32 = 64;

/// How far to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// To the end of one page, or a pause.
    Page,
    /// Until there is nothing more to read.
    Idle,
    /// Until it stops.
    Stopped,
}

impl Poller {
    pub(super) fn new(work: Work, options: Options) -> Self {
        let intervals = [options.poll_interval, options.heard_interval];
        let machine = Machine::new(options, work.unit(), work.sharing());
        let waiter = work.store.wakeups().waiter(work.categories());
        let meters = Meters::new(work.labels());
        Self {
            work: Arc::new(work),
            machine,
            known: Known::default(),
            under_way: FuturesUnordered::new(),
            is_busy: false,
            polled: Polled::default(),
            total: Polled::default(),
            stopped: None,
            taking_over: TakingOver::NotYet,
            waiter,
            intervals,
            stop: CancellationToken::new(),
            since: Instant::now(),
            meters,
        }
    }

    /// Reads one page and handles it, and tells what it did. It waits for nothing: a message that
    /// failed is tried again by the next call, and a call that has caught up says so.
    ///
    /// # Errors
    ///
    /// When something failed and the subscriber stopped for it. It cannot be polled further.
    pub async fn poll_once(&mut self) -> Result<Polled, Error> {
        self.machine.allow_pages(Some(1));
        self.go(Until::Page).await
    }

    /// Reads and handles until there is nothing more to read, and tells what it did.
    ///
    /// # Errors
    ///
    /// As [`poll_once`](Self::poll_once).
    pub async fn poll_until_caught_up(&mut self) -> Result<Polled, Error> {
        self.machine.allow_pages(None);
        self.go(Until::Idle).await
    }

    /// Records the progress, and ends the subscriber.
    ///
    /// # Errors
    ///
    /// When the progress cannot be recorded; what it was done with is then handled again.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.stop.cancel();
        self.go(Until::Stopped).await.map(drop)
    }

    /// Runs until the token is cancelled or something stops it.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> StopReason {
        self.stop = stop.clone();
        telemetry::started(self, self.work.store.messages().name());
        match self.go(Until::Stopped).await {
            Ok(_) => StopReason::Requested,
            Err(error) => reason(Arc::clone(&self.work), error).await,
        }
    }

    /// Runs until there is nothing more to read, the token is cancelled or something stops it; what it
    /// did in this go, and why it ended.
    pub(crate) async fn catch_up(&mut self, stop: &CancellationToken) -> (u64, StopReason) {
        self.stop = stop.clone();
        match self.go(Until::Idle).await {
            Ok(polled) if polled.caught_up => {
                (polled.done() + polled.replayed, StopReason::CaughtUp)
            }
            Ok(polled) => (polled.done(), StopReason::Requested),
            Err(error) => (0, reason(Arc::clone(&self.work), error).await),
        }
    }

    /// Records what it was only passing by, and gives up what it holds of shared work; why it stopped,
    /// if it could not.
    pub(crate) async fn leave(&mut self) -> Option<StopReason> {
        if self.stopped.is_some() {
            return None;
        }
        let total = self.total;
        self.stop = CancellationToken::new();
        self.stop.cancel();
        let left = self.go(Until::Stopped).await;
        self.total = total;
        Some(reason(Arc::clone(&self.work), left.err()?).await)
    }

    pub(crate) fn stopped(self, reason: StopReason) -> Stopped {
        let subscriber = self.work.id.to_string();
        let stopped = Stopped { subscriber, reason, polled: self.total };
        telemetry::stopped(&stopped);
        stopped
    }

    /// The id of the subscriber.
    pub fn id(&self) -> &str {
        self.work.id.as_str()
    }

    pub(crate) fn shares_progress_with(&self, other: &Self) -> bool {
        self.progress() == other.progress() && self.store().is_same_as(other.store())
    }

    fn store(&self) -> &Store {
        &self.work.store
    }

    /// Where it keeps its progress, or what its group is named by.
    pub(crate) fn progress(&self) -> &StreamName {
        self.work.place()
    }

    pub(crate) fn reads(&self) -> String {
        self.work.reads()
    }

    /// A panic of a converter or of who is told of a failure ends the subscriber as a failure does;
    /// that of a handler is a failure of its message and does not get here.
    async fn go(&mut self, until: Until) -> Result<Polled, Error> {
        let gone = AssertUnwindSafe(self.go_on(until)).catch_unwind().await;
        gone.unwrap_or_else(|panic| {
            let doing = format!("running subscriber `{}`", self.work.id);
            self.known.fault = Some(Error::failed(doing, panic_text(&*panic)));
            self.stopped = Some(Stop::Failed);
            self.under_way.clear();
            Err(self.why_stopped())
        })
    }

    async fn go_on(&mut self, until: Until) -> Result<Polled, Error> {
        self.polled = Polled::default();
        self.meters.restart();
        // Where the last call paused is where this one goes on.
        self.machine.hurry();
        if let TakingOver::Unsure(again) = &mut self.taking_over {
            *again = Instant::now();
        }
        while !self.is_reached(until) {
            self.wait().await;
        }
        self.polled.caught_up = self.machine.is_caught_up();
        self.total += self.polled;
        self.meters.count(&self.polled);
        self.meters.tell_now(|| state(&self.machine, &self.known));
        match self.stopped {
            Some(Stop::Failed) => Err(self.why_stopped()),
            _ => Ok(self.polled),
        }
    }

    /// Begins everything that the machine wishes for, and says whether it has gone far enough.
    fn is_reached(&mut self, until: Until) -> bool {
        if self.stop.is_cancelled() {
            self.machine.stop();
        }
        self.is_busy = !self.is_taking_over() && self.begin_all();
        let is_caught_up = self.machine.is_caught_up();
        self.begin_taking_over(is_caught_up);
        if until == Until::Stopped && self.stopped.is_none() && !self.stop.is_cancelled() {
            self.measure();
        }
        self.meters.count(&self.polled);
        self.meters.tell(|| state(&self.machine, &self.known));
        let is_quiet = self.under_way.is_empty() && !self.is_busy;
        self.stopped.is_some()
            || match until {
                Until::Page => is_quiet,
                Until::Idle => is_quiet && is_caught_up && !self.is_taking_over(),
                Until::Stopped => false,
            }
    }

    /// Begins what the machine wishes for, and says whether there is more of it. What is done at once
    /// is answered at once: a handler that waits for nothing costs no turn of the executor.
    fn begin_all(&mut self) -> bool {
        let (mut in_a_row, mut now) = (0, self.since.elapsed());
        while self.stopped.is_none() && in_a_row < IN_A_ROW {
            match self.machine.next(now) {
                None => return false,
                Some(Action::Stop(why)) => self.stopped = Some(why),
                Some(action) => {
                    let mut begun = self.begin(action);
                    // It is polled once more by those under way, which then wakes them.
                    match (&mut begun).now_or_never() {
                        Some(told) => now = self.take(told),
                        None => self.under_way.push(begun),
                    }
                }
            }
            in_a_row += 1;
        }
        self.stopped.is_none()
    }

    /// Waits until something is done, a time has come, or a stop is asked for.
    async fn wait(&mut self) {
        let is_under_way = !self.under_way.is_empty();
        let deadline = match self.taking_over {
            TakingOver::UnderWay => None,
            TakingOver::Unsure(again) => Some(again),
            TakingOver::NotYet | TakingOver::Tried => {
                self.machine.deadline().and_then(|at| self.since.checked_add(at))
            }
        };
        let deadline = deadline.into_iter().chain(self.meters.deadline()).min();
        let is_stopping = self.stop.is_cancelled();
        let told = tokio::select! {
            biased;
            told = self.under_way.next(), if is_under_way => told,
            () = self.stop.cancelled(), if !is_stopping => None,
            () = self.waiter.changed(), if !is_stopping => {
                self.machine.wake();
                None
            }
            () = tokio::task::yield_now(), if self.is_busy => None,
            () = until(deadline) => None,
        };
        if let Some(told) = told {
            self.take(told);
        }
    }

    /// Begins to measure the lag, if it is time and it is known what is done.
    fn measure(&mut self) {
        let is_known = |lane| self.known.is_begun(lane);
        if self.meters.is_measure_due() && self.machine.lanes().all(is_known) {
            self.meters.measure();
            let done = self.machine.lanes().map(|lane| (lane, self.machine.done(lane))).collect();
            let (work, begun) = (Arc::clone(&self.work), Instant::now());
            let measured = async move { Told::Measured(work.lag(done).await, begun.elapsed()) };
            self.under_way.push(measured.boxed());
        }
    }

    /// Tells the machine of an end, and when that was.
    fn take(&mut self, told: Told) -> Duration {
        let now = self.since.elapsed();
        if let Told::Page(_) = told {
            let [deaf, heard] = self.intervals;
            self.machine.poll_every(if self.waiter.is_heard() { heard } else { deaf });
        }
        let Some(input) = self.hear(told) else { return now };
        let is_other = matches!(input, Input::Held(_) | Input::Released(..) | Input::Page(_));
        self.machine.answer(input, now);
        if is_other && self.work.sharing().is_leased() {
            self.forget();
        }
        now
    }

    /// Why it stops where a message was to be parked and finds no room.
    pub(super) fn lot_is_full(&self) -> Error {
        let doing = format!(
            "parking one more message of subscriber `{}`, of which {} are parked, as many as may be: \
             replay or discard some",
            self.work.id,
            self.machine.parked()
        );
        match self.known.faults.values().next() {
            Some(fault) => Error::failed(doing, format!("{fault:#}")),
            None => Error::failed(doing, "it comes behind one that is parked"),
        }
    }

    fn why_stopped(&self) -> Error {
        self.known.fault.clone().unwrap_or_else(|| {
            Error::failed(format!("subscriber `{}` has stopped", self.work.id), "it cannot go on")
        })
    }
}

fn state(machine: &Machine, known: &Known) -> State {
    State {
        in_flight: machine.running(),
        read_ahead: machine.ahead(),
        retrying: known.retrying(),
        parked: machine.parked(),
        lanes: machine.lanes().count(),
    }
}

/// A version that has taken over is no failure of this one.
async fn reason(work: Arc<Work>, error: Error) -> StopReason {
    let may_be = error.is_superseded() || error.is_invalid();
    let successor = if may_be { work.successor().await } else { None };
    successor.map_or(StopReason::Failed(error), StopReason::Replaced)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("id", &self.work.id)
            .field("reads", &self.reads())
            .finish_non_exhaustive()
    }
}
