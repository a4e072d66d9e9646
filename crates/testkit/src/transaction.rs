//! A transaction for handlers that notes what became of it.
//!
//! The double of what a backend with transactions hands out in `Context`. What is written in it goes
//! through the store that hands it out, so `recording.rs` remembers it and lets it fail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenfold_core::handler::{Context, HandlerTransaction};
use evenfold_core::message::NewMessage;
use evenfold_core::store::{Inside, WriteStore, Written};
use evenfold_core::{Error, ExpectedVersion, StreamName};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::recording::Recording;

/// What became of the transactions that were handed out; clones share it.
///
/// # Examples
///
/// ```
/// use evenfold_testkit::{NotedTransaction, TransactionLog};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evenfold_core::Error> {
/// let log = TransactionLog::default();
/// let mut context = log.begin();
/// context.transaction::<NotedTransaction>().unwrap().note("balance = 5");
/// assert_eq!(log.effects(), [""; 0]); // nothing has happened yet
/// context.commit().await?;
/// assert_eq!(log.effects(), ["balance = 5"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TransactionLog(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    begun: usize,
    committed: usize,
    dropped: usize,
    effects: Vec<String>,
    refused_commits: u32,
    lost_commits: u32,
    refused_begins: u32,
    losses: u32,
}

impl TransactionLog {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A context with a transaction whose end is noted here. There is no store to it, so it writes no
    /// messages; [`Recording::with_transactions`] makes one that does.
    pub fn begin(&self) -> Context {
        self.begin_in(None, Context::empty())
    }

    /// The same, with what is written going to a transaction of a store; unless it was told to fail.
    pub(crate) async fn begin_of(&self, recording: &Recording) -> Result<Context, Error> {
        if take_one(&mut self.log().refused_begins) {
            return Err(Error::unavailable("beginning a transaction", "the test said so"));
        }
        let inner = recording.inner_context().await?;
        Ok(self.begin_in(Some(recording.clone()), inner))
    }

    fn begin_in(&self, recording: Option<Recording>, inner: Context) -> Context {
        self.log().begun += 1;
        let (log, notes) = (self.clone(), Vec::new());
        Context::with(NotedTransaction { log, notes, recording, inner, committed: false })
    }

    /// How many were handed out.
    pub fn begun(&self) -> usize {
        self.log().begun
    }

    /// How many were committed.
    pub fn committed(&self) -> usize {
        self.log().committed
    }

    /// How many ended without a commit, those whose commit failed too.
    pub fn dropped(&self) -> usize {
        self.log().dropped
    }

    /// What was noted in the committed ones, in the order of their commits.
    pub fn effects(&self) -> Vec<String> {
        self.log().effects.clone()
    }

    /// Lets the next `times` commits fail; nothing of them happens.
    pub fn refuse_commits(&self, times: u32) {
        self.log().refused_commits = times;
    }

    /// Lets the next `times` commits happen and answer that the store did not answer.
    pub fn lose_commits(&self, times: u32) {
        self.log().lost_commits = times;
    }

    /// Lets a store fail the next `times` it is asked for a context.
    pub fn refuse_begins(&self, times: u32) {
        self.log().refused_begins = times;
    }

    /// Lets the next `times` that it is asked whether a transaction is lost be answered at once: it is.
    pub fn lose_transactions(&self, times: u32) {
        self.log().losses = times;
    }
}

/// Whether there is one left of what is counted down.
pub(crate) fn take_one(left: &mut u32) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

/// The transaction that a [`TransactionLog`] hands out: it takes notes in place of SQL.
#[derive(Debug)]
pub struct NotedTransaction {
    log: TransactionLog,
    notes: Vec<String>,
    recording: Option<Recording>,
    /// The transaction of the store beneath.
    inner: Context,
    committed: bool,
}

impl NotedTransaction {
    /// Does something in the transaction: it has happened once that is committed.
    pub fn note(&mut self, effect: impl Into<String>) {
        self.notes.push(effect.into());
    }
}

impl WriteStore for NotedTransaction {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        match &self.recording {
            Some(recording) => recording.write_to(&self.inner, stream, messages, expected).boxed(),
            None => self.inner.write(stream, messages, expected),
        }
    }
}

impl HandlerTransaction for NotedTransaction {
    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            let (refused, lost) = {
                let mut log = self.log.log();
                let refused = take_one(&mut log.refused_commits);
                (refused, !refused && take_one(&mut log.lost_commits))
            };
            let answer = Err(Error::unavailable("committing a transaction", "the test said so"));
            if refused {
                return answer;
            }
            std::mem::take(&mut self.inner).commit().await?;
            self.committed = true;
            let mut log = self.log.log();
            log.committed += 1;
            log.effects.extend(self.notes.iter().cloned());
            if lost { answer } else { Ok(()) }
        }
        .boxed()
    }

    fn rollback(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        async move { std::mem::take(&mut self.inner).rollback().await }.boxed()
    }

    fn inside(&self) -> Option<Inside> {
        self.inner.inside()
    }

    fn lost(&self) -> BoxFuture<'static, Error> {
        if take_one(&mut self.log.log().losses) {
            let lost = Error::unavailable("handling in a transaction", "the test said so");
            return ready(lost).boxed();
        }
        self.inner.lost()
    }
}

impl Drop for NotedTransaction {
    fn drop(&mut self) {
        if !self.committed {
            self.log.log().dropped += 1;
        }
    }
}
