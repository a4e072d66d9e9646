//! What a store of messages can do, by topic, and the laws it keeps.
//!
//! Owns the contract between evenfold and a backend: [`WriteStore`], [`ReadStore`],
//! [`MergedStore`], [`BrowseStore`], [`ProgressStore`] and [`LeaseStore`], joined in
//! [`MessageStore`], which an application holds as `dyn`. A backend is written against these docs and
//! proven by the conformance suite of evenfold-testkit, which has a test for every law named here.

mod announcements;
mod browse;
mod inside;
mod lease;
mod merged;
mod pages;
mod parked_queue;
mod parking;
mod parking_stream;
mod position_stream;
mod progress;
mod progress_name;
mod read;
mod reason;
mod transaction;
mod write;

use std::fmt;
use std::fmt::Debug;

use futures::future::{BoxFuture, ready};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};

use crate::Category;
use crate::error::Error;

pub use announcements::Announcement;
pub use browse::{Backlog, BrowseStore, CategorySummary, StreamSummary};
pub use inside::Inside;
pub use lease::{Held, Lease, LeaseGroup, LeaseStore, Member, MemberStatus};
pub use merged::{Categories, HeldUp, Merged, MergedStore};
pub use pages::{category_messages, merged_messages, stream_messages};
pub use parked_queue::{ParkedMessage, ParkedQueue};
pub use parking::Note;
pub use parking_stream::{ParkingLot, ParkingStream};
pub use position_stream::{Began, Progress, ProgressStream, Standing};
pub use progress::{Place, ProgressStore, SubscriberId, Unit};
pub use progress_name::{ProgressName, Reads};
pub use read::{BatchSize, CategoryQuery, ConsumerGroup, ReadStore};
pub use reason::stored_reason;
pub use transaction::{Context, HandlerTransaction};
pub use write::{WriteStore, Written, check_batch};

/// A store of messages: everything a backend does, in one trait that an application holds as `dyn`.
///
/// The laws stand with the topics. Two hold for all of them:
/// - *No false success.* A call that failed, or whose future was dropped, has never reported
///   success; and no call holds a whole stream or category in memory.
/// - *Declared abilities.* What a backend cannot do it says in [`abilities`](Self::abilities), and
///   the conformance suite prints it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message store",
    label = "not a message store",
    note = "a store implements `WriteStore`, `ReadStore`, `MergedStore`, `BrowseStore`, \
            `ProgressStore`, `LeaseStore` and `MessageStore`"
)]
pub trait MessageStore:
    WriteStore + ReadStore + MergedStore + BrowseStore + ProgressStore + LeaseStore + Debug + 'static
{
    /// The name of the backend in logs and reports, as in `sqlite`.
    fn name(&self) -> &'static str;

    /// What this backend can do beyond the laws that all keep.
    fn abilities(&self) -> &'static [Ability];

    /// Whether it was opened to read alone, so that every write is refused: who writes only what could be
    /// made again, as a snapshot, does not try.
    fn only_reads(&self) -> bool {
        false
    }

    /// Begins what the handlers of one message work in: a transaction, of a store that declares
    /// [`Ability::Transactions`]; of another nothing, which an empty context says.
    ///
    /// # Errors
    ///
    /// When the store cannot begin it.
    fn context(&self) -> BoxFuture<'_, Result<Context, Error>> {
        ready(Ok(Context::empty())).boxed()
    }

    /// Tells the other processes that use this store that messages were committed to a category.
    ///
    /// It never waits and never fails: what is announced several times in a short while is told
    /// once, and may be lost. A store that has no way to tell it, tells nothing.
    fn announce(&self, _category: &Category) {}

    /// What other processes announce, from now on; dropping it ends the listening.
    ///
    /// It ends at once where a store hears nothing. Otherwise it begins deaf, and says so whenever
    /// that changes.
    fn announcements(&self) -> BoxStream<'static, Announcement> {
        stream::empty().boxed()
    }
}

/// Something that one backend can do and another cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ability {
    /// What was written is there when the store is opened again.
    Durable,
    /// Several processes may use the same store at a time.
    SharedByProcesses,
    /// The members of a group share its work at run time, by [`LeaseStore`].
    Leases,
    /// It hands a transaction to handlers, see [`HandlerTransaction`].
    Transactions,
}

impl Ability {
    /// Every ability there is, for reports of what a backend lacks.
    pub const ALL: [Self; 4] =
        [Self::Durable, Self::SharedByProcesses, Self::Leases, Self::Transactions];
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Durable => "durable",
            Self::SharedByProcesses => "shared by processes",
            Self::Leases => "leases",
            Self::Transactions => "transactions",
        })
    }
}
