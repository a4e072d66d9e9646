//! Examples, doubles and the conformance suite of [evenfold].
//!
//! For the tests of an application: a [`Spec`] brings messages to a handler once, twice, out of a
//! crash and against every fault of a store, and wants the same outcome each time; [`state_of`] says
//! what messages come to, and [`check_kept`] that a snapshot of it is the same. [`Recording`] remembers what was written to any store and fails when it is
//! told to; [`ManualClock`], [`CountedIds`] and [`TransactionLog`] stand in for what a test must
//! drive; [`controls`] are canonical examples, the awkward ones too.
//!
//! For the author of a backend: [`mod@conformance`] has a proof for every law that the docs of
//! `evenfold_core::store` name, and makes a test of each by one macro; [`model`] asks two stores the
//! same, at random, and compares their answers.
//!
//! For both: [`simulation`] runs subscribers through thousands of small worlds in which everything
//! goes wrong, and checks their laws.
//!
//! It knows no backend and no runtime.
//!
//! # Examples
//!
//! A writer that tries again when it was too late, tested without a second writer:
//!
//! ```
//! use evenfold_core::store::{MessageStore, ReadStore, WriteStore};
//! use evenfold_core::{Error, ExpectedVersion, StreamName};
//! use evenfold_testkit::{Outcome, Recording, controls};
//!
//! async fn deposit(store: &dyn MessageStore, to: &StreamName) -> Result<(), Error> {
//!     loop {
//!         let version = ExpectedVersion::from(store.stream_version(to).await?);
//!         let deposited = controls::message::deposited(5)?;
//!         match store.write(to, &[deposited], version).await {
//!             Err(error) if error.is_conflict() => continue,
//!             answer => return answer.map(drop),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let store = Recording::default();
//! let account = controls::stream::account(123)?;
//! store.conflict_next(2);
//! deposit(&store, &account).await?;
//!
//! let outcomes: Vec<_> = store.writes().into_iter().map(|write| write.outcome).collect();
//! assert_eq!(outcomes, [Outcome::Refused, Outcome::Refused, Outcome::Written]);
//! # Ok(())
//! # }
//! ```
//!
//! [evenfold]: https://docs.rs/evenfold

pub mod controls;
mod json;
mod random;

mod clock;
mod ids;
mod transaction;

mod recording;

mod spec;

pub mod conformance;
pub mod model;
pub mod simulation;

pub use clock::ManualClock;
pub use ids::CountedIds;
pub use recording::{FaultsIn, Held, Outcome, Recording, Write};
pub use spec::{Delivery, Spec, check_kept, state_of};
pub use transaction::{NotedTransaction, TransactionLog};
