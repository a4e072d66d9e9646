#![doc = include_str!("protocol.md")]
//!
//! Owns the subscriber as an application builds it. The decisions are those of the state machine
//! in evenfold-core; `driver.rs` carries them out, `dispatch.rs` hands a message to its handlers.
//! Several subscribers in one process are run by [`Host`](crate::Host).

mod begin;
mod builder;
mod dispatch;
mod driver;
mod lag;
mod leases;
mod parked;
mod parking;
mod place;
mod plan;
mod records;
mod report;
mod status;
mod survey;
mod told;
mod version;
mod work;

pub use builder::Subscriber;
pub use driver::Poller;
pub use evenfold_core::subscriber::{ErrorPolicy, Then};
pub use lag::Lag;
pub use parked::{Parked, Parking};
pub use place::SubscriberPlace;
pub use plan::Start;
pub use report::{Failure, Polled, StopReason, Stopped};
pub use status::{PartStatus, SubscriberState, SubscriberStatus};
