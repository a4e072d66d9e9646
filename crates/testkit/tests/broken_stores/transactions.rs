//! The transactions that the broken stores hand out.
//!
//! Each does one thing wrong around the true one of the memory store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use evenfold_core::handler::HandlerTransaction;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{Context, MessageStore, WriteStore, Written};
use evenfold_core::{Error, ExpectedVersion, StreamName};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::store::Broken;
use crate::store::Fault::{self, *};

impl Fault {
    pub(super) fn is_of_transactions(self) -> bool {
        matches!(
            self,
            ClaimsToHaveTransactions
                | WritesBeforeTheCommit
                | CommitsNothing
                | CommitsWhatIsDropped
                | EndsAtARefusal
                | DoesNotSeeItsOwn
                | CommitsWithoutACheck
                | TakesARepetitionForNew
        )
    }
}

pub(super) async fn begin(store: &Broken) -> Result<Context, Error> {
    if !store.fault.is_of_transactions() || store.has(ClaimsToHaveTransactions) {
        return Ok(Context::empty());
    }
    let inner = Some(store.memory.context().await?);
    let store = store.clone();
    let (batches, ended) = (Mutex::default(), AtomicBool::default());
    Ok(Context::with(BrokenTransaction { store, inner, batches, ended }))
}

struct BrokenTransaction {
    store: Broken,
    inner: Option<Context>,
    /// What was written, for those that write it once more.
    batches: Mutex<Vec<(StreamName, Vec<NewMessage>)>>,
    ended: AtomicBool,
}

impl BrokenTransaction {
    async fn write_all(&mut self) -> Result<(), Error> {
        let batches = self.batches.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (stream, messages) in batches {
            self.store.memory.write(stream, messages, ExpectedVersion::Any).await?;
        }
        Ok(())
    }

    async fn write_wrong(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        let closed = || Error::failed("writing", "the transaction has ended");
        let inner = self.inner.as_ref().ok_or_else(closed)?;
        match self.store.fault {
            WritesBeforeTheCommit => self.store.memory.write(stream, messages, expected).await,
            EndsAtARefusal if self.ended.load(Ordering::SeqCst) => Err(closed()),
            DoesNotSeeItsOwn => {
                let apart = self.store.memory.context().await?;
                let written = apart.write(stream, messages, expected).await?;
                inner.write(stream, messages, ExpectedVersion::Any).await?;
                Ok(written)
            }
            TakesARepetitionForNew => {
                let written = inner.write(stream, messages, expected).await;
                written.map(|written| Written::now(written.last()))
            }
            _ => {
                let written = inner.write(stream, messages, expected).await;
                self.ended.fetch_or(written.is_err(), Ordering::SeqCst);
                if written.is_ok() {
                    let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
                    batches.push((stream.clone(), messages.to_vec()));
                }
                written
            }
        }
    }
}

impl WriteStore for BrokenTransaction {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        self.write_wrong(stream, messages, expected).boxed()
    }
}

impl HandlerTransaction for BrokenTransaction {
    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            match (self.store.fault, self.inner.take()) {
                (CommitsWithoutACheck, _) => self.write_all().await,
                (CommitsNothing, _) | (_, None) => Ok(()),
                (_, Some(inner)) => inner.commit().await,
            }
        }
        .boxed()
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}

impl Drop for BrokenTransaction {
    fn drop(&mut self) {
        if let (CommitsWhatIsDropped, Some(inner)) = (self.store.fault, self.inner.take()) {
            inner.commit().now_or_never();
        }
    }
}
