//! What a law is given: a store to be opened, tasks to be run at once, and what it asks of both.
//!
//! The helpers answer with an error where another answer was due, so that a law reads as a story.

use std::fmt::Debug;
use std::sync::Arc;

use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{BatchSize, CategoryQuery, MessageStore, Written};
use evenfold_core::{Error, ExpectedVersion, GlobalPosition, Position, StreamName};
use futures::channel::oneshot;
use futures::future::{BoxFuture, join_all, poll_fn};
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::Backend;

/// The store that a law is proven on.
pub(super) struct Subject<'a>(pub(super) &'a dyn Opens);

/// [`Backend`] for one store, without its type.
pub(super) trait Opens: Send + Sync {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn MessageStore>, Error>>;
    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()>;
}

pub(super) struct Opened<'a, B: Backend> {
    pub(super) backend: &'a B,
    pub(super) home: B::Home,
}

impl<B: Backend> Opens for Opened<'_, B> {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn MessageStore>, Error>> {
        self.backend.open(&self.home)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        self.backend.spawn(task)
    }
}

impl Subject<'_> {
    /// Opens the store: fresh at first, and the same one when it is opened again.
    pub(super) async fn open(&self) -> Result<Arc<dyn MessageStore>, Error> {
        self.0.open().await
    }

    /// Runs tasks at once, and answers with theirs in order when all are done.
    pub(super) async fn at_once<T: Send + 'static>(
        &self,
        tasks: impl IntoIterator<Item = BoxFuture<'static, Result<T, Error>>>,
    ) -> Result<Vec<T>, Error> {
        let (mut running, mut answers) = (Vec::new(), Vec::new());
        for task in tasks {
            let (answer, answered) = oneshot::channel();
            let task = async move {
                // Nobody waits for the answer when the law has failed meanwhile.
                drop(answer.send(task.await));
            };
            running.push(self.0.spawn(task.boxed()));
            answers.push(answered);
        }
        join_all(running).await;
        let answers = join_all(answers).await;
        answers
            .into_iter()
            .map(|answer| answer.map_err(|lost| Error::failed("a task of the law broke", lost))?)
            .collect()
    }
}

/// Lets other tasks have their turn.
pub(super) async fn take_turns() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return std::task::Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

pub(super) fn position(number: i64) -> Result<Position, Error> {
    Ok(Position::new(number)?)
}

/// The expectation that a stream stands at this position.
pub(super) fn at(number: i64) -> Result<ExpectedVersion, Error> {
    Ok(ExpectedVersion::At(position(number)?))
}

pub(super) fn limit(number: i64) -> Result<BatchSize, Error> {
    Ok(BatchSize::new(number)?)
}

/// Writes, expecting nothing of the stream.
pub(super) async fn write(
    store: &dyn MessageStore,
    stream: &StreamName,
    messages: &[NewMessage],
) -> Result<Written, Error> {
    store.write(stream, messages, ExpectedVersion::Any).await
}

/// The error of a call that had to be refused.
pub(super) fn refused<T: Debug>(answer: Result<T, Error>) -> Result<Error, Error> {
    match answer {
        Err(error) => Ok(error),
        Ok(answer) => {
            Err(Error::failed("a call that had to be refused succeeded", format!("{answer:?}")))
        }
    }
}

/// What had to be there.
pub(super) fn there<T>(answer: Option<T>, what: &str) -> Result<T, Error> {
    answer.ok_or_else(|| Error::failed("something is not there", what))
}

/// The messages of a stream, in one page.
pub(super) async fn stream_of(
    store: &dyn MessageStore,
    stream: &StreamName,
) -> Result<Vec<Recorded>, Error> {
    store.read_stream(stream, Position::START, limit(10_000)?).await
}

/// The messages that a query holds, in one page.
pub(super) async fn category_of(
    store: &dyn MessageStore,
    query: &CategoryQuery,
) -> Result<Vec<Recorded>, Error> {
    store.read_category(query, GlobalPosition::START, limit(10_000)?).await
}

/// More than any law writes: the pages of a broken store might never end.
const ENDLESS: usize = 20_000;

/// The messages of a stream, page by page.
pub(super) async fn paged_stream(
    store: &dyn MessageStore,
    stream: &StreamName,
    page: i64,
) -> Result<Vec<Recorded>, Error> {
    evenfold_core::store::stream_messages(store, stream.clone(), Position::START, limit(page)?)
        .take(ENDLESS)
        .try_collect()
        .await
}

/// The messages that a query holds, page by page.
pub(super) async fn paged_category(
    store: &dyn MessageStore,
    query: &CategoryQuery,
    page: i64,
) -> Result<Vec<Recorded>, Error> {
    evenfold_core::store::category_messages(
        store,
        query.clone(),
        GlobalPosition::START,
        limit(page)?,
    )
    .take(ENDLESS)
    .try_collect()
    .await
}

/// The numbers of the positions, in order.
pub(super) fn positions(messages: &[Recorded]) -> Vec<i64> {
    messages.iter().map(|message| message.position.get()).collect()
}

/// The ids, in order.
pub(super) fn ids(messages: &[Recorded]) -> Vec<uuid::Uuid> {
    messages.iter().map(|message| message.id).collect()
}

/// The ids of messages to be written, in order.
pub(super) fn new_ids(messages: &[NewMessage]) -> Vec<uuid::Uuid> {
    messages.iter().map(NewMessage::id).collect()
}

/// The names of the streams, in order.
pub(super) fn streams(messages: &[Recorded]) -> Vec<&str> {
    messages.iter().map(|message| message.stream_name.as_str()).collect()
}

/// Whether every message stands behind the one before it, in the store.
pub(super) fn rises(messages: &[Recorded]) -> bool {
    messages.is_sorted_by(|one, other| one.global_position < other.global_position)
}
