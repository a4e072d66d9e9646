//! Looking around and reading several categories through a recording.
//!
//! Owns nothing: it hands on what the store answers, or that it did not. The faults are in `mod.rs`.

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    Backlog, BatchSize, BrowseStore, Categories, CategoryQuery, CategorySummary, Merged,
    MergedStore, StreamSummary,
};
use evenfold_core::{Category, Error, GlobalPosition, StreamName};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use uuid::Uuid;

use super::Recording;

impl MergedStore for Recording {
    fn read_merged<'a>(
        &'a self,
        of: &'a Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Merged, Error>> {
        let held = self.shared().held_up.clone();
        if held.is_some() {
            let nothing = Merged { messages: Vec::new(), scanned: from.previous(), held };
            return self.read(ready(Ok(nothing)).boxed()).boxed();
        }
        self.read(self.store.read_merged(of, from, limit)).boxed()
    }

    fn check_merged(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.read(self.store.check_merged()).boxed()
    }
}

impl BrowseStore for Recording {
    fn categories<'a>(
        &'a self,
        after: Option<&'a Category>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<CategorySummary>, Error>> {
        self.read(self.store.categories(after, limit)).boxed()
    }

    fn streams<'a>(
        &'a self,
        category: &'a Category,
        after: Option<&'a StreamName>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<StreamSummary>, Error>> {
        self.read(self.store.streams(category, after, limit)).boxed()
    }

    fn message(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Recorded>, Error>> {
        self.read(self.store.message(id)).boxed()
    }

    fn backlog<'a>(
        &'a self,
        query: &'a CategoryQuery,
        after: Option<GlobalPosition>,
    ) -> BoxFuture<'a, Result<Backlog, Error>> {
        self.read(self.store.backlog(query, after)).boxed()
    }
}
