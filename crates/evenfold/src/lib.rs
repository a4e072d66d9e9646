//! Typed event sourcing and evented services for Rust, on [Message DB].
//!
//! Messages are structs, and the messages of a category an enum, its *set*. State is made of the
//! messages of a stream by `#[reducer]` methods; [`Entities`] loads it and decides by it. A
//! `#[handler]` answers the messages of a category, and a [`Subscriber`] brings it every one, in
//! order, and keeps its place in the same store. A store is a database with Message DB or our own
//! schema of the same interface, a SQLite file, or memory: [`connect()`] opens it by its URL.
//!
//! ```
//! use evenfold::prelude::*;
//! use evenfold::{Entities, Transacted};
//!
//! #[derive(Message)] struct Deposit { amount: u64 }
//! #[derive(Messages)] #[messages(category = "account:command")]
//! enum AccountCommand { Deposit(Deposit) }
//!
//! #[derive(Message)] struct Deposited { amount: u64 }
//! #[derive(Messages)] #[messages(category = "account")]
//! enum AccountEvent { Deposited(Deposited) }
//!
//! #[derive(Default)] struct Account { balance: u64 }
//! #[reducer(AccountEvent)]
//! impl Account {
//!     fn deposited(&mut self, event: &Deposited) { self.balance += event.amount }
//! }
//!
//! struct Teller { accounts: Entities<Account> }
//! #[handler(AccountCommand)]
//! impl Teller {
//!     async fn deposit(&self, command: Received<Deposit>) -> Result<Transacted, Error> {
//!         let amount = command.amount;
//!         self.accounts.transact(command.entity_id()?, move |account| {
//!             if account.balance + amount > 1_000 { return reject("that is too much") }
//!             Ok(vec![Deposited { amount }.into()])
//!         }).following(&command).await
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let store = evenfold::connect("memory:").await?; // or sqlite://bank.db, or postgres://…
//!     store.send::<AccountCommand>("123", Deposit { amount: 50 }).await?;
//!
//!     let teller = store.subscriber("teller", Teller { accounts: store.entities() });
//!     teller.run_until_caught_up().await?; // `run()` goes on until Ctrl-C or SIGTERM
//!     assert_eq!(store.entities::<Account>().load("123").await?.state.balance, 50);
//!     Ok(())
//! }
//! ```
//!
//! A handler gets a message at least once. What it writes by
//! [following](Write::following) the message is written once, and what it does in the store's
//! transaction happens once with [`transactional`](Subscriber::transactional); anything else, such
//! as a mail, may happen twice.
//!
//! The repository has a guide in ten chapters, `docs/guide`, and the guarantees store by store, each
//! with its test, `docs/concepts/delivery.md`.
//!
//! # Where things are
//!
//! - [`connect()`] opens a [`Store`]: it writes, reads, and makes
//!   [`Entities`] and [`Subscriber`]s. A [`Host`] runs several subscribers.
//! - [`Message`](derive@Message), [`Messages`](derive@Messages), [`macro@reducer`] and
//!   [`macro@handler`] are the macros; [`prelude`] brings them in with the types they use.
//! - [`mod@subscriber`] states what a subscriber promises and what happens when something fails.
//! - [`Snapshots`] keeps the states of long streams in the store, and `EntityCache` in memory.
//! - `sqlite` and `postgres` (features) are those stores by their names: for the transaction that a
//!   handler gets, and, on Postgres, for an application's own pool, for writing within the
//!   application's own transaction, and for the facts of a database.
//! - [`telemetry`] lists what is told to `tracing` and `metrics`, for operators.
//! - [`stores`] is the contract between evenfold and a backend.
//!
//! # Features
//!
//! | Feature | What it adds |
//! |---|---|
//! | `sqlite`, by default | the store in a file |
//! | `postgres` | the store on a server |
//! | `tls` | encrypted connections to Postgres |
//! | `cache` | `EntityCache`: states that stay in memory between one load and the next |
//! | `opentelemetry` | traces go on from who writes a message to who handles it |
//!
//! [Message DB]: https://github.com/message-db/message-db

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

/// The README, the guide and the concepts, as they run. Their links lead to files of the repository,
/// so none of them is a page of the documentation.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../README.md")]
    mod readme {}

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
