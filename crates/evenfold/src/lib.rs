//! Typed event sourcing and evented services for Rust, on Message DB.
pub use evenfold_core::{
    Category, Clock, EntityId, Error, ExpectedVersion, GlobalPosition, Ids, Position, StreamName,
    SystemClock, TimeOrderedIds, error, handler, message, reducer, store,
};
#[doc(hidden)]
pub use evenfold_core::private as __private;
pub mod prelude;
