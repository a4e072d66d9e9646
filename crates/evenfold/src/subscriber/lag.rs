//! How far a subscriber is behind: in messages, and in time.
//!
//! Owns what is counted for each kind of source. When a running subscriber measures it stands in
//! `telemetry`.

use std::time::Duration;

use evenfold_core::store::{BatchSize, CategoryQuery, ConsumerGroup, MessageStore, Place};
use evenfold_core::subscriber::Lane;
use evenfold_core::{Clock, SystemClock};
use time::OffsetDateTime;

use super::work::{Share, Source, Tenancy, Work};
use crate::{Category, Error, GlobalPosition, Position, StreamName};

/// How far a subscriber is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// How many messages it has before it.
    pub messages: u64,
    /// The age of the oldest of them, by the clock of this machine and the time in the store.
    pub time: Duration,
}

impl Lag {
    fn since(messages: u64, oldest: Option<OffsetDateTime>) -> Self {
        let age = oldest.map(|oldest| SystemClock.now() - oldest).unwrap_or_default();
        // The clock of the store may be ahead of ours.
        Self { messages, time: Duration::try_from(age).unwrap_or_default() }
    }

    /// What the parts come to.
    pub(super) fn of(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().fold(Self::default(), |all, part| Self {
            messages: all.messages.saturating_add(part.messages),
            time: all.time.max(part.time),
        })
    }
}

/// How far the members of a category, or who reads all of it, are behind, by what each is done with.
pub(super) async fn of_category(
    store: &dyn MessageStore,
    query: &CategoryQuery,
    done: impl IntoIterator<Item = (Option<ConsumerGroup>, Option<Place>)>,
) -> Result<Vec<Lag>, Error> {
    let head = store.category_head(query.category()).await?.map(GlobalPosition::get);
    let mut lags = Vec::new();
    for (member, done) in done {
        // Who is at the end has nothing before him, and nothing needs to be counted.
        if done >= head {
            lags.push(Lag::default());
            continue;
        }
        let query = match member {
            Some(member) => query.clone().for_member(member),
            None => query.clone(),
        };
        let after = done.map(GlobalPosition::new).transpose()?;
        let backlog = store.backlog(&query, after).await?;
        lags.push(Lag::since(backlog.messages, backlog.oldest));
    }
    Ok(lags)
}

/// How far a subscriber of several categories is behind in each of them.
pub(super) async fn of_named(
    store: &dyn MessageStore,
    categories: &[Category],
    done: Option<Place>,
) -> Result<Vec<Lag>, Error> {
    let mut lags = Vec::with_capacity(categories.len());
    for category in categories {
        let query = CategoryQuery::new(category.clone());
        lags.extend(of_category(store, &query, [(None, done)]).await?);
    }
    Ok(lags)
}

/// How far a subscriber of one stream is behind.
pub(super) async fn of_stream(
    store: &dyn MessageStore,
    stream: &StreamName,
    done: Option<Place>,
) -> Result<Lag, Error> {
    let next = done.map_or(0, |done| done.saturating_add(1));
    let end = store.stream_version(stream).await?.map_or(0, |version| version.get() + 1);
    let Some(messages) = u64::try_from(end - next).ok().filter(|messages| *messages > 0) else {
        return Ok(Lag::default());
    };
    let first = store.read_stream(stream, Position::new(next)?, BatchSize::new(1)?).await?;
    Ok(Lag::since(messages, first.first().map(|first| first.time)))
}

impl Work {
    /// How far the lanes are behind, each of which is done with what is given; not known of one that
    /// reads all categories.
    pub(super) async fn lag(&self, done: Vec<(Lane, Option<Place>)>) -> Result<Option<Lag>, Error> {
        let store = self.store.messages();
        let first = done.first().and_then(|(_, done)| *done);
        let lags = match (&self.source, &self.share) {
            (Source::Category(query), Share::Leased(Tenancy { group, .. })) => {
                let member = |lane: Lane| ConsumerGroup::new(lane.into(), group.buckets().into());
                let parts = done.into_iter().map(|(lane, done)| Ok((Some(member(lane)?), done)));
                let parts: Vec<_> = parts.collect::<Result<_, Error>>()?;
                of_category(store, query, parts).await?
            }
            (Source::Category(query), Share::Whole { .. }) => {
                of_category(store, query, [(None, first)]).await?
            }
            (Source::Stream(stream), _) => vec![of_stream(store, stream, first).await?],
            (Source::Merged(categories), _) => match categories.named() {
                Some(named) => of_named(store, named, first).await?,
                None => return Ok(None),
            },
        };
        Ok(Some(Lag::of(lags)))
    }
}
