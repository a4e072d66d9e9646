//! The vocabulary, the contracts and the reference store of [evenfold].
//!
//! An application imports the `evenfold` crate, which hands these types on and adds the engines
//! that run them. This crate is for the authors of stores and tools: it says what a message, a
//! name, a position and an error are; what a store promises ([`store::MessageStore`]); what a
//! reducer, a projector, a handler and a subscriber are; and it holds the shortest store that keeps
//! every promise, [`Memory`]. It touches no file and no socket and knows no runtime.
//!
//! `evenfold-testkit` proves a store against the laws named here.
//!
//! # Examples
//!
//! A category, a stream of it, and what a writer believes of that stream:
//!
//! ```
//! use evenfold_core::{Category, EntityId, ExpectedVersion};
//!
//! let account: Category = "account".parse()?;
//! let stream = account.stream(&EntityId::new("123")?);
//! assert_eq!(stream.as_str(), "account-123");
//! assert_eq!(ExpectedVersion::NoStream.to_string(), "no stream");
//! # Ok::<(), evenfold_core::Error>(())
//! ```
//!
//! [evenfold]: https://docs.rs/evenfold

mod name;
mod position;

mod expected_version;

pub mod error;
pub mod message;

pub mod reducer;
pub mod snapshot;

pub mod store;

pub mod handler;
pub mod projector;
pub mod subscriber;

mod clock;
mod ids;
mod memory;

#[doc(hidden)]
pub mod private;

pub use clock::{Clock, SystemClock};
pub use error::Error;
pub use expected_version::ExpectedVersion;
pub use ids::{Ids, TimeOrderedIds};
pub use memory::Memory;
pub use name::{Category, EntityId, StreamName};
pub use position::{GlobalPosition, Position};
