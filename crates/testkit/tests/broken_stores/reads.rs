//! What the broken stores read, list and remember of progress.
//!
//! What they write is in `store.rs`, what they read of several categories in `merged.rs`.

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    Backlog, BatchSize, BrowseStore, CategoryQuery, CategorySummary, Place, ProgressStore,
    ProgressStream, ReadStore, StreamSummary,
};
use evenfold_core::{Category, Error, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use uuid::Uuid;

use crate::store::Broken;
use crate::store::Fault::*;

impl Broken {
    /// The other categories whose name begins with this one.
    async fn like(&self, category: &Category) -> Result<Vec<Category>, Error> {
        let listed = self.memory.categories(None, BatchSize::DEFAULT).await?;
        let mut like: Vec<_> = listed.into_iter().map(|summary| summary.category).collect();
        like.retain(|it| it != category && it.as_str().starts_with(category.as_str()));
        Ok(like)
    }

    async fn read_by_prefix(
        &self,
        category: &Category,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Result<Vec<Recorded>, Error> {
        let mut page = Vec::new();
        let like = self.like(category).await?;
        for query in like.into_iter().chain([category.clone()]).map(CategoryQuery::new) {
            page.extend(self.memory.read_category(&query, from, limit).await?);
        }
        page.sort_by_key(|message| message.global_position);
        page.truncate(limit.as_len());
        Ok(page)
    }

    /// The query without its types, or with the metadata that it does not want.
    fn asks_for_more(&self, query: &CategoryQuery) -> CategoryQuery {
        let mut more = CategoryQuery::new(query.category().clone());
        if let Some(correlation) = query.correlation() {
            more = more.correlated_with(correlation.clone());
        }
        if let Some(group) = query.group() {
            more = more.for_member(group);
        }
        match query.types() {
            Some(types) if self.has(KeepsTheMetadata) => more.of_types(types.iter().cloned()),
            None if self.has(DropsTheTypes) && !query.has_metadata() => more.without_metadata(),
            _ => more,
        }
    }

    /// What is listed after a name, or another list of as many.
    fn listed_wrong<T: Clone>(
        &self,
        listed: Vec<T>,
        all: Vec<T>,
        is_given: impl Fn(&T) -> bool,
        limit: BatchSize,
    ) -> Vec<T> {
        let given = all.iter().find(|it| is_given(it)).cloned();
        match (self.fault, given) {
            (ListsTheOneGiven, given) => {
                given.into_iter().chain(listed).take(limit.as_len()).collect()
            }
            (ListsAllAfterAnUnknownName, None) => all.into_iter().take(limit.as_len()).collect(),
            _ => listed,
        }
    }
}

impl ReadStore for Broken {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        let more = i64::from(limit.get());
        match self.fault {
            ReadsFromBehind => self.memory.read_stream(stream, from.next(), limit),
            ReadsOneTooMany => {
                let limit = BatchSize::new(more + 1).unwrap_or(limit);
                self.memory.read_stream(stream, from, limit)
            }
            ReadsOneTooFew => async move {
                let mut page = self.memory.read_stream(stream, from, limit).await?;
                if page.len() == limit.as_len() && page.len() > 1 {
                    page.pop();
                }
                Ok(page)
            }
            .boxed(),
            ReadsTheLastPastTheEnd => async move {
                let page = self.memory.read_stream(stream, from, limit).await?;
                if page.is_empty() {
                    return Ok(self.memory.last_message(stream, None).await?.into_iter().collect());
                }
                Ok(page)
            }
            .boxed(),
            MatchesAStreamByPrefix => async move {
                let query = CategoryQuery::new(stream.require_id()?.category());
                let (start, most) = (GlobalPosition::START, BatchSize::DEFAULT);
                let mut page = self.memory.read_category(&query, start, most).await?;
                page.retain(|it| it.stream_name.as_str().starts_with(stream.as_str()));
                page.retain(|it| it.position >= from);
                page.truncate(limit.as_len());
                Ok(page)
            }
            .boxed(),
            ReadsACategoryAsAStream if stream.is_category() => ready(Ok(Vec::new())).boxed(),
            _ => self.memory.read_stream(stream, from, limit),
        }
    }

    fn read_category<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        async move {
            let plain = CategoryQuery::new(query.category().clone());
            let correlated = query.correlation();
            match self.fault {
                ReadsACategoryFromBehind => {
                    self.memory.read_category(query, from.next().next(), limit).await
                }
                LimitsBeforeItFilters => {
                    let most = BatchSize::new(1_000_000)?;
                    let wanted = self.memory.read_category(query, from, most).await?;
                    let mut page = self.memory.read_category(&plain, from, limit).await?;
                    page.retain(|message| wanted.contains(message));
                    Ok(page)
                }
                DropsTheCorrelation => {
                    let query = match query.group() {
                        Some(group) => plain.for_member(group),
                        None => plain,
                    };
                    self.memory.read_category(&query, from, limit).await
                }
                DropsTheGroup => {
                    let query = match correlated {
                        Some(correlation) => plain.correlated_with(correlation.clone()),
                        None => plain,
                    };
                    self.memory.read_category(&query, from, limit).await
                }
                DropsTheTypes | KeepsTheMetadata => {
                    self.memory.read_category(&self.asks_for_more(query), from, limit).await
                }
                MatchesACategoryByPrefix => {
                    self.read_by_prefix(query.category(), from, limit).await
                }
                _ => self.memory.read_category(query, from, limit).await,
            }
        }
        .boxed()
    }

    fn last_message<'a>(
        &'a self,
        stream: &'a StreamName,
        message_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
        async move {
            if self.has(MistakesTheLastOfAType) {
                let last = self.memory.last_message(stream, None).await?;
                return Ok(
                    last.filter(|last| message_type.is_none_or(|it| *last.message_type == *it))
                );
            }
            if self.has(AnswersTheFirstAsTheLast) && message_type.is_none() && !stream.is_category()
            {
                let first = self.memory.read_stream(stream, Position::START, BatchSize::DEFAULT);
                return Ok(first.await?.into_iter().next());
            }
            let mut last = self.memory.last_message(stream, message_type).await?;
            if let Some(last) = last.as_mut().filter(|_| self.has(LosesTypesCase)) {
                last.message_type = last.message_type.to_lowercase().into();
            }
            Ok(last)
        }
        .boxed()
    }

    fn stream_version<'a>(
        &'a self,
        stream: &'a StreamName,
    ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
        self.memory.stream_version(stream)
    }

    fn category_head<'a>(
        &'a self,
        category: &'a Category,
    ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>> {
        self.head_wrong(category).boxed()
    }
}

impl BrowseStore for Broken {
    fn categories<'a>(
        &'a self,
        after: Option<&'a Category>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<CategorySummary>, Error>> {
        async move {
            let mut listed = self.memory.categories(after, limit).await?;
            if let Some(after) = after {
                let all = self.memory.categories(None, BatchSize::DEFAULT).await?;
                listed = self.listed_wrong(listed, all, |it| it.category == *after, limit);
            }
            for summary in listed.iter_mut().filter(|_| self.has(CountsOneTooFew)) {
                summary.messages -= u64::from(summary.messages > 10);
            }
            if self.has(ListsUnsorted) {
                listed.sort_by_key(|summary| summary.category.as_str().to_lowercase());
            }
            Ok(listed)
        }
        .boxed()
    }

    fn streams<'a>(
        &'a self,
        category: &'a Category,
        after: Option<&'a StreamName>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<StreamSummary>, Error>> {
        async move {
            let mut listed = self.memory.streams(category, after, limit).await?;
            if let Some(after) = after {
                let all = self.memory.streams(category, None, BatchSize::DEFAULT).await?;
                listed = self.listed_wrong(listed, all, |it| it.stream == *after, limit);
            }
            for other in self.like(category).await?.iter().filter(|_| self.has(ListsByPrefix)) {
                listed.extend(self.memory.streams(other, after, limit).await?);
            }
            if self.has(ListsUnsorted) {
                listed.sort_by_key(|summary| summary.stream.as_str().to_lowercase());
            }
            Ok(listed)
        }
        .boxed()
    }

    fn message(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Recorded>, Error>> {
        async move {
            match self.memory.message(id).await? {
                None if self.has(FindsAnythingById) => {
                    let any = StreamName::new("account-1")?;
                    self.memory.last_message(&any, None).await
                }
                found => Ok(found.filter(|_| !self.has(FindsNothingById))),
            }
        }
        .boxed()
    }

    fn backlog<'a>(
        &'a self,
        query: &'a CategoryQuery,
        after: Option<GlobalPosition>,
    ) -> BoxFuture<'a, Result<Backlog, Error>> {
        self.backlog_wrong(query, after).boxed()
    }
}

impl ProgressStore for Broken {
    fn read_progress<'a>(
        &'a self,
        of: &'a ProgressStream,
    ) -> BoxFuture<'a, Result<Option<Place>, Error>> {
        async move {
            match self.memory.read_progress(of).await {
                Err(error)
                    if error.is_unreadable_progress()
                        && self.has(TakesMalformedProgressForNone) =>
                {
                    Ok(None)
                }
                Ok(Some(_)) if self.has(AnswersProgressFromTheFirstRecord) => {
                    let first =
                        self.memory.read_stream(of.stream(), Position::START, BatchSize::DEFAULT);
                    let first = first.await?.remove(0);
                    let data: serde_json::Value =
                        serde_json::from_str(first.data()).unwrap_or_default();
                    Ok(data.get("position").and_then(serde_json::Value::as_i64))
                }
                Ok(None) if self.has(StartsProgressAtZero) => Ok(Some(0)),
                answer => answer,
            }
        }
        .boxed()
    }

    fn record_progress<'a>(
        &'a self,
        of: &'a ProgressStream,
        place: Place,
        id: Uuid,
    ) -> BoxFuture<'a, Result<(), Error>> {
        if self.has(LosesProgress) && place > 10 {
            return ready(Ok(())).boxed();
        }
        let other = Uuid::from_u128(id.as_u128() ^ u128::from(place.unsigned_abs()) << 64);
        let id = if self.has(RecordsProgressUnderOtherIds) { other } else { id };
        self.memory.record_progress(of, place, id)
    }
}
