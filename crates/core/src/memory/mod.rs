//! The reference store: in memory, nothing shared, nothing kept.
//!
//! Owns the shortest store that keeps every law; other backends are compared with it. The messages it
//! holds are in `log.rs`, the members and leases of groups in `leases.rs`.

mod leases;
mod log;
mod transaction;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use uuid::Uuid;

use self::leases::Leases;
use self::log::Log;
use self::transaction::Transaction;
use crate::error::Error;
use crate::message::{NewMessage, Recorded};
use crate::store::{
    Ability, Backlog, BatchSize, BrowseStore, Categories, CategoryQuery, CategorySummary, Context,
    Held, LeaseGroup, LeaseStore, Member, MemberStatus, Merged, MergedStore, MessageStore,
    ProgressStore, ReadStore, StreamSummary, WriteStore, Written,
};
use crate::{Category, Clock, ExpectedVersion, GlobalPosition, Position, StreamName, SystemClock};

/// A store in memory, for tests and for trying things out; a clone shares what it holds.
///
/// Writing and reading take a time that does not depend on how much it holds.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{BatchSize, ReadStore, WriteStore};
/// use evenfold_core::{ExpectedVersion, Memory, Position, StreamName};
/// # use evenfold_core::message::NewMessage;
/// # let data = serde_json::value::to_raw_value(&serde_json::json!({ "amount": 5 })).unwrap();
/// # let deposited = NewMessage::new(uuid::Uuid::from_u128(1), "Deposited", &data)?;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let store = Memory::new();
/// let stream = StreamName::new("account-123")?;
/// store.write(&stream, &[deposited], ExpectedVersion::NoStream).await?;
///
/// let page = store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await?;
/// assert_eq!(&*page[0].message_type, "Deposited");
/// # Ok::<(), evenfold_core::Error>(())
/// # })?;
/// # Ok::<(), evenfold_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    log: Arc<RwLock<Log>>,
    leases: Arc<Mutex<Leases>>,
    clock: Arc<dyn Clock>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that takes the time of messages and of leases from this clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { log: Arc::default(), leases: Arc::default(), clock }
    }

    /// Holds from now on the messages that another store holds now, as after its backup was restored: for
    /// tests of those who remember more.
    pub fn restore(&self, backup: &Self) {
        let messages = backup.read(Log::clone);
        *self.log.write().unwrap_or_else(PoisonError::into_inner) = messages;
    }

    /// The calls of a memory store are done at once; a poisoned lock means only that some reader
    /// panicked, for a write checks everything before it changes anything.
    fn read<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        read(&self.log.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

fn done<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, Error>> {
    ready(Ok(value)).boxed()
}

impl WriteStore for Memory {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        // Nothing happens before the future is polled, as with any other store.
        async move {
            let now = self.clock.now();
            let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
            log.write(stream, messages, expected, now)
        }
        .boxed()
    }
}

impl ReadStore for Memory {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamName,
        from: Position,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        match stream.require_id() {
            Ok(stream) => done(self.read(|log| log.stream_page(stream, from, limit))),
            Err(invalid) => ready(Err(invalid.into())).boxed(),
        }
    }

    fn read_category<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
        done(self.read(|log| log.category_page(query, from, limit)))
    }

    fn last_message<'a>(
        &'a self,
        stream: &'a StreamName,
        message_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
        done(self.read(|log| log.last(stream, message_type).cloned()))
    }

    fn stream_version<'a>(
        &'a self,
        stream: &'a StreamName,
    ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
        done(self.read(|log| log.version(stream)))
    }

    fn category_head<'a>(
        &'a self,
        category: &'a Category,
    ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>> {
        done(self.read(|log| log.category_head(category)))
    }
}

impl MergedStore for Memory {
    fn read_merged<'a>(
        &'a self,
        of: &'a Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Merged, Error>> {
        done(self.read(|log| log.merged_page(of, from, limit)))
    }
}

impl BrowseStore for Memory {
    fn categories<'a>(
        &'a self,
        after: Option<&'a Category>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<CategorySummary>, Error>> {
        done(self.read(|log| log.categories(after, limit)))
    }

    fn streams<'a>(
        &'a self,
        category: &'a Category,
        after: Option<&'a StreamName>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<StreamSummary>, Error>> {
        done(self.read(|log| log.streams(category, after, limit)))
    }

    fn message(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Recorded>, Error>> {
        done(self.read(|log| log.by_id(id).cloned()))
    }

    fn backlog<'a>(
        &'a self,
        query: &'a CategoryQuery,
        after: Option<GlobalPosition>,
    ) -> BoxFuture<'a, Result<Backlog, Error>> {
        done(self.read(|log| log.backlog(query, after)))
    }
}

impl ProgressStore for Memory {}

impl LeaseStore for Memory {
    fn renew_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: &'a Member,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Held, Error>> {
        async move { self.leases().renew(group, member, ttl, self.clock.now()) }.boxed()
    }

    fn release_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
        buckets: &'a [u16],
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.leases().release(group, member, buckets) }.boxed()
    }

    fn leave_group<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.leases().leave(group, member) }.boxed()
    }

    fn group_members<'a>(
        &'a self,
        group: &'a LeaseGroup,
    ) -> BoxFuture<'a, Result<Vec<MemberStatus>, Error>> {
        async move { self.leases().members(group, self.clock.now()) }.boxed()
    }
}

impl MessageStore for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Leases, Ability::Transactions]
    }

    fn context(&self) -> BoxFuture<'_, Result<Context, Error>> {
        done(Context::with(Transaction::new(self.clone())))
    }
}
