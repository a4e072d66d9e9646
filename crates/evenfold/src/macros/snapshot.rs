//! The macros of what is kept of a state: `Snapshot` for the whole, `Shape` for its parts.
//!
//! Owns their documentation. The traits are in [`snapshot`](crate::snapshot), when one is kept is told
//! by [`Snapshots`](crate::Snapshots).

/// Makes a state one that can be kept: its name, and the fingerprint of its shape.
///
/// It stands on a struct or an enum beside serde's `Serialize` and `Deserialize`, which are the wire
/// form, and implements the [`Snapshot`](trait@crate::Snapshot) trait and
/// [`Shape`](trait@crate::Shape). What is part of the state has a shape too: the types that states are
/// mostly made of have one, those of the standard library that are listed there and evenfold's; your own
/// get it by [`#[derive(Shape)]`](derive@crate::Shape).
///
/// The shape changes when the module, the name or the parameters of a type, its fields, variants, their
/// types or serde's attributes change. It is noted together with the types of the messages that go into
/// the state. A snapshot that was kept under another is not used, and the entity is made of all its
/// messages.
///
/// # What the shape does not show
///
/// *What a reducer does.* When the same messages make another state, count up `revision`: when the code
/// of a reducer changes, or the default that it begins with; when a message gets a field, or one that was
/// an alias has a reducer of its own; when a converter changes.
///
/// *A form that stands elsewhere.* Serde's `from`, `try_from`, `into` and `remote` on a type, and `with`,
/// `serialize_with` and `deserialize_with` on a field or a variant, do not compile without a `revision`
/// beside them (that of the enum, for a variant), which counts how often that form has changed.
///
/// *What does not read back as it was.* Such a state must not be kept: a field that a reducer sets under
/// `#[serde(skip)]`, or under a `default` that is not what was left out, comes back as its default;
/// `Some(None)` of an `Option<Option<T>>` and `Some(())` as `None`; an `untagged` enum as the first
/// variant that reads; NaN and infinity do not read, and in an `Option` come back as `None`. The last bit
/// of a float may come back as another, without the feature `float_roundtrip` of `serde_json`.
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
/// for a type of another crate, one that holds itself, or one whose form is a function's. A field with
/// `#[serde(skip)]` is no part of the shape.
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
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Snapshot)]
/// struct Account { limits: Vec<Limit<30>> }
///
/// #[derive(Serialize, Deserialize, Shape)]
/// struct Limit<const DAYS: u16> { cents: u64 }
///
/// assert_ne!(Limit::<30>::SHAPE, Limit::<7>::SHAPE); // they hold the same and mean another thing
/// ```
pub use evenfold_macros::Shape;
