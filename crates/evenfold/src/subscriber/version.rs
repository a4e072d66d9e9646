//! A new version of a subscriber beside the old one, and how it takes over.
//!
//! Owns when it does, and the last record of the old version. It is written by compare-and-set, so that the old version
//! has handled nothing beyond what the new one has when it ends.

use std::sync::Arc;

use evenfold_core::error::Invalid;
use evenfold_core::store::{Progress, ProgressStream, Standing, SubscriberId};
use evenfold_core::subscriber::Stop;
use futures::FutureExt;
use tokio::time::Instant;

use super::driver::Poller;
use super::records::Book;
use super::told::Told;
use super::work::{Share, Work};
use crate::{Category, Error, Store};

/// How far it is with taking over from the version before. While it is not known whether that stands,
/// nothing begins: it is not known whether what is handled then is a replay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TakingOver {
    NotYet,
    UnderWay,
    /// The store did not answer, and is asked again at this time.
    Unsure(Instant),
    /// It was tried since it has caught up.
    Tried,
}

/// What stands before this version.
enum Before {
    /// Nothing: it is in charge.
    Nothing,
    /// The version that is in charge, where it is.
    InCharge(Book, Progress),
    /// A later version has taken over.
    Replaced(u32),
}

impl Work {
    /// Follows the versions that took over from each other, from the first one on. One that never ran
    /// is in nobody's way.
    async fn before(&self) -> Result<Before, Error> {
        let Share::Whole { before, .. } = &self.share else { return Ok(Before::Nothing) };
        let mut version = 1;
        loop {
            let stream = usize::try_from(version - 1).ok().and_then(|at| before.get(at));
            let Some(stream) = stream else { return Ok(Before::Nothing) };
            let (book, progress) = Book::open(&self.store, stream.clone()).await?;
            let progress = progress.unwrap_or_default();
            match progress.successor {
                Some(next) if next > self.version => return Ok(Before::Replaced(next)),
                Some(next) if next > version => version = next,
                _ => return Ok(Before::InCharge(book, progress)),
            }
        }
    }

    /// Whether no version before is in charge.
    pub(super) async fn is_in_charge(&self) -> Result<bool, Error> {
        match self.before().await? {
            Before::Nothing => Ok(true),
            Before::InCharge(..) => Ok(false),
            Before::Replaced(by) => Err(self.replaced_by(by)),
        }
    }

    /// Takes over from the version that is in charge, if we are as far as that one.
    pub(super) async fn take_over(&self, ours: Option<i64>) -> Result<bool, Error> {
        let (mut book, progress) = match self.before().await? {
            Before::Nothing => return Ok(true),
            Before::InCharge(book, progress) => (book, progress),
            Before::Replaced(by) => return Err(self.replaced_by(by)),
        };
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

    pub(super) fn replaced_by(&self, successor: u32) -> Error {
        let rule = format!("version {successor} has taken over");
        Invalid::new("subscriber", &self.id, rule).into()
    }

    /// The version that has taken over from this one, if one has.
    pub(super) async fn successor(&self) -> Option<u32> {
        let Share::Whole { progress, .. } = &self.share else { return None };
        let (_, ours) = Book::open(&self.store, progress.clone()).await.ok()?;
        if let Some(successor) = ours.and_then(|ours| ours.successor) {
            return Some(successor);
        }
        match self.before().await.ok()? {
            Before::Replaced(by) => Some(by),
            Before::Nothing | Before::InCharge(..) => None,
        }
    }
}

impl Poller {
    pub(super) fn is_taking_over(&self) -> bool {
        matches!(self.taking_over, TakingOver::UnderWay | TakingOver::Unsure(_))
    }

    /// Begins to take over, once it has caught up and handles nothing.
    pub(super) fn begin_taking_over(&mut self, is_caught_up: bool) {
        let is_due = match self.taking_over {
            TakingOver::NotYet => self.known.is_waiting && is_caught_up,
            // Who comes next finds out.
            TakingOver::Unsure(_) if self.stop.is_cancelled() => {
                self.taking_over = TakingOver::Tried;
                self.is_busy = true;
                false
            }
            TakingOver::Unsure(again) => again <= Instant::now(),
            TakingOver::Tried if !is_caught_up => {
                self.taking_over = TakingOver::NotYet;
                false
            }
            TakingOver::UnderWay | TakingOver::Tried => false,
        };
        if is_due && !self.stop.is_cancelled() {
            self.taking_over = TakingOver::UnderWay;
            let (work, ours) = (Arc::clone(&self.work), self.machine.done(0));
            let taken = async move { Told::TakenOver(work.take_over(ours).await) };
            self.under_way.push(taken.boxed());
        }
    }

    /// Whether it has taken over now.
    pub(super) fn took_over(&mut self, taken: &Result<bool, Error>) -> bool {
        self.taking_over = match taken {
            Err(error) if error.is_unavailable() => {
                TakingOver::Unsure(Instant::now() + self.work.options.error_delay)
            }
            _ => TakingOver::Tried,
        };
        // Another version has.
        if taken.as_ref().is_err_and(Error::is_invalid) {
            self.stopped = Some(Stop::Failed);
        }
        matches!(taken, Ok(true))
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
