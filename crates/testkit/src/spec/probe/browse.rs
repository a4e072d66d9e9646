//! Looking around and reading several categories under a spec, each a call like any other.
//!
//! Owns what a call is named in a report. The faults are in `mod.rs`.

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    Backlog, BatchSize, BrowseStore, Categories, CategoryQuery, CategorySummary, LeaseStore,
    Merged, MergedStore, StreamSummary,
};
use evenfold_core::{Category, Error, GlobalPosition, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::{Call, Probe, count, some};

impl BrowseStore for Probe {
    fn categories<'a>(
        &'a self,
        after: Option<&'a Category>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<CategorySummary>, Error>> {
        let read = async move || self.memory.categories(after, limit).await;
        let tell = |page: &Vec<CategorySummary>| format!("{} of them", page.len());
        self.read(Call::read("listing of categories"), read, tell).boxed()
    }

    fn streams<'a>(
        &'a self,
        category: &'a Category,
        after: Option<&'a StreamName>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<StreamSummary>, Error>> {
        let read = async move || self.memory.streams(category, after, limit).await;
        let call = Call::read(format!("listing of the streams of `{category}`"));
        self.read(call, read, |page| count(page.len(), "stream")).boxed()
    }

    fn message(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Recorded>, Error>> {
        let read = async move || self.memory.message(id).await;
        let call = Call::read("look for a message by its id");
        self.read(call, read, |found| some(found.as_ref())).boxed()
    }

    fn backlog<'a>(
        &'a self,
        query: &'a CategoryQuery,
        after: Option<GlobalPosition>,
    ) -> BoxFuture<'a, Result<Backlog, Error>> {
        let read = async move || self.memory.backlog(query, after).await;
        let call = Call::read(format!("count of what is left of `{}`", query.category()));
        self.read(call, read, |backlog| backlog.messages.to_string()).boxed()
    }
}

impl MergedStore for Probe {
    fn read_merged<'a>(
        &'a self,
        of: &'a Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Merged, Error>> {
        let read = async move || self.memory.read_merged(of, from, limit).await;
        let call = Call::read(format!("read of {of}")).with(format!(" from {from}"));
        self.read(call, read, |page| count(page.messages.len(), "message")).boxed()
    }
}

/// A handler holds no leases.
impl LeaseStore for Probe {}
