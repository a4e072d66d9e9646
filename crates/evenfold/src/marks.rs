//! What a write puts on its messages beside their data: ids, metadata, what they follow.
//!
//! Owns what [`Write`](crate::Write) and [`Transact`](crate::Transact) have in common. It is put on
//! at the end, so the order in which it was asked for does not matter.

use evenfold_core::handler::{BatchIds, Received};
use evenfold_core::message::{Metadata, NewMessage, Recorded};

use crate::StreamName;

#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) metadata: Option<Metadata>,
    /// Ids that are the same whenever the write is made again.
    pub(crate) ids: Option<BatchIds>,
    pub(crate) reply_to: Option<StreamName>,
    /// A reply asks for none itself.
    pub(crate) is_reply: bool,
    following: Option<(Recorded, Metadata)>,
}

impl Marks {
    pub(crate) fn follow<M>(&mut self, received: &Received<M>, stream: &StreamName) {
        self.following = Some((received.recorded().clone(), received.metadata().clone()));
        self.ids = Some(received.ids_for(stream));
    }

    pub(crate) fn put_on(&self, messages: &mut [NewMessage]) {
        for (index, message) in messages.iter_mut().enumerate() {
            if let Some(ids) = self.ids {
                message.set_id(ids.at(index));
            }
            let metadata = message.metadata_mut();
            if let Some(given) = &self.metadata {
                metadata.clone_from(given);
            }
            if let Some((recorded, its)) = &self.following {
                metadata.follow(recorded, its);
            }
            if self.is_reply {
                metadata.take_reply();
            }
            if let Some(stream) = &self.reply_to {
                metadata.reply_stream_name = Some(stream.clone());
            }
        }
    }
}
