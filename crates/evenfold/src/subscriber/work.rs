//! What a subscriber works with, and how it reads.
//!
//! Owns what all that is under way at a time shares: the store, the source, the handlers. Each action
//! of the machine is carried out by one function, here or in the file of its topic: `dispatch.rs`
//! (handlers), `records.rs` (progress), `parking.rs` (what is set aside). `driver.rs` calls them.

use std::sync::Arc;

use evenfold_core::error::Invalid;
use evenfold_core::message::{Converters, Recorded};
use evenfold_core::store::{
    BatchSize, CategoryQuery, ConsumerGroup, Place, ProgressStream, SubscriberId, Unit,
};
use evenfold_core::subscriber::{ErrorPolicy, Lane};

use super::builder::{Policy, Report};
use super::dispatch::Dispatch;
use crate::{Error, GlobalPosition, Position, Store, StreamName};

/// What a subscriber reads.
pub(super) enum Source {
    Category(CategoryQuery),
    Stream(StreamName),
}

/// Everything that is shared by what a subscriber has under way.
pub(super) struct Work {
    pub(super) store: Store,
    pub(super) id: SubscriberId,
    pub(super) source: Source,
    pub(super) progress: ProgressStream,
    pub(super) batch_size: BatchSize,
    pub(super) handlers: Vec<Box<dyn Dispatch>>,
    pub(super) converters: Converters,
    pub(super) strict: bool,
    pub(super) transactional: bool,
    pub(super) errors: ErrorPolicy,
    pub(super) policies: Vec<Policy>,
    pub(super) on_error: Vec<Report>,
    pub(super) on_rejection: Vec<Report>,
}

/// A page, and how far it reaches.
pub(super) struct Fetched {
    pub(super) page: Vec<Arc<Recorded>>,
    pub(super) scanned: Option<Place>,
    pub(super) is_full: bool,
}

impl Work {
    pub(super) fn unit(&self) -> Unit {
        self.progress.unit()
    }

    /// What is read, for people.
    pub(super) fn reads(&self) -> &str {
        match &self.source {
            Source::Category(query) => query.category().as_str(),
            Source::Stream(stream) => stream.as_str(),
        }
    }

    /// The lane that a stream falls to; none where it is not ours at all.
    pub(super) fn lane_of(&self, stream: &StreamName) -> Option<Lane> {
        match &self.source {
            Source::Category(query) => {
                query.group().is_none_or(|group: ConsumerGroup| group.holds(stream)).then_some(0)
            }
            Source::Stream(ours) => (ours == stream).then_some(0),
        }
    }

    /// Reads a page from this place on.
    pub(super) async fn fetch(&self, from: Place) -> Result<Fetched, Error> {
        let (store, limit) = (self.store.messages(), self.batch_size);
        let invalid = |invalid: Invalid| Error::from(invalid);
        let page = match &self.source {
            Source::Category(query) => {
                let from = GlobalPosition::new(from).map_err(invalid)?;
                store.read_category(query, from, limit).await?
            }
            Source::Stream(stream) => {
                let from = Position::new(from).map_err(invalid)?;
                store.read_stream(stream, from, limit).await?
            }
        };
        let is_full = page.len() >= limit.as_len();
        let scanned = page.last().map(|last| self.unit().place_of(last));
        Ok(Fetched { page: page.into_iter().map(Arc::new).collect(), scanned, is_full })
    }
}
