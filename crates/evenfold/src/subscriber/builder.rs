//! A subscriber before it runs: what it reads, who handles it, and its options.
//!
//! Owns the options with their meaning, unit and default. What comes of them, and what is refused
//! before anything is read, is in `plan.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::error::{HandlerError, Invalid};
use evenfold_core::handler::Handler;
use evenfold_core::message::{Converters, Messages, Recorded};
use evenfold_core::store::BatchSize;
use evenfold_core::subscriber::{ErrorPolicy, Options};

use super::dispatch::{Bound, Dispatch};
use super::plan::{Merging, Start};
use super::report::{Failure, Polled, StopReason};
use crate::host::Host;
use crate::{Category, EntityId, Error, Store, StreamName};

/// A subscriber: it reads a category, or one stream, and hands each message to its handlers.
///
/// | option | default |
/// |---|---|
/// | what it reads: [`entity`](Self::entity), [`stream`](Self::stream) | the category of its first handler's set |
/// | [`handler`](Self::handler) | the one it was made with |
/// | [`poll_interval`](Self::poll_interval) | 100 ms |
/// | [`error_delay`](Self::error_delay) | 5 s |
/// | [`batch_size`](Self::batch_size) | 1,000 messages |
/// | [`progress_interval`](Self::progress_interval), [`progress_time`](Self::progress_time) | 100 messages (10 ms apart), 10 s |
/// | [`concurrency`](Self::concurrency) | 1, in the order of the category |
/// | [`transactional`](Self::transactional) | progress is recorded by itself |
/// | [`errors`](Self::errors), [`errors_when`](Self::errors_when) | three retries with backoff, then stop |
/// | [`park_after_crashes`](Self::park_after_crashes), [`parked_limit`](Self::parked_limit) | 3 where the policy parks, 1,000 |
/// | [`on_error`](Self::on_error), [`on_rejection`](Self::on_rejection) | a `tracing` event, always |
/// | [`start_at`](Self::start_at) | the first message |
/// | [`correlated_with`](Self::correlated_with), [`group`](Self::group), [`handled_only`](Self::handled_only) | everything |
/// | [`without_metadata`](Self::without_metadata) | with metadata |
/// | [`version`](Self::version) | 1 |
/// | [`leased`](Self::leased), [`lease_term`](Self::lease_term) | one process alone, 10 s |
/// | [`also`](Self::also), [`merged`](Self::merged), [`merged_all`](Self::merged_all) | one category |
/// | [`converter`](Self::converter) | none |
/// | [`strict`](Self::strict) | a message outside the sets is passed over |
#[must_use = "a subscriber does nothing until it is run"]
pub struct Subscriber {
    pub(super) store: Store,
    pub(super) id: String,
    pub(super) handlers: Vec<Box<dyn Dispatch>>,
    /// The categories that it reads, each once.
    pub(super) categories: Vec<&'static str>,
    pub(super) merged: Option<Merging>,
    pub(super) stream: Option<Result<StreamName, Error>>,
    pub(super) batch_size: u32,
    pub(super) options: Options,
    pub(super) errors: ErrorPolicy,
    pub(super) policies: Vec<Policy>,
    pub(super) start: Option<Start>,
    pub(super) correlation: Option<Result<Category, Error>>,
    pub(super) group: Option<(i64, i64)>,
    pub(super) has_metadata: bool,
    pub(super) is_handled_only: bool,
    pub(super) version: u32,
    pub(super) leased: Option<u16>,
    pub(super) lease_term: Option<Duration>,
    pub(super) strict: bool,
    pub(super) converters: Converters,
    pub(super) on_error: Vec<Report>,
    pub(super) on_rejection: Vec<Report>,
}

pub(super) type Report = Arc<dyn Fn(&Failure<'_>) + Send + Sync>;
pub(super) type Policy = Arc<dyn Fn(&Failure<'_>) -> Option<ErrorPolicy> + Send + Sync>;

impl Subscriber {
    pub(crate) fn new<H: Handler>(store: Store, id: &str, handler: H) -> Self {
        Self {
            store,
            id: id.to_owned(),
            handlers: vec![Bound::to(id, handler)],
            categories: vec![H::Set::CATEGORY],
            merged: None,
            stream: None,
            batch_size: BatchSize::DEFAULT.get(),
            options: Options::default(),
            errors: ErrorPolicy::default(),
            policies: Vec::new(),
            start: None,
            correlation: None,
            group: None,
            has_metadata: true,
            is_handled_only: false,
            version: 1,
            leased: None,
            lease_term: None,
            strict: false,
            converters: Converters::default(),
            on_error: Vec::new(),
            on_rejection: Vec::new(),
        }
    }

    /// Adds another handler of the same category. A message goes to the handlers in the order they
    /// were added; when one fails, all of them get it again.
    pub fn handler<H: Handler>(mut self, handler: H) -> Self {
        self.handlers.push(Bound::to(&self.id, handler));
        self
    }

    /// Adds a handler of another category, which is read too: by a cursor of its own, with progress of
    /// its own, as if it were a subscriber of its own. Messages of one category come in their order;
    /// between categories there is none, unless they are [merged](Self::merged).
    pub fn also<H: Handler>(mut self, handler: H) -> Self {
        if !self.categories.contains(&H::Set::CATEGORY) {
            self.categories.push(H::Set::CATEGORY);
        }
        self.handler(handler)
    }

    /// Reads the categories of all its handlers by one cursor, in the order of global positions, and
    /// misses nothing. See [`MergedStore`](crate::stores::MergedStore) for what that takes: a store
    /// that can do it is looked for when it starts. A transaction that is left open after a write holds it
    /// up, whichever category that was of; it has not caught up then, and the status names who it is.
    ///
    /// Its books are kept by its id and all its categories together: what it has parked is had by
    /// [`Store::parking_merged`], its place by [`Store::place_merged`].
    pub fn merged(mut self) -> Self {
        self.merged = Some(Merging::Handled);
        self
    }

    /// Reads every category by one cursor, but for those in which subscribers keep their books; what
    /// is in no handler's set is passed over. Its books are kept as those of one that is
    /// [merged](Self::merged).
    pub fn merged_all(mut self) -> Self {
        self.merged = Some(Merging::All);
        self
    }

    /// Reads the stream of one entity of the set's category alone.
    ///
    /// Its progress is a stream position, and recorded apart from that of a category's subscriber
    /// of the same id.
    pub fn entity(mut self, id: impl TryInto<EntityId, Error: Into<Error>>) -> Self {
        let category = self.categories.first().copied().unwrap_or_default();
        self.stream = Some(match id.try_into() {
            Ok(id) => Category::new(category).map(|of| of.stream(&id)).map_err(Into::into),
            Err(error) => Err(error.into()),
        });
        self
    }

    /// Reads one stream alone, whatever its category.
    pub fn stream(mut self, name: impl TryInto<StreamName, Error: Into<Error>>) -> Self {
        self.stream = Some(name.try_into().map_err(Into::into));
        self
    }

    /// How long it waits when there was nothing to read; 100 ms, or 1 s where it hears at once of what
    /// others write. One that is set here holds in both cases.
    pub fn poll_interval(mut self, time: Duration) -> Self {
        self.options.poll_interval = time;
        self.options.heard_interval = time;
        self
    }

    /// How long it waits when the store was not available; 5 s.
    pub fn error_delay(mut self, time: Duration) -> Self {
        self.options.error_delay = time;
        self
    }

    /// How many messages it reads at a time; 1,000. It holds two such pages in memory at most.
    pub fn batch_size(mut self, messages: u32) -> Self {
        self.batch_size = messages;
        self
    }

    /// After how many messages it records its progress, at once: about so many are handled again
    /// after a crash. By default after 100, but not within 10 ms of the record before: a crash then
    /// repeats some milliseconds of work, and messages that take no time are not slowed by records.
    pub fn progress_interval(mut self, messages: u32) -> Self {
        self.options.progress_interval = messages;
        self.options.progress_pause = Duration::ZERO;
        self
    }

    /// After how much time it records its progress, if it has made any; 10 s. What a filter left out
    /// counts too, otherwise what it only passed by does from as much as a batch on.
    pub fn progress_time(mut self, time: Duration) -> Self {
        self.options.progress_time = time;
        self
    }

    /// What it does with a message that fails; three retries with backoff, then it stops.
    ///
    /// With [`ErrorPolicy::park`] the message is set aside, with its reason, and what comes after it in
    /// its stream waits behind it, while other streams go on; and so is a message in the middle of
    /// which the process ended [three times](Self::park_after_crashes).
    pub fn errors(mut self, policy: ErrorPolicy) -> Self {
        self.errors = policy;
        self
    }

    /// What it does with a message that fails in a way of its own: the first policy that says
    /// something of a failure wins over that of [`errors`](Self::errors).
    pub fn errors_when<F>(mut self, policy: F) -> Self
    where
        F: Fn(&Failure<'_>) -> Option<ErrorPolicy> + Send + Sync + 'static,
    {
        self.policies.push(Arc::new(policy));
        self
    }

    /// After how many crashes of the process in the middle of one message that message is parked; 3
    /// where the policy parks, else crashes are not counted.
    ///
    /// To count them, a record is made of what is read ahead before it is begun, and after a crash of
    /// each message by itself until those are done with.
    pub fn park_after_crashes(mut self, crashes: u32) -> Self {
        self.options.crashes = Some(crashes);
        self
    }

    /// How many messages of one stream are parked at most, 1,000; the next one waits, and so does all
    /// that comes after it in its order.
    pub fn parked_limit(mut self, messages: u32) -> Self {
        self.options.parked_limit = messages;
        self
    }

    /// How many messages are handled at a time; 1, in the order of the category.
    ///
    /// With more, messages of different streams are handled side by side, and those of one stream in
    /// their order. They share the task of the subscriber: while one waits others go on, and one that
    /// computes for long is to do so by `spawn_blocking`.
    pub fn concurrency(mut self, messages: u32) -> Self {
        self.options.concurrency = messages;
        self
    }

    /// Commits the progress with the effects of each message, in one transaction of the store that the
    /// handlers get by their [`Context`](crate::handler::Context): what they do in it happens exactly
    /// once. The store must be one that hands out transactions. On SQLite a handler that writes beside its
    /// transaction fails at once, for it would wait for itself.
    pub fn transactional(mut self) -> Self {
        self.options.transactional = true;
        self
    }

    /// Is told of everything that fails, each time it does; and once of each transaction of others that
    /// holds up one that is [merged](Self::merged), without a message.
    pub fn on_error(mut self, report: impl Fn(&Failure<'_>) + Send + Sync + 'static) -> Self {
        self.on_error.push(Arc::new(report));
        self
    }

    /// Is told of each message whose handling ended in a rejection.
    pub fn on_rejection(mut self, report: impl Fn(&Failure<'_>) + Send + Sync + 'static) -> Self {
        self.on_rejection.push(Arc::new(report));
        self
    }

    /// Where it begins when it has no progress yet: a [`GlobalPosition`](crate::GlobalPosition) for a category, a
    /// [`Position`](crate::Position) for a stream.
    pub fn start_at(mut self, start: impl Into<Start>) -> Self {
        self.start = Some(start.into());
        self
    }

    /// Only messages of work that began in a stream of this category. Its progress is recorded apart
    /// from that of a subscriber of the same id that reads everything.
    pub fn correlated_with(mut self, category: impl TryInto<Category, Error: Into<Error>>) -> Self {
        self.correlation = Some(category.try_into().map_err(Into::into));
        self
    }

    /// Has the store look for the types that its handlers handle, where most messages of the category are
    /// of others. Each page then takes two questions, for what lies between is told by no message.
    /// Progress over that is recorded with the next message that is handled, or after the
    /// [time](Self::progress_time) of it; where it is [leased](Self::leased) when it is a batch.
    pub fn handled_only(mut self) -> Self {
        self.is_handled_only = true;
        self
    }

    /// Reads no metadata: a document less to print, to send and to keep, for handlers that look at the
    /// messages alone, as those of a read model do. What they get has none then, nothing can follow it
    /// or reply to it (that is refused), and its trace ends here.
    pub fn without_metadata(mut self) -> Self {
        self.has_metadata = false;
        self
    }

    /// Takes part in a group that shares the category: only the streams of this member, counted
    /// from 0. Each member keeps its own progress, under its number and the size of the group; where
    /// the subscriber has progress alone or in a group of another size, a new member is refused unless
    /// [`start_at`](Self::start_at) says where it begins.
    pub fn group(mut self, member: u16, size: u16) -> Self {
        self.group = Some((member.into(), size.into()));
        self
    }

    /// Which version of the subscriber this is, counted from 1; 1.
    ///
    /// A new version builds anew what its handlers make, beside the one before, which goes on
    /// meanwhile. Until it has caught up with that, its messages are
    /// [replays](crate::handler::Received::is_replay). Then it takes over: from one message to the
    /// next, the old one stops as [replaced](crate::StopReason::Replaced), and
    /// [`active_version`](crate::Store::active_version) is the new one. One that shares its work, by
    /// [`leased`](Self::leased) or in a [`group`](Self::group), has no version but the first.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Shares the category with whoever else runs this subscriber: processes join and leave at run
    /// time, and each works on its part. Three times in a [term](Self::lease_term) each looks what falls
    /// to it: one that comes has its part within a third of it, and what one that died held is taken over
    /// after a term and at most a third.
    ///
    /// The work is split in so many buckets, 1 to 1,024, by the cardinal ids of the streams; a few for
    /// each process that there will ever be. Bucket 3 of 16 is what member 3 of a
    /// [group](Self::group) of 16 reads, and keeps its progress in the same place. The number cannot
    /// be changed later. Streams without an id fall to nobody.
    ///
    /// Progress of the same subscriber alone, or in another number of parts, says nothing of where each
    /// bucket begins; where there is some, [`start_at`](Self::start_at) is to say it.
    pub fn leased(mut self, buckets: u16) -> Self {
        self.leased = Some(buckets);
        self
    }

    /// For how long a process that is not heard of keeps its part; 10 s. It tells that it lives three
    /// times as often. Without [`leased`](Self::leased) it is refused.
    pub fn lease_term(mut self, term: Duration) -> Self {
        self.lease_term = Some(term);
        self
    }

    /// Adds a way to read foreign messages: what it makes of a message is handled in its place.
    /// See [`Converters`]; an error of one is that of a message that does not read.
    pub fn converter<F>(mut self, convert: F) -> Self
    where
        F: Fn(&Recorded) -> Result<Option<Recorded>, HandlerError> + Send + Sync + 'static,
    {
        self.converters.push(convert);
        self
    }

    /// Treats a message whose type is in no handler's set as one that does not read.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Runs until Ctrl-C or SIGTERM, then finishes the message in hand and records its progress.
    ///
    /// # Errors
    ///
    /// When the subscriber cannot start, or stopped because something failed.
    pub async fn run(self) -> Result<(), Error> {
        Host::new().subscriber(self).run().await?.into_result().map(drop)
    }

    /// Runs until there is nothing more to read, or a signal, and records its progress.
    ///
    /// # Errors
    ///
    /// When the subscriber cannot start, or stopped because something failed.
    pub async fn run_until_caught_up(self) -> Result<Polled, Error> {
        let id = self.id.clone();
        let stops = Host::new().subscriber(self).run_until_caught_up().await?;
        let replaced = stops.iter().find_map(|stopped| match stopped.reason {
            StopReason::Replaced(by) if stopped.polled == Polled::default() => Some(by),
            _ => None,
        });
        match replaced {
            // It was never to run.
            Some(by) => {
                let rule = format!("version {by} has taken over");
                Err(Invalid::new("subscriber", id, rule).into())
            }
            None => stops.into_result(),
        }
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handlers: Vec<_> = self.handlers.iter().map(|handler| handler.name()).collect();
        f.debug_struct("Subscriber")
            .field("id", &self.id)
            .field("handlers", &handlers)
            .finish_non_exhaustive()
    }
}
