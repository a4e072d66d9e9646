#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! - [`connect()`] opens a [`Store`]: it writes, reads, and makes
//!   [`Entities`] and [`Subscriber`]s. A [`Host`] runs several subscribers.
//! - [`Message`](derive@Message), [`Messages`](derive@Messages), [`macro@reducer`] and
//!   [`macro@handler`] are the macros; [`prelude`] brings them in with the types they use.
//! - [`mod@subscriber`] states what a subscriber promises and what happens when something fails.
//! - `sqlite` and `postgres` (features) are those stores by their names: for the transaction that a
//!   handler gets, and, on Postgres, for an application's own pool, for writing within the
//!   application's own transaction, and for the facts of a database.
//! - [`telemetry`] lists what is told to `tracing` and `metrics`, for operators.
//! - [`stores`] is the contract between evenfold and a backend.

mod ahead;
mod connect;
mod entities;
mod host;
mod macros;
mod marks;
pub mod prelude;
mod store;
pub mod subscriber;
pub mod telemetry;
mod transact;
mod wakeups;

pub use connect::connect;
#[cfg(feature = "cache")]
pub use entities::EntityCache;
pub use entities::{Entities, Snapshots};
pub use evenfold_core::message::{Message, Messages};
#[doc(hidden)]
pub use evenfold_core::private as __private;
pub use evenfold_core::snapshot::{Shape, Snapshot};
pub use evenfold_core::{
    Category, Clock, EntityId, Error, ExpectedVersion, GlobalPosition, Ids, Memory, Position,
    StreamName, SystemClock, TimeOrderedIds, error, handler, message, projector, reducer, snapshot,
    store as stores,
};
#[cfg(feature = "postgres")]
pub use evenfold_postgres as postgres;
#[cfg(feature = "sqlite")]
pub use evenfold_sqlite as sqlite;
pub use host::{Host, Stops};
pub use macros::{Message, Messages, Shape, Snapshot, handler, reducer};
pub use store::{Store, Write};
pub use subscriber::{
    ErrorPolicy, Failure, Parked, Parking, Polled, Poller, StopReason, Stopped, Subscriber,
    SubscriberPlace,
};
pub use transact::{Transact, Transacted};
pub use uuid::Uuid;

/// The guide and the concepts, as they run.
#[cfg(doctest)]
mod guide {
    macro_rules! chapters {
        ($($(#[$when:meta])? $name:ident: $file:literal),* $(,)?) => {$(
            $(#[$when])?
            #[doc = include_str!(concat!("../../../docs/", $file))]
            mod $name {}
        )*};
    }
    chapters! {
        first_message: "guide/01-first-message.md",
        reduce: "guide/02-reduce.md",
        decide: "guide/03-decide.md",
        subscribe: "guide/04-subscribe.md",
        read_model: "guide/05-read-model.md",
        #[cfg(feature = "postgres")]
        postgres: "guide/06-postgres.md",
        test: "guide/07-test.md",
        operate: "guide/08-operate.md",
        views: "guide/09-views.md",
        #[cfg(feature = "cache")]
        long_streams: "guide/10-long-streams.md",
        stream_names: "concepts/stream-names.md",
        positions_and_order: "concepts/positions-and-order.md",
        idempotence: "concepts/idempotence.md",
        delivery: "concepts/delivery.md",
    }
}
