//! What a write puts on its messages beside their data, and how it is sent and settled.
//!
//! Owns what [`Write`](crate::Write) and [`Transact`](crate::Transact) have in common. It is put on
//! at the end, so the order in which it was asked for does not matter.

use std::time::Duration;

use evenfold_core::error::Invalid;
use evenfold_core::handler::{BatchIds, Received};
use evenfold_core::message::{Metadata, NewMessage};
use evenfold_core::store::Written;

use crate::{Error, ExpectedVersion, Store, StreamName, telemetry};

/// The pauses before a write whose reply was lost is sent again, as often as there are pauses.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

#[derive(Debug, Default)]
pub(crate) struct Marks {
    pub(crate) metadata: Option<Metadata>,
    pub(crate) reply_to: Option<StreamName>,
    /// A reply asks for none itself.
    pub(crate) is_reply: bool,
    pub(crate) following: Option<Received<()>>,
    pub(crate) step: String,
    pub(crate) identity: Option<BatchIds>,
}

impl Marks {
    /// The ids that are the same whenever this write is made again, if it has such.
    pub(crate) fn ids(&self, stream: &StreamName) -> Result<Option<BatchIds>, Invalid> {
        self.check()?;
        match &self.following {
            _ if self.identity.is_some() => Ok(self.identity),
            Some(received) => received.ids_for(stream, &self.step).map(Some),
            None => Ok(None),
        }
    }

    /// Demands that what is followed was read with its metadata.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.following.as_ref().map_or(Ok(()), Received::require_metadata)
    }

    /// The same, even if a write like this one was made before; it may have been rolled back.
    pub(crate) fn ids_again(&self, stream: &StreamName) -> Option<BatchIds> {
        let of_received = self.following.as_ref().map(|it| it.ids_again(stream, &self.step));
        self.identity.or(of_received)
    }

    pub(crate) fn put_on(&self, messages: &mut [NewMessage], ids: Option<BatchIds>) {
        for (index, message) in messages.iter_mut().enumerate() {
            if let Some(ids) = ids {
                message.set_id(ids.at(index));
            }
            self.put_metadata(message.metadata_mut());
        }
    }

    /// What is followed first, and what was said by hand over it.
    fn put_metadata(&self, metadata: &mut Metadata) {
        if let Some(given) = &self.metadata {
            metadata.clone_from(given);
        }
        if let Some(received) = &self.following {
            metadata.follow(received.recorded(), received.metadata());
        }
        #[cfg(feature = "opentelemetry")]
        if self.metadata.as_ref().is_none_or(|it| !it.properties.contains_key("traceparent")) {
            telemetry::put_on(metadata);
        }
        if self.is_reply {
            metadata.take_reply();
        }
        if let Some(given) = &self.metadata {
            let Metadata { correlation_stream_name, reply_stream_name, .. } = given.clone();
            metadata.correlation_stream_name =
                correlation_stream_name.or(metadata.correlation_stream_name.take());
            metadata.reply_stream_name = reply_stream_name.or(metadata.reply_stream_name.take());
        }
        if let Some(stream) = &self.reply_to {
            metadata.reply_stream_name = Some(stream.clone());
        }
    }

    /// Notes that the outcome is known, so that the next write to the stream is another one.
    pub(crate) fn settle(&self, stream: &StreamName) {
        if let Some(received) = &self.following {
            received.followed(stream, &self.step);
        }
    }
}

/// Sends the same messages again while the store does not answer: their ids settle what happened.
/// What was written is announced.
pub(crate) async fn send(
    store: &Store,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
    ids: Option<BatchIds>,
) -> Result<Written, Error> {
    let mut answer = store.messages().write(stream, messages, expected).await;
    let mut sent_again = false;
    for pause in PAUSES {
        let Err(error) = &answer else { break };
        if !error.is_unavailable() {
            break;
        }
        telemetry::reply_lost(stream, error);
        tokio::time::sleep(pause).await;
        sent_again = true;
        answer = store.messages().write(stream, messages, expected).await;
    }
    let mut written = answer?;
    // What was sent more than once may repeat what this call wrote; and ids that were drawn for it can
    // only repeat that.
    let may_be_ours = sent_again || written.is_uncertain();
    if may_be_ours && written.is_repetition() {
        written = match ids {
            Some(_) => written.after_lost_reply(),
            None => Written::now(written.last()),
        };
    }
    if may_be_ours || !written.is_repetition() {
        store.announce(&stream.category());
    }
    Ok(written)
}
