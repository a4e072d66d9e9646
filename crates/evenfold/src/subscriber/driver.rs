//! Carries out what the state machine asks for: reads, waits, calls handlers, records.
//!
//! Owns the one loop of a running subscriber. It decides nothing: what comes next is the machine's
//! answer. What a fault looks like to an application is `report.rs`.

use std::fmt;
use std::panic::AssertUnwindSafe;

use evenfold_core::message::{Converters, Recorded};
use evenfold_core::store::{CategoryQuery, ProgressStream, SubscriberId};
use evenfold_core::subscriber::{Action, Input, Machine, Options, Stop, Why};
use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::builder::Report;
use super::dispatch::{Answer, Dispatch, Fault, panic_text};
use super::report::{Failure, Polled, StopReason, Stopped};
use crate::telemetry;
use crate::{Error, GlobalPosition, Position, Store, StreamName};

/// What a subscriber reads.
pub(super) enum Source {
    Category(CategoryQuery),
    Stream(StreamName),
}

/// What a subscriber does with a message, and whom it tells.
pub(super) struct Duties {
    pub(super) handlers: Vec<Box<dyn Dispatch>>,
    pub(super) converters: Converters,
    pub(super) strict: bool,
    pub(super) on_error: Vec<Report>,
    pub(super) on_rejection: Vec<Report>,
}

/// A subscriber that is driven by hand, a page at a time.
///
/// What it is done with is recorded as its options say, and by [`finish`](Self::finish).
pub struct Poller {
    store: Store,
    id: SubscriberId,
    source: Source,
    progress: ProgressStream,
    options: Options,
    duties: Duties,
    machine: Machine,
    /// What the machine waits for.
    action: Action,
    page: Vec<Recorded>,
    polled: Polled,
    /// What it did in all calls.
    total: Polled,
    /// The fault that the machine was last told of: why it stops, if it does.
    fault: Option<Error>,
    stop: CancellationToken,
    since: Instant,
}

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
    pub(super) fn new(
        store: Store,
        id: SubscriberId,
        source: Source,
        progress: ProgressStream,
        options: Options,
        duties: Duties,
    ) -> Self {
        let (machine, action) = Machine::new(options.clone(), progress.unit());
        Self {
            store,
            id,
            source,
            progress,
            options,
            duties,
            machine,
            action,
            page: Vec::new(),
            polled: Polled::default(),
            total: Polled::default(),
            fault: None,
            stop: CancellationToken::new(),
            since: Instant::now(),
        }
    }

    /// Reads one page and handles it, and tells what it did. It waits for nothing: a message that
    /// failed is tried again by the next call, and a call that has caught up says so.
    ///
    /// # Errors
    ///
    /// When something failed and the subscriber stopped for it. It cannot be polled further.
    pub async fn poll_once(&mut self) -> Result<Polled, Error> {
        self.go(Until::Page).await
    }

    /// Reads and handles until there is nothing more to read, and tells what it did.
    ///
    /// # Errors
    ///
    /// As [`poll_once`](Self::poll_once).
    pub async fn poll_until_caught_up(&mut self) -> Result<Polled, Error> {
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
        telemetry::started(self, self.store.messages().name());
        match self.go(Until::Stopped).await {
            Ok(_) => StopReason::Requested,
            Err(error) => StopReason::Failed(error),
        }
    }

    /// Runs until there is nothing more to read, the token is cancelled or something stops it.
    pub(crate) async fn catch_up(&mut self, stop: &CancellationToken) -> Result<Polled, Error> {
        self.stop = stop.clone();
        self.go(Until::Idle).await
    }

    pub(crate) fn stopped(self, reason: StopReason) -> Stopped {
        let subscriber = self.id.to_string();
        let stopped = Stopped { subscriber, reason, polled: self.total };
        telemetry::stopped(&stopped);
        stopped
    }

    /// The id of the subscriber.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    pub(crate) fn shares_progress_with(&self, other: &Self) -> bool {
        self.progress == other.progress && self.store.is_same_as(&other.store)
    }

    /// Where it keeps its progress.
    pub(crate) fn progress(&self) -> &ProgressStream {
        &self.progress
    }

    pub(crate) fn reads(&self) -> &str {
        match &self.source {
            Source::Category(query) => query.category().as_str(),
            Source::Stream(stream) => stream.as_str(),
        }
    }

    /// A panic of a converter or of who is told of a failure ends the subscriber as a failure does;
    /// that of a handler is a failure of its message and does not get here.
    async fn go(&mut self, until: Until) -> Result<Polled, Error> {
        let gone = AssertUnwindSafe(self.go_on(until)).catch_unwind().await;
        gone.unwrap_or_else(|panic| {
            let doing = format!("running subscriber `{}`", self.id);
            self.fault = Some(Error::failed(doing, panic_text(&*panic)));
            self.action = Action::Stop(Stop::Failed);
            Err(self.why_stopped())
        })
    }

    async fn go_on(&mut self, until: Until) -> Result<Polled, Error> {
        self.polled = Polled::default();
        // Where the last call paused is where this one goes on.
        if until != Until::Stopped && matches!(self.action, Action::Wait(..)) {
            self.answer(Input::Waited);
        }
        let mut fetched = false;
        while !self.is_reached(until, fetched) {
            fetched |= matches!(self.action, Action::Fetch(_));
            let answer = self.carry_out().await;
            self.answer(answer);
        }
        self.polled.caught_up = matches!(self.action, Action::Wait(_, Why::Idle));
        self.total += self.polled;
        match self.action {
            Action::Stop(Stop::Failed) => Err(self.why_stopped()),
            _ => Ok(self.polled),
        }
    }

    fn is_reached(&self, until: Until, fetched: bool) -> bool {
        match self.action {
            Action::Stop(_) => true,
            Action::Wait(_, Why::Idle) => until != Until::Stopped,
            Action::Wait(..) => until == Until::Page,
            Action::Fetch(_) => until == Until::Page && fetched,
            _ => false,
        }
    }

    fn answer(&mut self, answer: Input) {
        if self.stop.is_cancelled() {
            self.machine.stop();
        }
        self.action = self.machine.next(answer, self.since.elapsed());
    }

    fn why_stopped(&self) -> Error {
        self.fault.clone().unwrap_or_else(|| {
            Error::failed(format!("subscriber `{}` has stopped", self.id), "it cannot go on")
        })
    }

    async fn carry_out(&mut self) -> Input {
        match self.action.clone() {
            Action::ReadProgress => {
                match self.store.messages().read_progress(&self.progress).await {
                    Ok(place) => Input::Progress(place),
                    Err(error) => self.store_failed(error),
                }
            }
            Action::Fetch(from) => self.fetch(from).await,
            Action::Handle(at) => self.handle(at).await,
            Action::Skip(at) => {
                self.polled.skipped += 1;
                if let (Some(recorded), Some(fault)) = (self.page.get(at), &self.fault) {
                    telemetry::skipped(&self.id, recorded, fault);
                }
                Input::Done
            }
            Action::Record(place) => {
                let id = self.store.ids().next();
                let before = self.fault.take();
                let is_failing = self.machine.is_failing();
                let recorded = self.store.messages().record_progress(&self.progress, place, id);
                let answer = match recorded.await {
                    Ok(()) => Input::Done,
                    Err(error) => self.store_failed(error),
                };
                // What failed before is why it stops, if it does; a record that fails is the reason
                // only by itself.
                if is_failing || self.fault.is_none() {
                    self.fault = before;
                }
                answer
            }
            Action::Wait(delay, _) => {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(delay) => {}
                }
                Input::Waited
            }
            Action::Stop(_) => Input::Done,
        }
    }

    async fn fetch(&mut self, from: i64) -> Input {
        let (store, limit) = (self.store.messages(), self.options.batch_size);
        let page = match &self.source {
            Source::Category(query) => match GlobalPosition::new(from) {
                Ok(from) => store.read_category(query, from, limit).await,
                Err(invalid) => Err(invalid.into()),
            },
            Source::Stream(stream) => match Position::new(from) {
                Ok(from) => store.read_stream(stream, from, limit).await,
                Err(invalid) => Err(invalid.into()),
            },
        };
        match page {
            Ok(page) => {
                let unit = self.progress.unit();
                self.fault = None;
                self.page = page;
                Input::Page(self.page.iter().map(|recorded| unit.place_of(recorded)).collect())
            }
            Err(error) => self.store_failed(error),
        }
    }

    async fn handle(&mut self, at: usize) -> Input {
        let Some(recorded) = self.page.get(at) else { return Input::Hopeless };
        let outcome = self.duties.dispatch(&self.store, &self.id, recorded).await;
        let (answer, fault) = match outcome {
            Ok(Dispatched { wanted: false, .. }) => {
                self.fault = None;
                self.polled.passed_over += 1;
                return Input::Done;
            }
            Ok(Dispatched { rejected, .. }) => {
                self.fault = None;
                self.polled.handled += 1;
                self.polled.rejected += u64::from(!rejected.is_empty());
                for rejection in &rejected {
                    telemetry::rejected(&self.id, recorded, rejection);
                    let failure = self.failure(Some(recorded), rejection);
                    self.duties.on_rejection.iter().for_each(|report| report(&failure));
                }
                return Input::Done;
            }
            Err(Fault::Hopeless(error)) => (Input::Hopeless, error),
            Err(Fault::Failed(error)) => (Input::Failed, error),
            Err(Fault::Unavailable(error)) => (Input::Unavailable, error),
        };
        self.report(Some(recorded), &fault);
        self.fault = Some(fault);
        answer
    }

    /// What the store's fault means to the machine, after it was reported.
    fn store_failed(&mut self, error: Error) -> Input {
        self.report(None, &error);
        let answer = if error.is_unavailable() { Input::Unavailable } else { Input::Failed };
        self.fault = Some(error);
        answer
    }

    fn report(&self, message: Option<&Recorded>, error: &Error) {
        let failure = self.failure(message, error);
        telemetry::failed(&failure);
        self.duties.on_error.iter().for_each(|report| report(&failure));
    }

    fn failure<'a>(&'a self, message: Option<&'a Recorded>, error: &'a Error) -> Failure<'a> {
        let attempt = self.machine.attempts() + 1;
        Failure { subscriber: self.id.as_str(), message, error, attempt }
    }
}

/// What became of a message that did not fail.
struct Dispatched {
    wanted: bool,
    rejected: Vec<Error>,
}

impl Duties {
    /// Hands a message to each handler in turn, within one context of the store.
    async fn dispatch(
        &self,
        store: &Store,
        id: &SubscriberId,
        recorded: &Recorded,
    ) -> Result<Dispatched, Fault> {
        let converted = self.converters.convert(recorded).map_err(Fault::Hopeless)?;
        let recorded = converted.as_ref().unwrap_or(recorded);
        let mut context = store.messages().context().await.map_err(Fault::of_store)?;
        let mut dispatched = Dispatched { wanted: false, rejected: Vec::new() };
        for handler in &self.handlers {
            match handler.dispatch(recorded, id.as_str(), &mut context).await? {
                Answer::Unwanted => continue,
                Answer::Handled => {}
                Answer::Rejected(error) => dispatched.rejected.push(error),
            }
            dispatched.wanted = true;
        }
        if self.strict && !dispatched.wanted {
            let doing = format!("subscriber `{id}` is strict and meets {}", recorded.place());
            return Err(Fault::Hopeless(Error::failed(doing, "its type is in no handler's set")));
        }
        context.commit().await.map_err(Fault::of_store)?;
        Ok(dispatched)
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("id", &self.id)
            .field("reads", &self.reads())
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}
