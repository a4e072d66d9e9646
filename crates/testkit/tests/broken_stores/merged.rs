//! What the broken stores read by one cursor over several categories, and how far behind they say a
//! subscriber is.
//!
//! The other reads are in `reads.rs`.

use evenfold_core::store::{
    Backlog, BatchSize, BrowseStore, Categories, CategoryQuery, Merged, MergedStore, ReadStore,
};
use evenfold_core::{Category, Error, GlobalPosition};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::store::Broken;
use crate::store::Fault::*;

impl Broken {
    async fn merged_wrong(
        &self,
        of: &Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Result<Merged, Error> {
        let memory = &self.memory;
        let more = BatchSize::new(i64::from(limit.get()) + 1).unwrap_or(limit);
        let right = memory.read_merged(of, from, limit).await?;
        let moved = right.scanned >= from;
        Ok(match self.fault {
            MergesFromBehind => {
                let behind = memory.read_merged(of, from.next().next(), limit).await?;
                Merged { messages: behind.messages, ..right }
            }
            MergesOneTooMany => memory.read_merged(of, from, more).await?,
            MergesByCategory => {
                let mut merged = right;
                merged.messages.sort_by_key(|it| it.stream_name.category());
                merged
            }
            MergesBookkeeping if of.named().is_none() => {
                let listed = memory.categories(None, BatchSize::DEFAULT).await?;
                let listed: Vec<_> = listed.into_iter().map(|it| it.category).collect();
                match Categories::of(listed) {
                    Ok(every) => memory.read_merged(&every, from, limit).await?,
                    Err(_) => right,
                }
            }
            ScansPastWhatItRead if moved => {
                let most = BatchSize::new(1_000_000)?;
                let scanned = memory.read_merged(of, from, most).await?.scanned;
                Merged { scanned, ..right }
            }
            StaysWhereNothingMatches => {
                let last = right.messages.last().map(|message| message.global_position);
                Merged { scanned: last.unwrap_or(from.previous()), ..right }
            }
            DecidesWhatDoesNotStandYet if !moved => Merged { scanned: from, ..right },
            _ => right,
        })
    }

    pub(crate) async fn head_wrong(
        &self,
        category: &Category,
    ) -> Result<Option<GlobalPosition>, Error> {
        if self.has(TakesTheHeadOfTheStore) {
            let (all, most) = (Categories::all(), BatchSize::new(1_000_000)?);
            let all = self.memory.read_merged(&all, GlobalPosition::START, most).await?;
            return Ok(Some(all.scanned).filter(|head| *head > GlobalPosition::START));
        }
        self.memory.category_head(category).await
    }

    pub(crate) async fn backlog_wrong(
        &self,
        query: &CategoryQuery,
        after: Option<GlobalPosition>,
    ) -> Result<Backlog, Error> {
        let plain = CategoryQuery::new(query.category().clone());
        match self.fault {
            CountsTheLastOneHandled => {
                let after = after.map(GlobalPosition::previous);
                self.memory.backlog(query, after).await
            }
            CountsWithoutTheFilter => self.memory.backlog(&plain, after).await,
            _ => self.memory.backlog(query, after).await,
        }
    }
}

impl MergedStore for Broken {
    fn read_merged<'a>(
        &'a self,
        of: &'a Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Merged, Error>> {
        self.merged_wrong(of, from, limit).boxed()
    }
}
