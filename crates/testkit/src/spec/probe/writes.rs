//! What a handler writes to the store under a spec, and in the transaction that it is handed.
//!
//! Owns how others come before a write. A transaction is that of the memory store beneath, and a write in
//! it a call like any other; it is ended by `delivery.rs`.

use evenfold_core::handler::{Context, HandlerTransaction};
use evenfold_core::message::NewMessage;
use evenfold_core::store::{MessageStore, WriteStore, Written};
use evenfold_core::{Error, ExpectedVersion, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Call, CallKind, Probe};

impl WriteStore for Probe {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let what = format!("write to `{stream}`");
        self.write_to(&self.memory, what, stream, messages, expected).boxed()
    }
}

impl Probe {
    /// A write of the handler's, to the memory store or in a transaction of it.
    async fn write_to<W: WriteStore>(
        &self,
        to: &W,
        what: String,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        let tell = |written: &Written| {
            let types: Vec<_> = messages.iter().map(NewMessage::message_type).collect();
            match (written.is_repetition(), types.join(", ")) {
                (false, types) => format!("wrote {types}"),
                (true, types) => format!("had {types} before"),
            }
        };
        let write = async |harm| {
            self.others(stream, harm).await?;
            to.write(stream, messages, expected).await
        };
        let kind = CallKind::Write { expects: expected != ExpectedVersion::Any };
        let call = Call { what, detail: format!(", expecting {expected}"), kind };
        self.call(call, write, tell).await
    }
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Within {
    probe: Probe,
    inner: Context,
}

impl Within {
    pub(super) async fn begin(probe: &Probe) -> Result<Context, Error> {
        let inner = probe.memory.context().await?;
        Ok(Context::with(Self { probe: probe.clone(), inner }))
    }
}

impl WriteStore for Within {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let what = format!("write to `{stream}` in the transaction");
        self.probe.write_to(&self.inner, what, stream, messages, expected).boxed()
    }
}

impl HandlerTransaction for Within {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        self.inner.commit().boxed()
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.inner.rollback().boxed()
    }
}
