//! Reading page after page, and the next one while this one is looked at.
//!
//! Owns when the store is asked. It is asked on a task, so that a page that is on its way holds no
//! connection from who does something else between two messages. Who stops within the first page has
//! asked for no other.

use std::panic::resume_unwind;
use std::sync::Arc;

use evenfold_core::message::Recorded;
use evenfold_core::store::{BatchSize, CategoryQuery, MessageStore};
use evenfold_core::{Error, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, Stream, TryStreamExt};
use tokio::runtime::{Handle, Id};
use tokio::task::{JoinHandle, yield_now};

const PAGE: BatchSize = BatchSize::DEFAULT;

type Page = Result<Vec<Recorded>, Error>;

/// The messages of a stream from a position on.
pub(crate) fn of_stream(
    store: &Arc<dyn MessageStore>,
    stream: StreamName,
    from: Position,
) -> impl Stream<Item = Result<Recorded, Error>> + Send + use<> {
    let of = Arc::new((Arc::clone(store), stream));
    let read = move |from| {
        let of = Arc::clone(&of);
        async move { of.0.read_stream(&of.1, from, PAGE).await }.boxed()
    };
    messages(from, read, |last| last.position.next())
}

/// The messages of a category from a global position on.
pub(crate) fn of_category(
    store: &Arc<dyn MessageStore>,
    query: CategoryQuery,
    from: GlobalPosition,
) -> impl Stream<Item = Result<Recorded, Error>> + Send + use<> {
    let of = Arc::new((Arc::clone(store), query));
    let read = move |from| {
        let of = Arc::clone(&of);
        async move { of.0.read_category(&of.1, from, PAGE).await }.boxed()
    };
    messages(from, read, |last| last.global_position.next())
}

/// Where the next page comes from.
enum Next<P> {
    First(P),
    From(P),
    OnItsWay(P, Id, JoinHandle<Page>),
    None,
}

/// The messages from a place on, until a page is not full; the stream ends after the first error.
fn messages<P: Copy + Send + 'static>(
    from: P,
    read: impl Fn(P) -> BoxFuture<'static, Page> + Send + Sync + 'static,
    after: fn(&Recorded) -> P,
) -> impl Stream<Item = Result<Recorded, Error>> + Send {
    let pages = stream::try_unfold((Next::First(from), read), move |(next, read)| async move {
        let is_first = matches!(next, Next::First(_));
        let page = match next {
            Next::None => return Ok(None),
            Next::First(place) | Next::From(place) => read(place).await?,
            // Another runtime may stand still while this one is at work.
            Next::OnItsWay(place, runtime, task) if is_elsewhere(runtime) => {
                task.abort();
                read(place).await?
            }
            Next::OnItsWay(_, _, task) => arrived(task).await?,
        };
        let last = page.last().filter(|_| page.len() >= PAGE.as_len());
        let next = match (last.map(after), Handle::try_current()) {
            (None, _) => Next::None,
            (Some(place), Ok(runtime)) if !is_first => {
                let task = runtime.spawn(read(place));
                // A runtime of one thread would not ask before the page is waited for.
                yield_now().await;
                Next::OnItsWay(place, runtime.id(), task)
            }
            (Some(place), _) => Next::From(place),
        };
        Ok::<_, Error>(Some((stream::iter(page.into_iter().map(Ok)), (next, read))))
    });
    pages.try_flatten()
}

fn is_elsewhere(runtime: Id) -> bool {
    Handle::try_current().is_ok_and(|here| here.id() != runtime)
}

async fn arrived(task: JoinHandle<Page>) -> Page {
    match task.await {
        Ok(page) => page,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(error) => Err(Error::failed("reading the next page", error)),
    }
}
