//! The store under a spec: it notes each call, and harms one of them.
//!
//! Owns the faults of a delivery. Which of them are tried, and in which order, is `delivery.rs`.

mod browse;
mod writes;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use evenfold_core::handler::Context;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{
    Ability, BatchSize, BrowseStore, CategoryQuery, CategorySummary, MessageStore, ProgressStore,
    ReadStore, WriteStore,
};
use evenfold_core::{
    Category, Error, ExpectedVersion, GlobalPosition, Memory, Position, StreamName,
};
use futures::FutureExt;
use futures::future::{BoxFuture, pending, poll_fn};
use futures::task::AtomicWaker;
use serde_json::value::RawValue;
use uuid::Uuid;

use self::writes::Within;
use crate::ManualClock;
use crate::controls::numbered;
use crate::transaction::take_one;

/// What another writer writes where a delivery wants a conflict; no set has it.
pub(super) const WRITTEN_MEANWHILE: &str = "WrittenMeanwhile";

/// How many calls get no answer at most, for a handler that never gives up.
const PATIENCE: u32 = 100;

/// What is done to one call of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// It happens, and the handler never hears of it: its process ends there.
    Crash,
    /// It does not happen, and neither does any other until the handler gives up.
    NoAnswer,
    /// It happens, and the handler is told that the store did not answer.
    LostReply,
    /// Another writer is faster.
    Conflict,
}

/// A call that a handler made.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// What it was, as in ``write to `account-123` ``.
    pub(super) what: String,
    /// More of that, as in `, expecting no stream`.
    detail: String,
    pub(super) kind: CallKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Read,
    /// A write, and whether it expects a version.
    Write {
        expects: bool,
    },
}

/// A memory store that lives as long as a delivery; each process that uses it has a handle.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    memory: Memory,
    shared: Arc<Shared>,
    process: u32,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    crashed: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    story: Vec<String>,
    harm: Option<(usize, Harm)>,
    /// How many calls get no answer from now on.
    unanswered: u32,
    /// Counts up with each crash: a handle of an earlier process gets no answer any more.
    process: u32,
    meanwhile: Option<(StreamName, Vec<NewMessage>)>,
    /// The ids of what was written by others than the handler.
    foreign: HashSet<Uuid>,
}

impl Call {
    fn read(what: impl Into<String>) -> Self {
        Self { what: what.into(), detail: String::new(), kind: CallKind::Read }
    }

    fn with(mut self, detail: String) -> Self {
        self.detail = detail;
        self
    }
}

impl Probe {
    /// An empty store that does this harm to the call of this number, counted from 0.
    pub(super) fn new(harm: Option<(usize, Harm)>) -> Self {
        let state = Mutex::new(State { harm, ..State::default() });
        Self {
            memory: Memory::with_clock(Arc::new(ManualClock::default())),
            shared: Arc::new(Shared { state, ..Shared::default() }),
            process: 0,
        }
    }

    /// The handle of a process that begins when this one has ended.
    pub(super) fn next_process(&self) -> Self {
        let mut next = self.clone();
        next.process = self.state().process;
        next
    }

    /// Lets others write these just before the handler's first write to the stream.
    pub(super) fn meanwhile(&self, stream: &StreamName, messages: &[NewMessage]) {
        self.state().meanwhile = Some((stream.clone(), messages.to_vec()));
    }

    /// The stream that others were to write to and did not, for the handler never did.
    pub(super) fn never_meanwhile(&self) -> Option<StreamName> {
        self.state().meanwhile.as_ref().map(|(stream, _)| stream.clone())
    }

    /// Writes as somebody else than the handler.
    pub(super) async fn write_as_other(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
    ) -> Result<(), Error> {
        self.state().foreign.extend(messages.iter().map(NewMessage::id));
        if messages.is_empty() {
            return Ok(());
        }
        self.memory.write(stream, messages, ExpectedVersion::Any).await.map(drop)
    }

    /// What the handler wrote, in order.
    pub(super) async fn written(&self) -> Result<Vec<Recorded>, Error> {
        let all = BatchSize::new(1_000_000)?;
        let mut written = Vec::new();
        for CategorySummary { category, .. } in self.memory.categories(None, all).await? {
            let query = CategoryQuery::new(category);
            written.extend(self.memory.read_category(&query, GlobalPosition::START, all).await?);
        }
        let state = self.state();
        written.retain(|recorded| !state.foreign.contains(&recorded.id));
        written.sort_by_key(|recorded| recorded.global_position);
        Ok(written)
    }

    /// The messages of the test, as they were recorded.
    pub(super) async fn recorded(&self, id: Uuid) -> Result<Option<Recorded>, Error> {
        self.memory.message(id).await
    }

    /// Every call that was made.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// What happened, one line for each thing.
    pub(super) fn story(&self) -> Vec<String> {
        self.state().story.clone()
    }

    /// Adds a line to what happened.
    pub(super) fn note(&self, line: impl Into<String>) {
        self.state().story.push(line.into());
    }

    /// Lets the store answer again.
    pub(super) fn recover(&self) {
        self.state().unanswered = 0;
    }

    /// What a future comes to, or nothing when its process ends meanwhile.
    pub(super) async fn until_crash<F: Future>(&self, handling: F) -> Option<F::Output> {
        let mut handling = std::pin::pin!(handling);
        poll_fn(|context| {
            self.shared.crashed.register(context.waker());
            let polled = handling.as_mut().poll(context);
            if self.state().process != self.process {
                return Poll::Ready(None);
            }
            polled.map(Some)
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: notes it, harms it if it is the one, and tells what it came to.
    async fn call<T>(
        &self,
        call: Call,
        run: impl AsyncFnOnce(Option<Harm>) -> Result<T, Error>,
        tell: impl FnOnce(&T) -> String,
    ) -> Result<T, Error> {
        let what = format!("{}{}", call.what, call.detail);
        let Some((number, harm)) = self.begin(call) else { return pending().await };
        if take_one(&mut self.state().unanswered) {
            self.note(format!("{number}. {what}: no answer"));
            return Err(Error::unavailable("waiting for the answer", "the spec said so"));
        }
        let answer = run(harm).await;
        let told = match &answer {
            Ok(answer) => tell(answer),
            Err(error) => format!("{error:#}"),
        };
        match harm {
            Some(Harm::Crash) => {
                self.note(format!("{number}. {what}: {told}, and here it crashed"));
                self.state().process += 1;
                self.shared.crashed.wake();
                pending().await
            }
            Some(Harm::LostReply) if answer.is_ok() => {
                self.note(format!("{number}. {what}: {told}, and the reply was lost"));
                Err(Error::unavailable("reading the answer", "the spec said so"))
            }
            _ => {
                self.note(format!("{number}. {what}: {told}"));
                answer
            }
        }
    }

    /// The number of a call, counted from 1, and its harm; nothing for a process that has ended.
    fn begin(&self, call: Call) -> Option<(usize, Option<Harm>)> {
        let mut state = self.state();
        if state.process != self.process {
            return None;
        }
        let number = state.calls.len();
        state.calls.push(call);
        let harm = state.harm.take_if(|(at, _)| *at == number).map(|(_, harm)| harm);
        if harm == Some(Harm::NoAnswer) {
            state.unanswered = PATIENCE;
        }
        Some((number + 1, harm))
    }

    async fn read<T>(
        &self,
        call: Call,
        run: impl AsyncFnOnce() -> Result<T, Error>,
        tell: impl FnOnce(&T) -> String,
    ) -> Result<T, Error> {
        self.call(call, async |_| run().await, tell).await
    }

    /// What others write just before a write of the handler's.
    async fn others(&self, stream: &StreamName, harm: Option<Harm>) -> Result<(), Error> {
        let meanwhile = self.state().meanwhile.take_if(|(theirs, _)| theirs == stream);
        let mut messages = meanwhile.map(|(_, messages)| messages).unwrap_or_default();
        if harm == Some(Harm::Conflict) {
            messages.push(NewMessage::new(numbered(3, 1), WRITTEN_MEANWHILE, empty_object())?);
        }
        for message in &messages {
            self.note(format!("   another writer wrote {} to `{stream}`", message.message_type()));
        }
        self.write_as_other(stream, &messages).await
    }
}

fn empty_object() -> &'static RawValue {
    serde_json::from_str("{}").unwrap_or(RawValue::NULL)
}

fn count(of: usize, what: &str) -> String {
    if of == 1 { format!("1 {what}") } else { format!("{of} {what}s") }
}

fn some(of: Option<&Recorded>) -> String {
    of.map_or_else(|| "none".to_owned(), Recorded::place)
}

impl ReadStore for Probe {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        let read = async move || self.memory.read_stream(stream, from, limit).await;
        let call = Call::read(format!("read of `{stream}`")).with(format!(" from {from}"));
        self.read(call, read, |page| count(page.len(), "message")).boxed()
    }

    fn read_category<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        let read = async move || self.memory.read_category(query, from, limit).await;
        let call = Call::read(format!("read of category `{}`", query.category()));
        self.read(call.with(format!(" from {from}")), read, |page| count(page.len(), "message"))
            .boxed()
    }

    fn last_message<'a>(
        &'a self,
        stream: &'a StreamName,
        message_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
        let read = async move || self.memory.last_message(stream, message_type).await;
        let call = Call::read(format!("look at the last message of `{stream}`"));
        self.read(call, read, |last| some(last.as_ref())).boxed()
    }

    fn stream_version<'a>(
        &'a self,
        stream: &'a StreamName,
    ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
        let read = async move || self.memory.stream_version(stream).await;
        let tell = |version: &Option<Position>| ExpectedVersion::from(*version).to_string();
        self.read(Call::read(format!("look at the version of `{stream}`")), read, tell).boxed()
    }

    fn category_head<'a>(
        &'a self,
        category: &'a Category,
    ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>> {
        let read = async move || self.memory.category_head(category).await;
        let tell = |head: &Option<GlobalPosition>| {
            head.map_or_else(|| "none".to_owned(), |head| head.to_string())
        };
        self.read(Call::read(format!("look at the end of category `{category}`")), read, tell)
            .boxed()
    }
}

/// By reading and writing through this store, so that it is harmed like any other call.
impl ProgressStore for Probe {}

impl MessageStore for Probe {
    fn name(&self) -> &'static str {
        "spec"
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Transactions]
    }

    fn context(&self) -> BoxFuture<'_, Result<Context, Error>> {
        Within::begin(self).boxed()
    }
}
