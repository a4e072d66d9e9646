//! A transaction of the memory store: it keeps what is written in it until it commits.
//!
//! Owns the check that nobody was faster. Nobody waits for another here, so a transaction that is left
//! open holds up no one.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use super::Memory;
use super::log::Log;
use crate::error::{Conflict, Error};
use crate::message::{NewMessage, Recorded};
use crate::store::{HandlerTransaction, WriteStore, Written, check_batch};
use crate::{ExpectedVersion, Position, StreamName};

/// What was written in the transaction, batch by batch.
#[derive(Debug)]
pub(super) struct Transaction {
    store: Memory,
    written: Mutex<Vec<Batch>>,
}

#[derive(Debug)]
struct Batch {
    stream: StreamName,
    expected: ExpectedVersion,
    /// The version that the stream had before.
    version: Option<Position>,
    messages: Vec<Recorded>,
}

impl Transaction {
    pub(super) fn new(store: Memory) -> Self {
        Self { store, written: Mutex::default() }
    }

    fn written(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_batch(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        let mut written = self.written();
        self.store.read(|log| {
            let own = || written.iter().flat_map(|batch| &batch.messages);
            let find = |id| log.by_id(id).or_else(|| own().find(|message| message.id == id));
            let found: Vec<_> = messages.iter().filter_map(|new| find(new.id())).collect();
            if let Some(written) = Written::by_ids(stream, messages, &found)? {
                return Ok(written);
            }
            let last = own().rfind(|message| message.stream_name == *stream);
            let version = last.map(|last| last.position).or_else(|| log.version(stream));
            if !expected.holds(version) {
                return Err(Conflict::new(stream.clone(), expected, version).into());
            }
            let batch = Log::batch(stream, messages, version, self.store.clock.now());
            let last = batch.last().map_or(Position::START, |last| last.position);
            let stream = stream.clone();
            written.push(Batch { stream, expected, version, messages: batch });
            Ok(Written::now(last))
        })
    }

    /// All batches or none; they stand where it was said that they do, or not at all.
    fn commit_to(&self, log: &mut Log) -> Result<(), Error> {
        let batches = std::mem::take(&mut *self.written());
        let mut begun = HashSet::new();
        for batch in batches.iter().filter(|batch| begun.insert(&batch.stream)) {
            let version = log.version(&batch.stream);
            if version != batch.version {
                return Err(overtaken(batch, version));
            }
        }
        for message in batches.iter().flat_map(|batch| &batch.messages) {
            if let Some(taken) = log.by_id(message.id) {
                let place = taken.place();
                return Err(Error::unavailable("committing", format!("meanwhile it is {place}")));
            }
        }
        for message in batches.into_iter().flat_map(|batch| batch.messages) {
            log.add(message);
        }
        Ok(())
    }
}

fn overtaken(batch: &Batch, version: Option<Position>) -> Error {
    let stream = &batch.stream;
    if batch.expected == ExpectedVersion::Any {
        let doing = format!("committing what was written to `{stream}`");
        return Error::unavailable(doing, "another writer was faster; make it again");
    }
    Conflict::new(stream.clone(), batch.expected, version).into()
}

impl WriteStore for Transaction {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        async move { self.write_batch(stream, messages, expected) }.boxed()
    }
}

impl HandlerTransaction for Transaction {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            let mut log = self.store.log.write().unwrap_or_else(PoisonError::into_inner);
            self.commit_to(&mut log)
        }
        .boxed()
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}
