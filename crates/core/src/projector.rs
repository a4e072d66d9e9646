//! A stream into state, page by page.
//!
//! Owns [`Projector`]. How one message goes into a state is `reducer.rs`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Error, HandlerError};
use crate::message::{Converters, Message, Messages, Recorded};
use crate::reducer::{Reducer, reduce_recorded, reducer_failed};
use crate::store::{BatchSize, ReadStore};
use crate::{EntityId, Position, StreamName};

/// A state, and the last message that was read for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection<S> {
    /// The state.
    pub state: S,
    /// The position of the last message read; none when the stream has none.
    pub version: Option<Position>,
    /// The id of that message, by which it is known again; none where it is not known, as of a state
    /// that another client kept.
    pub last_id: Option<Uuid>,
}

/// What was read at once, and whether there may be more.
struct Page {
    messages: Vec<Recorded>,
    is_full: bool,
}

type ReduceFn<S> = Arc<dyn Fn(&mut S, &Recorded) -> Result<bool, Error> + Send + Sync>;

/// Makes a state of a stream: of its default, by the reducers of a `#[reducer]` block or closures.
///
/// Laws:
/// - *Every message once, in order.* Each message of the stream goes into the state once, by its
///   position; one whose type has no reducer is passed over.
/// - *One page at a time.* However long the stream is, one page of it is in memory.
/// - *No half state.* When a message does not read or a reducer fails, the answer is that error.
/// - *No state that never was.* Before something is added to a state, the last message that went into it
///   is looked for. Where it is gone or another stands there, as after a backup was restored or a
///   server took over that lacked the last commits, the state is made of the whole stream again. What
///   was rewritten before that message alone is not seen, nor is what happens after the read.
///
/// # Examples
///
/// With closures, for a state of one's own:
///
/// ```
/// use evenfold_core::message::Message;
/// use evenfold_core::projector::Projector;
/// use evenfold_core::{Memory, StreamName};
/// # use serde::{Deserialize, Deserializer, Serialize, Serializer};
/// # #[derive(Serialize, Deserialize)] struct Deposited { amount: u64 }
/// # impl Message for Deposited {
/// #     const TYPE: &'static str = "Deposited";
/// #     fn to_data<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> { self.serialize(to) }
/// #     fn from_data<'de, D: Deserializer<'de>>(of: D) -> Result<Self, D::Error> {
/// #         Self::deserialize(of)
/// #     }
/// # }
///
/// let total = Projector::starting_with(|| 0).on(|total: &mut u64, deposited: &Deposited| {
///     *total += deposited.amount;
///     Ok(())
/// });
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let stream = StreamName::new("account-123")?;
/// let projection = total.run_on_stream(&Memory::new(), &stream).await?;
/// assert_eq!((projection.state, projection.version), (0, None));
/// # Ok::<(), evenfold_core::Error>(())
/// # })?;
/// # Ok::<(), evenfold_core::Error>(())
/// ```
pub struct Projector<S> {
    start: Arc<dyn Fn() -> S + Send + Sync>,
    reducers: HashMap<&'static str, ReduceFn<S>>,
    converters: Converters,
    batch: BatchSize,
    until: Option<Position>,
    until_time: Option<OffsetDateTime>,
    /// A reducer takes the message as it is recorded, with its metadata.
    reads_recorded: bool,
}

/// A projector that has a default state and no reducer yet; it cannot run before it has one.
pub struct ProjectorStart<S>(Arc<dyn Fn() -> S + Send + Sync>);

impl<S: Send + 'static> ProjectorStart<S> {
    /// Adds the first reducer, as [`Projector::on`] adds the others.
    pub fn on<M, F>(self, reduce: F) -> Projector<S>
    where
        M: Message,
        F: Fn(&mut S, &M) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        Projector::with(self.0).on(reduce)
    }
}

impl<S: Reducer + Default> Projector<S> {
    /// The projector of a state that has a `#[reducer]` block, beginning with its default.
    pub fn of_reducer() -> Self {
        let mut projector = Self::with(Arc::new(S::default));
        projector.reads_recorded = S::READS_RECORDED;
        let reduce: ReduceFn<S> = Arc::new(reduce_recorded);
        for message_type in S::Set::TYPES {
            projector.reducers.insert(message_type, Arc::clone(&reduce));
        }
        projector
    }

    /// Runs on the stream of an entity, in the category of the state's set.
    ///
    /// # Errors
    ///
    /// As [`run_on_stream`](Self::run_on_stream).
    pub async fn run<R: ReadStore + ?Sized>(
        &self,
        store: &R,
        id: &EntityId,
    ) -> Result<Projection<S>, Error> {
        self.run_on_stream(store, &S::Set::category().stream(id)).await
    }
}

impl<S: Send + 'static> Projector<S> {
    /// A projector that begins with what `start` makes, and takes its reducers by
    /// [`on`](ProjectorStart::on).
    pub fn starting_with(start: impl Fn() -> S + Send + Sync + 'static) -> ProjectorStart<S> {
        ProjectorStart(Arc::new(start))
    }

    fn with(start: Arc<dyn Fn() -> S + Send + Sync>) -> Self {
        Self {
            start,
            reducers: HashMap::new(),
            converters: Converters::default(),
            batch: BatchSize::DEFAULT,
            until: None,
            until_time: None,
            reads_recorded: false,
        }
    }

    /// Adds a reducer for one type of message, in place of one it had for that type.
    #[must_use]
    pub fn on<M, F>(mut self, reduce: F) -> Self
    where
        M: Message,
        F: Fn(&mut S, &M) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        let reduce: ReduceFn<S> = Arc::new(move |state, recorded| {
            let message = recorded.decode::<M>()?;
            reduce(state, &message).map_err(|fault| reducer_failed(recorded, fault))?;
            Ok(true)
        });
        for message_type in [M::TYPE].iter().chain(M::ALIASES) {
            self.reducers.insert(message_type, Arc::clone(&reduce));
        }
        self
    }

    /// Adds a way to read foreign messages: what it makes of a message is reduced in its place.
    /// See [`Converters`].
    #[must_use]
    pub fn converter<F>(mut self, convert: F) -> Self
    where
        F: Fn(&Recorded) -> Result<Option<Recorded>, HandlerError> + Send + Sync + 'static,
    {
        self.converters.push(convert);
        self
    }

    /// Reads pages of this size; 1,000 messages by default.
    #[must_use]
    pub fn batch_size(mut self, batch: BatchSize) -> Self {
        self.batch = batch;
        self
    }

    /// Stops after the message at this position.
    #[must_use]
    pub fn until(mut self, position: Position) -> Self {
        self.until = Some(position);
        self
    }

    /// Stops before the first message that was recorded after this time.
    #[must_use]
    pub fn until_time(mut self, time: OffsetDateTime) -> Self {
        self.until_time = Some(time);
        self
    }

    /// Whether it stops at a position or a time, so that what it makes may not be the present state.
    pub fn is_bounded(&self) -> bool {
        self.until.is_some() || self.until_time.is_some()
    }

    /// The state that a run begins with.
    pub fn start(&self) -> S {
        (self.start)()
    }

    /// Reduces one message into a state; whether there was a reducer for its type is the answer.
    ///
    /// # Errors
    ///
    /// When the message does not read, or a converter or its reducer fails.
    pub fn step(&self, state: &mut S, recorded: &Recorded) -> Result<bool, Error> {
        let converted = self.converters.convert(recorded)?;
        let recorded = converted.as_ref().unwrap_or(recorded);
        match self.reducers.get(&*recorded.message_type) {
            Some(reduce) => reduce(state, recorded),
            None => Ok(false),
        }
    }

    /// Runs on any stream.
    ///
    /// # Errors
    ///
    /// When the name is a category alone, a message does not read, a reducer fails, or the store
    /// does.
    pub async fn run_on_stream<R: ReadStore + ?Sized>(
        &self,
        store: &R,
        stream: &StreamName,
    ) -> Result<Projection<S>, Error> {
        let mut projection = self.begin();
        let page = self.read(store, stream, Position::START, self.batch).await?;
        self.go_on(store, stream, &mut projection, page).await?;
        Ok(projection)
    }

    /// Reads what the stream has beyond a projection, and reduces that alone into it.
    ///
    /// Where the stream no longer has the last message of the projection, that begins anew; whether it
    /// did is the answer.
    ///
    /// # Errors
    ///
    /// As [`run_on_stream`](Self::run_on_stream). The projection then stands after the last message
    /// that went into it whole; a reducer that fails must leave its state as it was.
    pub async fn refresh<R: ReadStore + ?Sized>(
        &self,
        store: &R,
        stream: &StreamName,
        projection: &mut Projection<S>,
    ) -> Result<bool, Error> {
        let last = projection.version.map(|version| (version, projection.last_id));
        let page = self.beyond(store, stream, last).await?;
        if let Some(page) = page {
            self.go_on(store, stream, projection, page).await?;
            return Ok(false);
        }
        *projection = self.run_on_stream(store, stream).await?;
        Ok(true)
    }

    /// The same for a projection that others may be looking at: theirs stays as it is, and it is
    /// copied only when there is something new.
    ///
    /// # Errors
    ///
    /// As [`run_on_stream`](Self::run_on_stream). The projection is then the one that it was.
    pub async fn refresh_shared<R: ReadStore + ?Sized>(
        &self,
        store: &R,
        stream: &StreamName,
        projection: &mut Arc<Projection<S>>,
    ) -> Result<bool, Error>
    where
        S: Clone + Sync,
    {
        let last = projection.version.map(|version| (version, projection.last_id));
        let Some(page) = self.beyond(store, stream, last).await? else {
            *projection = Arc::new(self.run_on_stream(store, stream).await?);
            return Ok(true);
        };
        if !page.messages.is_empty() {
            let mut next = Projection::clone(projection);
            self.go_on(store, stream, &mut next, page).await?;
            *projection = Arc::new(next);
        }
        Ok(false)
    }

    /// A projection of nothing yet.
    pub fn begin(&self) -> Projection<S> {
        Projection { state: self.start(), version: None, last_id: None }
    }

    /// The first page beyond a message; none when that is gone or another one. It is read along, by one
    /// message more, so that this takes no round trip of its own.
    async fn beyond<R: ReadStore + ?Sized>(
        &self,
        store: &R,
        stream: &StreamName,
        last: Option<(Position, Option<Uuid>)>,
    ) -> Result<Option<Page>, Error> {
        let Some((position, id)) = last else {
            return self.read(store, stream, Position::START, self.batch).await.map(Some);
        };
        let mut page = self.read(store, stream, position, self.batch.one_more()).await?;
        let is_last = |it: &Recorded| it.position == position && id.is_none_or(|id| it.id == id);
        if !page.messages.first().is_some_and(is_last) {
            return Ok(None);
        }
        page.messages.remove(0);
        Ok(Some(page))
    }

    /// Reduces a page and all that come after it.
    async fn go_on<R: ReadStore + ?Sized>(
        &self,
        store: &R,
        stream: &StreamName,
        projection: &mut Projection<S>,
        mut page: Page,
    ) -> Result<(), Error> {
        loop {
            if !self.reduce_page(projection, &page.messages)? || !page.is_full {
                return Ok(());
            }
            // One page is held, not two.
            drop(page);
            let from = projection.version.map_or(Position::START, Position::next);
            page = self.read(store, stream, from, self.batch).await?;
        }
    }

    /// Reads a page, of which no more than is looked at.
    async fn read<R: ReadStore + ?Sized>(
        &self,
        store: &R,
        stream: &StreamName,
        from: Position,
        limit: BatchSize,
    ) -> Result<Page, Error> {
        let messages = if self.reads_recorded || !self.converters.is_empty() {
            store.read_stream(stream, from, limit).await?
        } else {
            store.read_stream_data(stream, from, limit).await?
        };
        Ok(Page { is_full: messages.len() >= limit.as_len(), messages })
    }

    /// Whether the page was reduced to its end.
    fn reduce_page(&self, to: &mut Projection<S>, page: &[Recorded]) -> Result<bool, Error> {
        for recorded in page {
            if self.is_beyond(recorded) {
                return Ok(false);
            }
            self.step(&mut to.state, recorded)?;
            (to.version, to.last_id) = (Some(recorded.position), Some(recorded.id));
        }
        Ok(true)
    }

    fn is_beyond(&self, recorded: &Recorded) -> bool {
        self.until.is_some_and(|until| recorded.position > until)
            || self.until_time.is_some_and(|until| recorded.time > until)
    }
}

impl<S> fmt::Debug for Projector<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut types: Vec<_> = self.reducers.keys().collect();
        types.sort_unstable();
        f.debug_struct("Projector").field("reducers", &types).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for ProjectorStart<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProjectorStart")
    }
}
