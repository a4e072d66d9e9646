//! Progress, recorded by compare-and-set in the position stream.
//!
//! Owns which version of that stream is expected, how a record whose reply was lost is settled, and
//! which position streams there are of one subscriber. When to record, and what, is decided by the
//! machine in evenfold-core.

use evenfold_core::error::Conflict;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{
    BatchSize, Place, Progress, ProgressName, ProgressStream, SubscriberId,
};
use uuid::Uuid;

use crate::{Category, Error, ExpectedVersion, Position, Store, StreamName};

/// The position stream of one lane, as this process knows it.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) stream: ProgressStream,
    /// Whoever is at another version has not recorded last.
    expected: ExpectedVersion,
    /// A record that may stand or not.
    lost: Option<Box<NewMessage>>,
    /// So may one that was to be committed with effects.
    pub(super) is_unsure: bool,
}

impl Book {
    /// Reads what stands in the store.
    pub(super) async fn open(
        store: &Store,
        stream: ProgressStream,
    ) -> Result<(Self, Option<Progress>), Error> {
        let last = store.messages().last_message(stream.stream(), None).await?;
        let progress = last.as_ref().map(|last| stream.progress_in(last)).transpose()?;
        let expected = ExpectedVersion::from(last.map(|last| last.position));
        Ok((Self { stream, expected, lost: None, is_unsure: false }, progress))
    }

    /// Records progress, unless another has since.
    pub(super) async fn record(
        &mut self,
        store: &Store,
        of: &SubscriberId,
        progress: &Progress,
    ) -> Result<(), Error> {
        self.settle(store, of).await?;
        let record = self.stream.record(progress, store.ids().next())?;
        self.write(store, of, record).await
    }

    /// Finds out about a record whose reply was lost, by writing it again under its id.
    pub(super) async fn settle(&mut self, store: &Store, of: &SubscriberId) -> Result<(), Error> {
        match self.lost.take() {
            Some(lost) => self.write(store, of, *lost).await,
            None => Ok(()),
        }
    }

    async fn write(
        &mut self,
        store: &Store,
        of: &SubscriberId,
        record: NewMessage,
    ) -> Result<(), Error> {
        let record = [record];
        let written = store.messages().write(self.stream.stream(), &record, self.expected).await;
        match written {
            Ok(written) => {
                self.stands(written.last());
                Ok(())
            }
            Err(error) => {
                if error.is_unavailable() {
                    let [record] = record;
                    self.lost = Some(Box::new(record));
                }
                Err(superseded(error, of))
            }
        }
    }

    /// The record that is committed with the effects of the message at this place. It is the same
    /// whenever that message is handled on top of the same record.
    ///
    /// # Errors
    ///
    /// When the progress cannot be recorded.
    pub(super) fn with_effects(
        &self,
        progress: &Progress,
        place: Place,
    ) -> Result<(NewMessage, ExpectedVersion), Error> {
        let name = format!("{}#{}#{place}", self.stream.stream(), self.expected);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        Ok((self.stream.record(progress, id)?, self.expected))
    }

    /// A record stands at this version.
    pub(super) fn stands(&mut self, at: Position) {
        self.expected = ExpectedVersion::At(at);
        self.is_unsure = false;
    }
}

/// What the names of the position streams say that a subscriber has in one category of them: a name
/// for each version, and for each member of a group.
pub(super) async fn names_of(
    store: &Store,
    positions: &Category,
    id: &SubscriberId,
) -> Result<Vec<ProgressName>, Error> {
    let mut names = Vec::new();
    let mut after: Option<StreamName> = None;
    loop {
        let page = store.messages().streams(positions, after.as_ref(), BatchSize::DEFAULT).await?;
        let found = page.iter().filter_map(|it| ProgressName::of(&it.stream));
        names.extend(found.filter(|name| name.subscriber == *id));
        after = page.last().map(|last| last.stream.clone());
        if page.len() < BatchSize::DEFAULT.as_len() {
            return Ok(names);
        }
    }
}

/// A conflict in the position stream means that somebody else records there.
pub(super) fn superseded(error: Error, of: &SubscriberId) -> Error {
    match error.conflict() {
        Some(conflict) => {
            let conflict: Conflict = conflict.clone();
            Error::superseded(of, conflict)
        }
        None => error,
    }
}
