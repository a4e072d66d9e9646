//! The macros of what is kept of a state: `Snapshot` for the whole, `Shape` for its parts.
//!
//! Owns their documentation. The traits are in [`snapshot`](crate::snapshot), when one is kept is told
//! by [`Snapshots`](crate::Snapshots).

/// Makes a state one that can be kept: its name, and the fingerprint of its shape.
///
/// It stands on a struct or an enum beside serde's `Serialize` and `Deserialize`, which are the wire
/// form, and implements the [`Snapshot`](trait@crate::Snapshot) trait and
/// [`Shape`](trait@crate::Shape). What is part of the state has a shape too: the types of the
/// standard library and of evenfold have one, those of your own get it by
/// [`#[derive(Shape)]`](derive@crate::Shape).
///
/// The shape changes when the fields, variants, their types or serde's attributes change. A snapshot
/// that was kept under another shape is not used, and the entity is made of all its messages. What
/// the shape cannot know is what a reducer does: when one changes so that the same messages make
/// another state, count up `revision`.
///
/// # Attributes
///
/// `#[snapshot(…)]` on the type takes:
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `name = "account"` | the name that the streams of its snapshots begin with | the name of the type, its first letter lower |
/// | `revision = 2` | counts the changes that the shape does not show | none |
/// | `crate = ::es` | where evenfold is found when it is a dependency under another name | `::evenfold` |
///
/// On a field, `#[snapshot(revision = 1)]` stands for the shape of its type, which then needs none:
/// for a type of another crate, or one that holds itself. A field with `#[serde(skip)]` is no part of
/// the shape.
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
/// use evenfold::Snapshots;
/// use serde::{Deserialize, Serialize};
///
/// # #[derive(Message)] struct Deposited { amount: u64 }
/// # #[derive(Messages)] #[messages(category = "account")] enum AccountEvent { Deposited(Deposited) }
/// #[derive(Default, Serialize, Deserialize, Snapshot)]
/// #[serde(rename_all = "camelCase")] // as other clients write it
/// struct Account { balance: u64, last_amounts: Vec<Amount> }
///
/// #[derive(Serialize, Deserialize, Shape)]
/// struct Amount(u64);
///
/// # #[reducer(AccountEvent)]
/// # impl Account { fn deposited(&mut self, event: &Deposited) { self.balance += event.amount } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let store = evenfold::connect("memory:").await?;
/// let accounts = store.entities::<Account>().snapshots(Snapshots::every(1));
/// accounts.transact("123", |_| Ok(vec![Deposited { amount: 5 }.into()])).await?;
///
/// assert_eq!(accounts.load("123").await?.state.balance, 5); // and keeps that
/// # let kept = "account:snapshot-123".parse()?;
/// # let last = store.messages().last_message(&kept, None).await?.unwrap();
/// # let data: serde_json::Value = serde_json::from_str(last.data()).unwrap();
/// # let state = serde_json::json!({ "balance": 5, "lastAmounts": [] });
/// # assert_eq!(data, serde_json::json!({ "entityData": state, "entityVersion": 0 }));
/// # Ok(())
/// # }
/// ```
///
/// A part without a shape does not compile:
///
/// ```compile_fail
/// use evenfold::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Amount(u64);
///
/// #[derive(Default, Serialize, Deserialize, Snapshot)]
/// struct Account { last_amounts: Vec<Amount> } // error: the shape of `Amount` is not known
/// ```
pub use evenfold_macros::Snapshot;

/// Gives a type that is part of a state the fingerprint of its shape.
///
/// See [`#[derive(Snapshot)]`](derive@crate::Snapshot), which is for the state itself. Its attribute
/// is `#[snapshot(…)]` too, with the keys `revision` and `crate`.
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
///
/// mod before {
/// #   use evenfold::prelude::*;
///     #[derive(Shape)]
///     pub struct Amount { pub cents: u64 }
/// }
/// mod after {
/// #   use evenfold::prelude::*;
///     #[derive(Shape)]
///     pub struct Amount { pub cents: u64, pub currency: String }
/// }
///
/// assert_ne!(before::Amount::SHAPE, after::Amount::SHAPE);
/// ```
pub use evenfold_macros::Shape;
