//! The store as an application holds it: any backend, and what is built on it.
//!
//! Owns [`Store`] and how messages are written by hand. Loading and deciding is `entities/`,
//! subscribing is `subscriber/`.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use evenfold_core::error::Invalid;
use evenfold_core::handler::{BatchIds, Handler, Received};
use evenfold_core::message::{Encode, Messages, Metadata, NewMessage, Recorded};
use evenfold_core::reducer::Reducer;
use evenfold_core::store::{
    BatchSize, Categories, CategoryQuery, MessageStore, WriteStore, Written, merged_messages,
};
use evenfold_core::{Ids, TimeOrderedIds};
use futures::future::BoxFuture;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use uuid::Uuid;

use crate::ahead;
use crate::marks::{Marks, send};
use crate::wakeups::Wakeups;
use crate::{
    Category, Entities, EntityId, Error, ExpectedVersion, GlobalPosition, Position, StreamName,
    Subscriber,
};

/// A store of messages, whichever backend it is; a clone is another handle to the same store.
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
/// use evenfold::{ExpectedVersion, Position};
/// use futures::TryStreamExt;
///
/// #[derive(Message)]
/// struct Deposited { amount: u64 }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let store = evenfold::connect("memory:").await?;
/// store.write("account-123", Deposited { amount: 5 }).expecting(ExpectedVersion::NoStream).await?;
///
/// let messages: Vec<_> = store.read_stream("account-123", Position::START).try_collect().await?;
/// assert_eq!(messages[0].decode::<Deposited>()?.amount, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Store {
    messages: Arc<dyn MessageStore>,
    ids: Arc<dyn Ids>,
    wakeups: Arc<Wakeups>,
}

impl Store {
    /// A store on any backend; [`connect`](crate::connect()) picks one by URL.
    pub fn new(messages: impl MessageStore) -> Self {
        Self::shared(Arc::new(messages))
    }

    /// A store on a backend that is shared with others. Only clones of a store wake each other's
    /// subscribers at once.
    pub fn shared(messages: Arc<dyn MessageStore>) -> Self {
        let wakeups = Wakeups::of(Arc::clone(&messages));
        Self { messages, ids: Arc::new(TimeOrderedIds), wakeups }
    }

    /// The same store, taking the ids of new messages from here.
    #[must_use]
    pub fn with_ids(mut self, ids: impl Ids) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// The backend, with everything that stores can do.
    pub fn messages(&self) -> &dyn MessageStore {
        &*self.messages
    }

    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.messages, &other.messages)
    }

    pub(crate) fn ids(&self) -> &dyn Ids {
        &*self.ids
    }

    pub(crate) fn wakeups(&self) -> &Arc<Wakeups> {
        &self.wakeups
    }

    /// Writes a message to the end of a stream.
    pub fn write<E: Encode>(
        &self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        message: E,
    ) -> Write<'_> {
        self.write_all(stream, [message])
    }

    /// Writes messages to the end of a stream: all of them, one after another, or none.
    pub fn write_all<E: Encode>(
        &self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        messages: impl IntoIterator<Item = E>,
    ) -> Write<'_> {
        let encoded = messages.into_iter().map(|message| message.encode(self.ids.next()));
        Write {
            store: self,
            stream: stream.try_into().map_err(Into::into),
            messages: encoded.collect(),
            expected: ExpectedVersion::Any,
            marks: Marks::default(),
        }
    }

    /// Writes a message of a set to the stream of an entity in the category of the set: an event
    /// to `account-123`, a command to `account:command-123`.
    pub fn send<S: Messages>(
        &self,
        id: impl TryInto<EntityId, Error: Into<Error>>,
        message: impl Into<S>,
    ) -> Write<'_> {
        match id.try_into() {
            Ok(id) => self.write(S::category().stream(&id), message.into()),
            Err(error) => {
                Write { stream: Err(error.into()), ..self.write(S::category(), message.into()) }
            }
        }
    }

    /// Writes a message of a set to the category of the set itself: a command without an id.
    pub fn send_to_category<S: Messages>(&self, message: impl Into<S>) -> Write<'_> {
        self.write(S::category(), message.into())
    }

    /// Writes a message to the stream that a received message asks for replies in.
    ///
    /// The reply follows the message and asks for no reply itself. Where the message asks for none,
    /// the write is refused as invalid.
    pub fn reply<M, E: Encode>(&self, to: &Received<M>, message: E) -> Write<'_> {
        let Some(stream) = to.metadata().reply_stream_name.clone() else {
            let rule = "it has no reply stream name in its metadata";
            let Recorded { message_type, .. } = to.recorded();
            let none = Invalid::new("message to reply to", message_type, rule);
            let refused = to.require_metadata().err().unwrap_or(none);
            return Write {
                stream: Err(refused.into()),
                ..self.write(StreamName::stored(""), message)
            };
        };
        let mut write = self.write(stream, message).following(to);
        write.marks.is_reply = true;
        write
    }

    /// Whether a message was followed to this stream before, by the step of this name (empty where
    /// there is but one): for a handler that does something outside of the store, which it is not to
    /// do again when the message comes again.
    ///
    /// # Errors
    ///
    /// When the name is invalid, or the store fails.
    pub async fn is_followed<M>(
        &self,
        received: &Received<M>,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        step: &str,
    ) -> Result<bool, Error> {
        let stream = stream.try_into().map_err(Into::into)?;
        let first = received.ids_again(&stream, step).first();
        Ok(self.messages.message(first).await?.is_some())
    }

    /// Reads the messages of a stream, from a position on (that one too), in pages of 1,000. From the
    /// second page on, the next one is on its way while this one is looked at, so what is written
    /// meanwhile may come or not.
    ///
    /// An illegal name, or a store that fails, is the last item of what is read.
    pub fn read_stream(
        &self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        from: Position,
    ) -> BoxStream<'_, Result<Recorded, Error>> {
        match stream.try_into() {
            Ok(stream) => ahead::of_stream(&self.messages, stream, from).boxed(),
            Err(error) => stream::once(ready(Err(error.into()))).boxed(),
        }
    }

    /// Reads the messages of a category, from a global position on (that one too), in pages of
    /// 1,000. From the second page on, the next one is on its way while this one is looked at, so what is
    /// written meanwhile may come or not.
    pub fn read_category(
        &self,
        query: impl Into<CategoryQuery>,
        from: GlobalPosition,
    ) -> BoxStream<'_, Result<Recorded, Error>> {
        ahead::of_category(&self.messages, query.into(), from).boxed()
    }

    /// Reads the messages of several categories, or of all, by global position from one on (that one
    /// too), in pages of 1,000; up to where it is [decided](evenfold_core::store::MergedStore) what there is.
    pub fn read_merged(
        &self,
        of: Categories,
        from: GlobalPosition,
    ) -> BoxStream<'_, Result<Recorded, Error>> {
        merged_messages(&*self.messages, of, from, BatchSize::DEFAULT).boxed()
    }

    /// Wakes the subscribers of a category, here and where the store can in other processes, so that
    /// they read at once and not when their time comes.
    ///
    /// Every write through this store does it by itself. It is for messages that others wrote: those
    /// of a transaction of the application ([`Write::through`]), once that is committed. It never
    /// waits, and where nothing was written it does no harm.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), evenfold::Error> {
    /// let store = evenfold::connect("memory:").await?;
    /// // … after `transaction.commit().await?`:
    /// store.announce(&"account".parse()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn announce(&self, category: &Category) {
        self.wakeups.announce(category);
    }

    /// The entities whose state has a `#[reducer]` block: to be loaded, and to decide with.
    pub fn entities<S: Reducer + Default>(&self) -> Entities<S> {
        Entities::new(self.clone())
    }

    /// A subscriber that hands the messages of the handler's category to it, keeping its progress
    /// under this id.
    pub fn subscriber<H: Handler>(&self, id: &str, handler: H) -> Subscriber {
        Subscriber::new(self.clone(), id, handler)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.messages.name())
    }
}

/// A write that is about to happen: `.await` it.
///
/// It answers with where the last message stands; or with an error that is a conflict, a duplicate
/// id, invalid, or unavailable.
///
/// Law: a lost reply is settled. When the store did not answer, the same messages are written again
/// under the same ids, so that a write that did happen is found.
#[must_use = "nothing is written until it is awaited"]
#[derive(Debug)]
pub struct Write<'a> {
    store: &'a Store,
    stream: Result<StreamName, Error>,
    messages: Result<Vec<NewMessage>, Error>,
    expected: ExpectedVersion,
    marks: Marks,
}

impl Write<'_> {
    /// Expects the stream to be at this version; any by default.
    pub fn expecting(mut self, version: impl Into<ExpectedVersion>) -> Self {
        self.expected = version.into();
        self
    }

    /// Writes with this metadata; what the messages follow is added to it, where it does not name a
    /// correlation or a reply stream of its own.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.marks.metadata = Some(metadata);
        self
    }

    /// Writes the messages as followers of a received one: with its correlation, causation, reply
    /// stream and properties, and under ids made of its id, so that a handler that gets it again
    /// writes nothing twice.
    ///
    /// A handler that writes to one stream by following more than once names each
    /// [`step`](Self::step); without names the second write is refused.
    pub fn following<M>(mut self, received: &Received<M>) -> Self {
        self.marks.following = Some(received.origin());
        self
    }

    /// Names this write among those that follow one message to the same stream.
    pub fn step(mut self, name: impl Into<String>) -> Self {
        self.marks.step = name.into();
        self
    }

    /// Writes the first message under this id, and the others under ids made of it: so the same
    /// call made again, by whoever lost its reply, writes nothing twice.
    pub fn identified_by(mut self, id: Uuid) -> Self {
        self.marks.identity = Some(BatchIds::of(id));
        self
    }

    /// Writes through another writer now: through a store within a transaction of the application,
    /// which the messages are then part of.
    ///
    /// Nothing is sent again where the reply is lost, for that loses the transaction too. A transaction
    /// that was rolled back may be made again with the same writes. Nobody is woken, for only the
    /// application knows when it commits; it may [announce](Store::announce) it then. What a handler writes
    /// through its [`Context`](crate::handler::Context), the subscriber announces after the commit.
    ///
    /// # Errors
    ///
    /// Those of the write itself.
    pub async fn through<W: WriteStore + ?Sized>(self, writer: &W) -> Result<Written, Error> {
        let (stream, mut messages) = (self.stream?, self.messages?);
        self.marks.check()?;
        let followed_before = self.marks.ids(&stream).err();
        self.marks.put_on(&mut messages, self.marks.ids_again(&stream));
        let written = writer.write(&stream, &messages, self.expected).await;
        // What was followed before may have been rolled back, and then the store does not have it.
        let has_it = match &written {
            Ok(written) => written.is_repetition(),
            Err(error) => error.is_duplicate_id(),
        };
        match followed_before {
            Some(refused) if has_it => return Err(refused.into()),
            _ if written.is_ok() => self.marks.settle(&stream),
            _ => {}
        }
        written
    }

    /// Names the stream in which a reply is expected.
    pub fn reply_to(mut self, stream: &StreamName) -> Self {
        self.marks.reply_to = Some(stream.clone());
        self
    }
}

impl<'a> IntoFuture for Write<'a> {
    type Output = Result<Written, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let (stream, mut messages) = (self.stream?, self.messages?);
            let ids = self.marks.ids(&stream)?;
            self.marks.put_on(&mut messages, ids);
            let written = send(self.store, &stream, &messages, self.expected, ids).await;
            if !written.as_ref().is_err_and(Error::is_unavailable) {
                self.marks.settle(&stream);
            }
            written
        }
        .boxed()
    }
}
