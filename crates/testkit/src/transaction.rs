//! A transaction for handlers that notes what became of it.
//!
//! The double of what a backend with transactions hands out in `Context`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenfold_core::Error;
use evenfold_core::handler::{Context, HandlerTransaction};
use futures::FutureExt;
use futures::future::BoxFuture;

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
    refused_begins: u32,
}

impl TransactionLog {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A context with a transaction whose end is noted here.
    pub fn begin(&self) -> Context {
        self.log().begun += 1;
        Context::with(NotedTransaction { log: self.clone(), notes: Vec::new(), committed: false })
    }

    /// [`begin`](Self::begin), unless it was told to fail.
    pub(crate) fn try_begin(&self) -> Result<Context, Error> {
        if take_one(&mut self.log().refused_begins) {
            return Err(Error::unavailable("beginning a transaction", "the test said so"));
        }
        Ok(self.begin())
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

    /// Lets a store fail the next `times` it is asked for a context.
    pub fn refuse_begins(&self, times: u32) {
        self.log().refused_begins = times;
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
    committed: bool,
}

impl NotedTransaction {
    /// Does something in the transaction: it has happened once that is committed.
    pub fn note(&mut self, effect: impl Into<String>) {
        self.notes.push(effect.into());
    }
}

impl HandlerTransaction for NotedTransaction {
    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            let log = self.log.clone();
            let mut log = log.log();
            if take_one(&mut log.refused_commits) {
                drop(log);
                return Err(Error::unavailable("committing a transaction", "the test said so"));
            }
            log.committed += 1;
            log.effects.append(&mut self.notes);
            drop(log);
            self.committed = true;
            Ok(())
        }
        .boxed()
    }
}

impl Drop for NotedTransaction {
    fn drop(&mut self) {
        if !self.committed {
            self.log.log().dropped += 1;
        }
    }
}
