//! The macros: a message, a set of messages, a state and what is kept of it, a handler.
//!
//! Owns their documentation. What they write out is made in the `evenfold-macros` crate, and the
//! traits it fulfils are in [`message`](crate::message), [`reducer`](crate::reducer) and
//! [`handler`](crate::handler). Those of what is kept of a state are in `snapshot.rs`.

mod snapshot;

pub use snapshot::{Shape, Snapshot};

/// Makes a struct a message: a type name, and the wire form that Eventide's clients read.
///
/// It stands on a struct with named fields, or on a unit struct, and implements the
/// [`Message`](trait@crate::Message) trait. The data is a JSON object with camelCase keys; a struct
/// without fields is `{}`. No serde line is needed, and no dependency on serde.
///
/// # Attributes
///
/// `#[message(…)]` on the struct takes:
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `type = "Deposited"` | the type name that is stored; it stays when the struct is renamed | the name of the struct |
/// | `alias = "PaidIn"` | an older type name that is read as this message; may be given again | none |
/// | `verbatim_keys` | keys are the field names as they stand | camelCase keys |
/// | `crate = ::es` | where evenfold is found when it is a dependency under another name | `::evenfold` |
///
/// `#[serde(…)]` is passed on: on a field `rename`, `alias`, `default`, `flatten`, `with`, `skip`,
/// `skip_serializing_if` and their kin, on the struct `default`, `deny_unknown_fields`, `bound`,
/// `expecting`, and `rename_all`, which then takes the place of camelCase. What would make the data
/// something else than an object with these fields is refused.
///
/// A struct may be generic; the bounds of its parameters are those that serde infers.
///
/// # Examples
///
/// ```
/// use evenfold::message::Encode;
/// use evenfold::prelude::*;
///
/// #[derive(Message)]
/// #[message(alias = "PaidIn")]
/// struct Deposited {
///     amount_in_cents: u64,
///     #[serde(default, skip_serializing_if = "Option::is_none")]
///     note: Option<String>,
/// }
///
/// assert_eq!((Deposited::TYPE, Deposited::ALIASES), ("Deposited", &["PaidIn"][..]));
///
/// let deposited = Deposited { amount_in_cents: 500, note: None };
/// let written = deposited.encode(uuid::Uuid::nil())?;
/// assert_eq!(written.data(), r#"{"amountInCents":500}"#);
/// # Ok::<(), Error>(())
/// ```
///
/// A message is one struct, not an enum; the enum that lists several is their
/// [set](derive@crate::Messages):
///
/// ```compile_fail
/// use evenfold::prelude::*;
///
/// #[derive(Message)] // error: a message is a struct: write one for each variant, …
/// enum AccountEvent {
///     Deposited { amount: u64 },
///     Closed,
/// }
/// ```
pub use evenfold_macros::Message;

/// Makes an enum the closed set of the messages of a category.
///
/// Each variant holds exactly one message. The set decodes a recorded message by its type name, is
/// written as the message it holds, and comes of each message by `into()`. A
/// [`reducer`](macro@crate::reducer) or a [`handler`](macro@crate::handler) names the set it
/// covers, and so the compiler knows which message was forgotten.
///
/// It implements [`Messages`](trait@crate::Messages) and [`Encode`](crate::message::Encode), and for
/// each message [`Includes`](crate::message::Includes) and [`From`]. No type name and no alias may
/// stand for two messages of a set.
///
/// # Attributes
///
/// `#[messages(…)]` on the enum takes:
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `category = "account"` | the category that the messages belong to | it must be given |
/// | `crate = ::es` | where evenfold is found when it is a dependency under another name | `::evenfold` |
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
///
/// #[derive(Message, Debug, PartialEq)]
/// struct Deposited {
///     amount: u64,
/// }
///
/// #[derive(Message, Debug, PartialEq)]
/// #[message(alias = "Ended")]
/// struct Closed;
///
/// #[derive(Messages, Debug, PartialEq)]
/// #[messages(category = "account")]
/// enum AccountEvent {
///     Deposited(Deposited),
///     Closed(Closed),
/// }
///
/// assert_eq!(AccountEvent::CATEGORY, "account");
/// assert_eq!(AccountEvent::TYPES, ["Deposited", "Closed", "Ended"]);
/// assert_eq!(AccountEvent::from(Closed), AccountEvent::Closed(Closed));
/// ```
///
/// A type name stands for one message of a set:
///
/// ```compile_fail
/// use evenfold::prelude::*;
///
/// #[derive(Message)]
/// struct Deposited {
///     amount: u64,
/// }
///
/// #[derive(Message)]
/// #[message(type = "Deposited")]
/// struct PaidIn {
///     amount: u64,
/// }
///
/// #[derive(Messages)]
/// #[messages(category = "account")]
/// enum AccountEvent {
///     Deposited(Deposited),
///     PaidIn(PaidIn), // error: `PaidIn` has a type name or an alias that an earlier message …
/// }
/// ```
pub use evenfold_macros::Messages;

/// Makes a struct a state: each method of the impl block takes one message of a set into it.
///
/// A method is `fn name(&mut self, event: &M)`, or `fn name(&mut self, event: &M, recorded:
/// &Recorded)` where place and time of the message matter. It returns nothing, or `Result<(), E>`
/// with any error that `?` makes a [`HandlerError`](crate::error::HandlerError) of. Its name is for
/// people; the message is told by the type of its parameter.
///
/// Every message of the set has a method or is skipped by name; one that was forgotten does not
/// compile. Methods of another shape stand in another impl block. The block may be generic.
///
/// It implements [`Reducer`](crate::reducer::Reducer), and [`Reduce`](crate::reducer::Reduce) for
/// each message.
///
/// # Arguments
///
/// `#[reducer(AccountEvent)]` begins with the set, and takes:
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `skip(Closed, …)` | messages that leave the state as it is | none |
/// | `crate = ::es` | where evenfold is found when it is a dependency under another name | `::evenfold` |
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
///
/// #[derive(Message)]
/// struct Deposited {
///     amount: u64,
/// }
///
/// #[derive(Message)]
/// struct Withdrawn {
///     amount: u64,
/// }
///
/// #[derive(Message)]
/// struct Closed;
///
/// #[derive(Messages)]
/// #[messages(category = "account")]
/// enum AccountEvent {
///     Deposited(Deposited),
///     Withdrawn(Withdrawn),
///     Closed(Closed),
/// }
///
/// #[derive(Default)]
/// struct Account {
///     balance: u64,
/// }
///
/// #[reducer(AccountEvent, skip(Closed))]
/// impl Account {
///     fn deposited(&mut self, event: &Deposited) {
///         self.balance += event.amount;
///     }
///
///     fn withdrawn(&mut self, event: &Withdrawn) -> Result<(), HandlerError> {
///         self.balance = self.balance.checked_sub(event.amount).ok_or("overdrawn")?;
///         Ok(())
///     }
/// }
///
/// let mut account = Account::default();
/// account.deposited(&Deposited { amount: 50 });
/// assert_eq!(account.balance, 50);
/// ```
///
/// A forgotten message is an error that names it:
///
/// ```compile_fail
/// # use evenfold::prelude::*;
/// # #[derive(Message)]
/// # struct Deposited {
/// #     amount: u64,
/// # }
/// # #[derive(Message)]
/// # struct Closed;
/// #[derive(Messages)]
/// #[messages(category = "account")]
/// enum AccountEvent {
///     Deposited(Deposited),
///     Closed(Closed),
/// }
///
/// struct Account {
///     balance: u64,
/// }
///
/// #[reducer(AccountEvent)] // error: `Account` has no reducer for `Closed`
/// impl Account {
///     fn deposited(&mut self, event: &Deposited) {
///         self.balance += event.amount;
///     }
/// }
/// ```
pub use evenfold_macros::reducer;

/// Makes a struct a handler: each method of the impl block handles one message of a set.
///
/// A method is `async fn name(&self, message: Received<M>)`, or `async fn name(&self, message:
/// Received<M>, context: &mut Context)` where the store hands out a transaction. It returns
/// nothing, or `Result<T, E>` with any error that `?` makes a
/// [`HandlerError`](crate::error::HandlerError) of; the value is dropped, so a handler may end with
/// a write. [`Received`](crate::handler::Received) stands there by its own name: a macro cannot see
/// through an alias of it.
///
/// Every message of the set has a method or is skipped by name; one that was forgotten does not
/// compile. Methods of another shape stand in another impl block. The block may be generic. A
/// handler is shared between threads, and the future of a method is sent between them.
///
/// It implements [`Handler`](crate::handler::Handler), and [`Handle`](crate::handler::Handle) for
/// each message.
///
/// # Arguments
///
/// `#[handler(AccountCommand)]` begins with the set, and takes:
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `skip(Close, …)` | messages that need no handling | none |
/// | `name = "Teller"` | its name in logs and in the ids of what it writes; it stays when the struct is renamed | the name of the struct |
/// | `crate = ::es` | where evenfold is found when it is a dependency under another name | `::evenfold` |
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use evenfold::handler::Handler;
/// use evenfold::prelude::*;
///
/// #[derive(Message)]
/// struct Deposit {
///     amount: u64,
/// }
///
/// #[derive(Message)]
/// struct Close;
///
/// #[derive(Messages)]
/// #[messages(category = "account:command")]
/// enum AccountCommand {
///     Deposit(Deposit),
///     Close(Close),
/// }
///
/// struct Teller {
///     total: AtomicU64,
/// }
///
/// #[handler(AccountCommand)]
/// impl Teller {
///     async fn deposit(&self, command: Received<Deposit>) {
///         self.total.fetch_add(command.amount, Ordering::Relaxed);
///     }
///
///     async fn close(&self, command: Received<Close>) -> Result<(), Rejection> {
///         reject(format!("account {} stays open", command.entity_id()?))
///     }
/// }
///
/// assert_eq!(Teller::NAME, "Teller");
/// ```
///
/// A forgotten message is an error that names it:
///
/// ```compile_fail
/// # use evenfold::prelude::*;
/// # #[derive(Message)]
/// # struct Deposit {
/// #     amount: u64,
/// # }
/// # #[derive(Message)]
/// # struct Close;
/// #[derive(Messages)]
/// #[messages(category = "account:command")]
/// enum AccountCommand {
///     Deposit(Deposit),
///     Close(Close),
/// }
///
/// struct Teller;
///
/// #[handler(AccountCommand)] // error: `Teller` has no handler for `Close`
/// impl Teller {
///     async fn deposit(&self, command: Received<Deposit>) {
///         println!("{}", command.amount);
///     }
/// }
/// ```
pub use evenfold_macros::handler;
