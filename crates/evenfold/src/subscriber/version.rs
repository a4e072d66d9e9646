//! A new version of a subscriber beside the old one, and how it takes over.
//!
//! Owns the last record of the old version. It is written by compare-and-set, so that the old version
//! has handled nothing beyond what the new one has when it ends.

use evenfold_core::store::{Progress, ProgressStream, Standing, SubscriberId};

use super::records::Book;
use super::work::{Share, Work};
use crate::{Category, Error, Store};

impl Work {
    /// The progress of the version before, if there is one.
    fn predecessor(&self) -> Option<ProgressStream> {
        match &self.share {
            Share::Whole { before, .. } => before.clone(),
            Share::Leased(_) => None,
        }
    }

    /// Whether the version before is at its end, or there is none.
    pub(super) async fn is_in_charge(&self) -> Result<bool, Error> {
        let Some(before) = self.predecessor() else { return Ok(true) };
        let (_, progress) = Book::open(&self.store, before).await?;
        Ok(progress.is_some_and(|progress| progress.successor == Some(self.version)))
    }

    /// Takes over from the version before, if we are as far as that one.
    pub(super) async fn take_over(&self, ours: Option<i64>) -> Result<bool, Error> {
        let Some(before) = self.predecessor() else { return Ok(true) };
        let (mut book, progress) = Book::open(&self.store, before).await?;
        let progress = progress.unwrap_or_default();
        if progress.done > ours && progress.done != Some(0) {
            return Ok(false);
        }
        let reason = format!("version {} has taken over", self.version);
        let last = Progress {
            successor: Some(self.version),
            began: None,
            standing: Some(Standing { stopped: true, reason }),
            ..progress
        };
        match book.record(&self.store, &self.id, &last).await {
            Ok(()) => Ok(true),
            // It has gone on meanwhile.
            Err(error) if error.is_superseded() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The version that has taken over from this one, if one has.
    pub(super) async fn successor(&self) -> Option<u32> {
        let Share::Whole { progress, .. } = &self.share else { return None };
        let (_, progress) = Book::open(&self.store, progress.clone()).await.ok()?;
        progress?.successor
    }
}

impl Store {
    /// The version of a subscriber that is in charge: whose work readers are to see.
    ///
    /// # Errors
    ///
    /// When the id or the category is invalid, a record cannot be read, or the store fails.
    pub async fn active_version(
        &self,
        subscriber: &str,
        category: impl TryInto<Category, Error: Into<Error>>,
    ) -> Result<u32, Error> {
        let category = category.try_into().map_err(Into::into)?;
        let first = ProgressStream::of_category(&category, &SubscriberId::new(subscriber)?, None);
        let mut version = 1;
        loop {
            let (_, progress) = Book::open(self, first.clone().version(version)).await?;
            match progress.and_then(|progress| progress.successor) {
                Some(next) if next > version => version = next,
                _ => return Ok(version),
            }
        }
    }
}
