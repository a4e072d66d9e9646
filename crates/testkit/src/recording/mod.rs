//! A store that remembers what was written to it and fails when it is told to.
//!
//! It wraps any store and passes everything on; what it says of a failure is what a true store
//! would say. The transactions that it can hand out are in `transaction.rs`, its leases in
//! `leases.rs`, the faults of its writes in `faults.rs` and of its reads in `reads.rs`, writes that wait for
//! the test in `holds.rs`.

mod browse;
mod faults;
mod holds;
mod leases;
mod reads;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenfold_core::error::Conflict;
use evenfold_core::handler::Context;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{
    Ability, Announcement, BatchSize, CategoryQuery, HeldUp, MessageStore, ProgressStore,
    ReadStore, WriteStore, Written,
};
use evenfold_core::{
    Category, Error, ExpectedVersion, GlobalPosition, Memory, Position, StreamName,
};
use futures::channel::mpsc::{self, UnboundedSender};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};

use crate::transaction::TransactionLog;

pub use faults::FaultsIn;
use faults::{Fault, FaultKind};
pub use holds::Held;

/// A store that remembers every write, and fails when it is told to; clones share all of it.
///
/// A progress record is a write too, to the position stream of its subscriber.
///
/// # Examples
///
/// ```
/// use evenfold_core::ExpectedVersion;
/// use evenfold_core::store::WriteStore;
/// use evenfold_testkit::{Outcome, Recording, controls};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evenfold_core::Error> {
/// let store = Recording::default();
/// let stream = controls::stream::account(123)?;
/// let deposited = [controls::message::deposited(5)?];
///
/// store.lose_reply_next(1);
/// let unknown = store.write(&stream, &deposited, ExpectedVersion::NoStream).await;
/// assert!(unknown.unwrap_err().is_unavailable()); // and yet it was written
///
/// let again = store.write(&stream, &deposited, ExpectedVersion::NoStream).await?;
/// assert!(again.is_repetition());
///
/// let outcomes: Vec<_> = store.writes_to(&stream).into_iter().map(|write| write.outcome).collect();
/// assert_eq!(outcomes, [Outcome::ReplyLost, Outcome::Repeated]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Recording {
    store: Arc<dyn MessageStore>,
    shared: Arc<Mutex<Shared>>,
    transactions: Option<TransactionLog>,
}

#[derive(Debug, Default)]
struct Shared {
    writes: Vec<Write>,
    faults: Vec<Fault>,
    reads: u64,
    read_gates: VecDeque<holds::Gate>,
    passing_reads: u32,
    failing_reads: u32,
    failing_leases: u32,
    lost_leases: u32,
    announced: Vec<Category>,
    listeners: Vec<UnboundedSender<Announcement>>,
    gates: Vec<holds::Gate>,
    held_up: Option<HeldUp>,
    only_reads: bool,
}

/// A write that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The stream.
    pub stream: StreamName,
    /// The messages, in order.
    pub messages: Vec<NewMessage>,
    /// What was expected of the stream.
    pub expected: ExpectedVersion,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its future was dropped, or it is still under way.
    Unsettled,
    /// It was written.
    Written,
    /// It had been written before.
    Repeated,
    /// It was written and the caller was told that the store did not answer, or that it is there.
    ReplyLost,
    /// It was not written and the caller was told so, or that the store did not answer.
    Refused,
}

/// Wraps a fresh memory store.
impl Default for Recording {
    fn default() -> Self {
        Self::of(Arc::new(Memory::new()))
    }
}

impl Recording {
    /// Wraps a store, with whatever it holds.
    pub fn of(store: Arc<dyn MessageStore>) -> Self {
        Self { store, shared: Arc::default(), transactions: None }
    }

    /// Hands out transactions that are noted in this log, around those that the store hands out. What
    /// is written in them is remembered as any write, also when they are rolled back.
    #[must_use]
    pub fn with_transactions(mut self, log: &TransactionLog) -> Self {
        self.transactions = Some(log.clone());
        self
    }

    /// Every write that was asked for, in order, those that were refused too.
    pub fn writes(&self) -> Vec<Write> {
        self.shared().writes.clone()
    }

    /// Every write to a stream, in order, those that were refused too.
    pub fn writes_to(&self, stream: &StreamName) -> Vec<Write> {
        self.shared().writes.iter().filter(|write| write.stream == *stream).cloned().collect()
    }

    /// Answers the next `times` writes with a conflict and writes nothing, as if another writer had
    /// been there just before. A write that expects nothing meets no conflict: it is not counted.
    pub fn conflict_next(&self, times: u32) {
        self.fault(FaultKind::Conflict, times, None);
    }

    /// Writes the next `times` writes and answers that the store did not answer.
    pub fn lose_reply_next(&self, times: u32) {
        self.fault(FaultKind::LoseReply, times, None);
    }

    /// Writes the next `times` writes and answers as a store that lost the reply and found them written.
    pub fn find_next(&self, times: u32) {
        self.fault(FaultKind::Find, times, None);
    }

    /// Answers the next `times` writes that the store did not answer, and writes nothing.
    pub fn refuse_next(&self, times: u32) {
        self.fault(FaultKind::Refuse, times, None);
    }

    /// The same faults for writes to one category alone, as that of a subscriber's progress.
    pub fn in_category(&self, category: &Category) -> FaultsIn<'_> {
        FaultsIn { recording: self, category: category.clone() }
    }

    /// Every category that was announced, in order.
    pub fn announced(&self) -> Vec<Category> {
        self.shared().announced.clone()
    }

    /// Lets those who listen now hear this, as if another process had announced it; how many they
    /// are.
    pub fn hear(&self, announcement: &Announcement) -> usize {
        let listeners = &mut self.shared().listeners;
        listeners.retain(|listener| listener.unbounded_send(announcement.clone()).is_ok());
        listeners.len()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, kind: FaultKind, left: u32, category: Option<Category>) {
        self.shared().faults.push(Fault { kind, left, category });
    }

    /// The fault that this write meets, the one told first.
    fn next_fault(&self, stream: &StreamName, expected: ExpectedVersion) -> Option<FaultKind> {
        let mut shared = self.shared();
        shared.faults.retain(|fault| fault.left > 0);
        let fault = shared.faults.iter_mut().find(|fault| {
            (fault.kind != FaultKind::Conflict || expected != ExpectedVersion::Any)
                && fault.category.as_ref().is_none_or(|of| of.as_str() == stream.category_str())
        })?;
        fault.left -= 1;
        Some(fault.kind)
    }

    /// Writes to the store, or in a transaction of it, unless the write is to fail.
    pub(crate) async fn write_to<W: WriteStore + ?Sized>(
        &self,
        to: &W,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        self.wait_at_gate(stream).await;
        let fault = self.next_fault(stream, expected);
        let write = self.remember(Write {
            stream: stream.clone(),
            messages: messages.to_vec(),
            expected,
            outcome: Outcome::Unsettled,
        });
        let answer = match fault {
            _ if self.only_reads() => Err(Error::failed("writing", "the store only reads")),
            None | Some(FaultKind::Find | FaultKind::LoseReply) => {
                to.write(stream, messages, expected).await
            }
            Some(FaultKind::Conflict) => Err(self.conflict(stream, expected).await),
            Some(FaultKind::Refuse) => Err(Error::unavailable("writing", "the test said so")),
        };
        let (outcome, answer) = match answer {
            Ok(written) if fault == Some(FaultKind::Find) => {
                (Outcome::ReplyLost, Ok(written.after_lost_reply()))
            }
            Ok(_) if fault.is_some() => {
                let lost = Error::unavailable("reading the answer", "the test said so");
                (Outcome::ReplyLost, Err(lost))
            }
            Ok(written) if written.is_repetition() => (Outcome::Repeated, Ok(written)),
            Ok(written) => (Outcome::Written, Ok(written)),
            Err(error) => (Outcome::Refused, Err(error)),
        };
        self.settle(write, outcome);
        answer
    }

    pub(crate) async fn inner_context(&self) -> Result<Context, Error> {
        self.store.context().await
    }

    fn remember(&self, write: Write) -> usize {
        let mut shared = self.shared();
        shared.writes.push(write);
        shared.writes.len() - 1
    }

    fn settle(&self, write: usize, outcome: Outcome) {
        if let Some(write) = self.shared().writes.get_mut(write) {
            write.outcome = outcome;
        }
    }

    /// The conflict that the stream would answer with if another writer had been there before.
    async fn conflict(&self, stream: &StreamName, expected: ExpectedVersion) -> Error {
        match self.store.stream_version(stream).await {
            Ok(version) if expected.holds(version) => {
                let theirs = version.map_or(Position::START, Position::next);
                Conflict::new(stream.clone(), expected, Some(theirs)).into()
            }
            Ok(version) => Conflict::new(stream.clone(), expected, version).into(),
            Err(error) => error,
        }
    }
}

impl WriteStore for Recording {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        self.write_to(&*self.store, stream, messages, expected).boxed()
    }
}

impl ReadStore for Recording {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        self.read(self.store.read_stream(stream, from, limit)).boxed()
    }

    fn read_stream_data<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        self.read(self.store.read_stream_data(stream, from, limit)).boxed()
    }

    fn read_category<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        self.read(self.store.read_category(query, from, limit)).boxed()
    }

    fn last_message<'a>(
        &'a self,
        stream: &'a StreamName,
        message_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
        self.read(self.store.last_message(stream, message_type)).boxed()
    }

    fn stream_version<'a>(
        &'a self,
        stream: &'a StreamName,
    ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
        self.read(self.store.stream_version(stream)).boxed()
    }

    fn category_head<'a>(
        &'a self,
        category: &'a Category,
    ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>> {
        self.read(self.store.category_head(category)).boxed()
    }
}

/// By reading and writing through this store, so that its faults and its memory apply.
impl ProgressStore for Recording {}

impl MessageStore for Recording {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn abilities(&self) -> &'static [Ability] {
        self.store.abilities()
    }

    fn only_reads(&self) -> bool {
        self.shared().only_reads || self.store.only_reads()
    }

    fn context(&self) -> BoxFuture<'_, Result<Context, Error>> {
        match &self.transactions {
            Some(log) => log.begin_of(self).boxed(),
            None => self.store.context(),
        }
    }

    fn announce(&self, category: &Category) {
        self.shared().announced.push(category.clone());
        self.store.announce(category);
    }

    /// What [`Recording::hear`] is told.
    fn announcements(&self) -> BoxStream<'static, Announcement> {
        let (sender, receiver) = mpsc::unbounded();
        self.shared().listeners.push(sender);
        receiver.boxed()
    }
}
