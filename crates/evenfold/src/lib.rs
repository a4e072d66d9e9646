//! Typed event sourcing and evented services for Rust, on Message DB.

mod connect;
mod entities;
mod host;
mod macros;
pub mod prelude;
mod store;
pub mod subscriber;
mod telemetry;
mod transact;

pub use connect::connect;
pub use entities::Entities;
pub use evenfold_core::message::{Message, Messages};
#[doc(hidden)]
pub use evenfold_core::private as __private;
pub use evenfold_core::{
    Category, Clock, EntityId, Error, ExpectedVersion, GlobalPosition, Ids, Memory, Position,
    StreamName, SystemClock, TimeOrderedIds, error, handler, message, projector, reducer,
    store as stores,
};
pub use host::{Host, Stops};
pub use macros::{Message, Messages, handler, reducer};
pub use store::{Store, Write};
pub use subscriber::{ErrorPolicy, Failure, Polled, Poller, StopReason, Stopped, Subscriber};
pub use transact::{Transact, Transacted};
