//! When a state is kept as a message, and whether one that is there is believed.
//!
//! Owns [`Snapshots`]. The forms in which they are kept are `core/snapshot/`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenfold_core::Ids;
use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::projector::Projection;
use evenfold_core::reducer::Reducer;
use evenfold_core::snapshot::{Dialect, Snapshot, note_last, notes_shape};
use evenfold_core::store::{BatchSize, ReadStore};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::Instrument;
use uuid::Uuid;

use crate::{Category, Error, ExpectedVersion, Position, Store, StreamName, telemetry};

/// How many snapshots are looked at for one of our own, where the last one is not: of a release beside
/// this one whose state has another shape, or of another client.
const LOOK_BACK: i64 = 10;

/// How long a load waits for its state to be kept.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// How the states of entities are kept as messages, for
/// [`Entities::snapshots`](crate::Entities::snapshots).
///
/// # Examples
///
/// ```
/// use evenfold::Snapshots;
///
/// // The stream of account 123 is `account:snapshot-123`, and Eventide's clients read it.
/// let ours = Snapshots::every(100);
/// // What a service in Ruby keeps of a class `LoyalCustomer` is read too, and in its stead.
/// let theirs = Snapshots::every(100).named("loyalCustomer".parse()?).trusting_others();
/// # Ok::<(), evenfold::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is kept until it is given to `Entities::snapshots`"]
pub struct Snapshots {
    every: u32,
    name: Option<Category>,
    dialect: Dialect,
    trusting: bool,
}

impl Snapshots {
    /// Keeps a state when it was loaded and at least so many messages have come since it was last
    /// kept: after the first 100, when it is 100. Zero is taken as 1.
    ///
    /// Each costs a message, and saves the reading of what came before it. Hundreds of messages
    /// read in the time of a few round trips, so there is no gain below that.
    pub fn every(messages: u32) -> Self {
        let every = messages.max(1);
        Self { every, name: None, dialect: Dialect::default(), trusting: false }
    }

    /// Names the streams `<name>:snapshot-…`, in place of the name that the state has by its derive:
    /// for the same state over several categories, which would keep theirs in one stream and so
    /// never find their own, and for one that several projectors make.
    ///
    /// In [Equinox's form](Dialect::Equinox) the stream begins with the category, whatever is said here:
    /// there the type of the event is the name. Give another one to each state and each projector.
    pub fn named(mut self, name: Category) -> Self {
        self.name = Some(name);
        self
    }

    /// Keeps and reads in another form than Eventide's.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Believes snapshots of other clients, who note no shape with them. Whether theirs is that of the
    /// state is for you to know: what reads as the state is taken to be it.
    pub fn trusting_others(mut self) -> Self {
        self.trusting = true;
        self
    }
}

/// The snapshots of a state. That it is a [`Snapshot`] is known only where they were asked for, so
/// what needs that is a pointer from then on.
pub(super) struct Keeper<S> {
    options: Snapshots,
    name: String,
    read: fn(&Snapshots, &Recorded, &StreamName) -> Result<Projection<S>, Error>,
    write: fn(&Snapshots, Uuid, &StreamName, &S, Position) -> Result<NewMessage, Error>,
    late: Late,
}

/// A snapshot that is to be written.
pub(super) struct Due {
    stream: StreamName,
    message: Result<NewMessage, Error>,
    late: Late,
}

impl<S: Reducer + Snapshot> Keeper<S> {
    pub(super) fn new(options: Snapshots) -> Self {
        let name = options.name.as_ref().map_or(S::NAME, Category::as_str).to_owned();
        Self {
            options,
            name,
            read: |options, found, stream| options.dialect.read(found, stream, options.trusting),
            write: |options, id, stream, state, version| {
                options.dialect.write(id, stream, state, version)
            },
            late: Late::default(),
        }
    }
}

impl<S> Keeper<S> {
    /// The last state that was kept and is to be believed. What is passed over is told.
    pub(super) async fn last<R: ReadStore + ?Sized>(
        &self,
        reader: &R,
        stream: &StreamName,
    ) -> Result<Option<Projection<S>>, Error> {
        let Some(kept) = self.stream_of(stream) else { return Ok(None) };
        let message_type = self.options.dialect.message_type();
        let Some(found) = reader.last_message(&kept, Some(message_type)).await? else {
            return Ok(None);
        };
        let error = match (self.read)(&self.options, &found, stream) {
            Ok(last) => return Ok(Some(last)),
            Err(error) => error,
        };
        // Were that all that is looked at, two releases side by side would write at every load in turn.
        let from = Position::new((found.position.get() - LOOK_BACK).max(0))?;
        let page = reader.read_stream(&kept, from, BatchSize::new(LOOK_BACK)?).await?;
        let is_older =
            |it: &Recorded| it.position < found.position && *it.message_type == *message_type;
        let own = page.iter().rev().filter(|it| is_older(it));
        let own = own.map(|it| (self.read)(&self.options, it, stream)).find_map(Result::ok);
        telemetry::snapshot_not_used(&kept, &error, own.is_none() && notes_shape(&found));
        Ok(own)
    }

    /// Whether a state at a version is to be kept, which was last kept at another one.
    pub(super) fn is_due(&self, version: Option<Position>, kept: Option<Position>) -> bool {
        let since = |version: Position| version.get() - kept.map_or(-1, Position::get);
        version.is_some_and(|version| since(version) >= i64::from(self.options.every))
    }

    /// The snapshot of a state, if there is one to be had.
    pub(super) fn of(
        &self,
        ids: &dyn Ids,
        stream: &StreamName,
        entity: &Projection<S>,
    ) -> Option<Due> {
        let Projection { state, version, last_id } = entity;
        let mut message = (self.write)(&self.options, ids.next(), stream, state, (*version)?);
        if let (Ok(message), Some(id)) = (&mut message, last_id) {
            note_last(message, *id);
        }
        Some(Due { stream: self.stream_of(stream)?, message, late: self.late.clone() })
    }

    fn stream_of(&self, entity: &StreamName) -> Option<StreamName> {
        let id = entity.entity_id()?;
        Some(self.options.dialect.stream(&self.name, &entity.category(), &id))
    }
}

impl Due {
    /// Writes it; whether that was done is the answer.
    ///
    /// A snapshot is no part of the truth: what goes wrong here is told, and nothing else.
    pub(super) async fn write(self, store: &Store) -> bool {
        let Self { stream, message, late } = self;
        let written = match message {
            Ok(message) => in_time(store, &stream, message, &late).await,
            Err(error) => Err(error),
        };
        written.inspect_err(|error| telemetry::snapshot_not_kept(&stream, error)).is_ok()
    }
}

/// Writes, and goes on with that on a task where it takes longer than a load is held up for. A store may read
/// and not write, as one whose standby is gone; so until that one is done no other is begun.
async fn in_time(
    store: &Store,
    stream: &StreamName,
    message: NewMessage,
    late: &Late,
) -> Result<(), Error> {
    let doing = || format!("writing a snapshot to `{stream}`");
    if late.lock().as_ref().is_some_and(|before| !before.is_finished()) {
        return Err(Error::unavailable(doing(), "one before it is still on its way"));
    }
    let (store, of) = (store.clone(), stream.clone());
    let mut write = Box::pin(async move {
        store.messages().write(&of, &[message], ExpectedVersion::Any).await.map(drop)
    });
    let Ok(runtime) = Handle::try_current() else { return write.await };
    match timeout(WRITTEN_WITHIN, &mut write).await {
        Ok(written) => written,
        Err(elapsed) => {
            *late.lock() = Some(runtime.spawn(write.in_current_span()).abort_handle());
            Err(Error::unavailable(doing(), elapsed))
        }
    }
}

/// A write that no load waits for any more.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<Option<AbortHandle>>>);

impl Late {
    fn lock(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
