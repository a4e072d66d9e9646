//! Pages as a stream of messages: one page in memory, the next one when it is wanted.

use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use super::{BatchSize, Categories, CategoryQuery, Merged, MergedStore, ReadStore};
use crate::error::Error;
use crate::message::Recorded;
use crate::{GlobalPosition, Position, StreamName};

/// The messages of a stream from a position on, until there are no more.
///
/// A page that is not full is the last: what is written later is not waited for. The stream ends
/// after the first error.
pub fn stream_messages<S: ReadStore + ?Sized>(
    store: &S,
    stream: StreamName,
    from: Position,
    batch: BatchSize,
) -> impl Stream<Item = Result<Recorded, Error>> + Send {
    stream::try_unfold((stream, Some(from)), move |(stream, from)| async move {
        let Some(from) = from else { return Ok(None) };
        let page = store.read_stream(&stream, from, batch).await?;
        let next = next_page(&page, batch).map(|last| last.position.next());
        Ok::<_, Error>(Some((stream::iter(page).map(Ok), (stream, next))))
    })
    .try_flatten()
}

/// The messages of a category from a global position on, until there are no more.
///
/// A page that is not full is the last: what is written later is not waited for. The stream ends
/// after the first error.
pub fn category_messages<S: ReadStore + ?Sized>(
    store: &S,
    query: CategoryQuery,
    from: GlobalPosition,
    batch: BatchSize,
) -> impl Stream<Item = Result<Recorded, Error>> + Send {
    stream::try_unfold((query, Some(from)), move |(query, from)| async move {
        let Some(from) = from else { return Ok(None) };
        let page = store.read_category(&query, from, batch).await?;
        let next = next_page(&page, batch).map(|last| last.global_position.next());
        Ok::<_, Error>(Some((stream::iter(page).map(Ok), (query, next))))
    })
    .try_flatten()
}

/// The messages of several categories from a global position on, until there are no more, or the
/// next place is not decided yet.
///
/// What is written later is not waited for. The stream ends after the first error.
pub fn merged_messages<S: MergedStore + ?Sized>(
    store: &S,
    of: Categories,
    from: GlobalPosition,
    batch: BatchSize,
) -> impl Stream<Item = Result<Recorded, Error>> + Send {
    stream::try_unfold((of, from), move |(of, from)| async move {
        let Merged { messages, scanned, .. } = store.read_merged(&of, from, batch).await?;
        if scanned < from {
            return Ok(None);
        }
        Ok::<_, Error>(Some((stream::iter(messages).map(Ok), (of, scanned.next()))))
    })
    .try_flatten()
}

/// The last message of a full page, behind which the next page begins.
fn next_page(page: &[Recorded], batch: BatchSize) -> Option<&Recorded> {
    page.last().filter(|_| page.len() >= batch.as_len())
}
