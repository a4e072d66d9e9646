//! The state that messages come to, as a test asks for it.
//!
//! Owns [`state_of`], which proves on the way what a reducer and its messages promise, and
//! [`check_kept`], which proves that a snapshot is the state.

use std::fmt::Debug;

use evenfold_core::message::{Encode, Messages, NewMessage, Recorded};
use evenfold_core::projector::Projector;
use evenfold_core::reducer::Reducer;
use evenfold_core::snapshot::{Dialect, Snapshot};
use evenfold_core::{Clock, Error, GlobalPosition, Position, StreamName};

use crate::ManualClock;
use crate::controls::numbered;
use crate::json::json;

/// The state that these messages of a stream come to, through their wire form.
///
/// Laws, each of which is proven with it:
/// - *Round trip.* Each message is written as JSON, read back, and written again as the same JSON.
/// - *Pure.* The messages are reduced twice from the start, into equal states.
///
/// # Errors
///
/// When the name is no stream name, a message does not write or read, a reducer fails, or one of the
/// laws does not hold; the error names the message.
///
/// # Examples
///
/// With the macros of `evenfold`, and a state that derives `Default`, `Debug` and `PartialEq`:
///
/// ```
/// # use evenfold_core::error::{DecodeError, HandlerError};
/// # use evenfold_core::message::{Encode, Messages, NewMessage, Recorded};
/// # use evenfold_core::reducer::Reducer;
/// # use evenfold_core::Error;
/// # use evenfold_testkit::controls::message::Deposited;
/// # struct AccountEvent(Deposited);
/// # impl From<Deposited> for AccountEvent {
/// #     fn from(it: Deposited) -> Self { Self(it) }
/// # }
/// # impl Encode for AccountEvent {
/// #     fn encode(&self, id: uuid::Uuid) -> Result<NewMessage, Error> { self.0.encode(id) }
/// # }
/// # impl Messages for AccountEvent {
/// #     const CATEGORY: &'static str = "account";
/// #     const TYPES: &'static [&'static str] = &["Deposited"];
/// #     fn decode(recorded: &Recorded) -> Result<Option<Self>, DecodeError> {
/// #         recorded.is::<Deposited>().then(|| recorded.decode().map(Self)).transpose()
/// #     }
/// # }
/// # #[derive(Default, Debug, PartialEq)]
/// # struct Account { balance: i64 }
/// # impl Reducer for Account {
/// #     type Set = AccountEvent;
/// #     fn reduce(&mut self, event: &AccountEvent, _: &Recorded) -> Result<(), HandlerError> {
/// #         self.balance += event.0.amount;
/// #         Ok(())
/// #     }
/// # }
/// use evenfold_testkit::state_of;
///
/// let deposits = [Deposited { amount: 5 }, Deposited { amount: 7 }];
/// let account: Account = state_of("account-123", deposits)?;
/// assert_eq!(account.balance, 12);
/// # Ok::<(), Error>(())
/// ```
pub fn state_of<S: Reducer + Default + PartialEq + Debug>(
    stream: impl TryInto<StreamName, Error: Into<Error>>,
    messages: impl IntoIterator<Item = impl Into<S::Set>>,
) -> Result<S, Error> {
    let stream = stream.try_into().map_err(Into::into)?;
    let (mut recorded, mut position) = (Vec::new(), Position::START);
    let (mut global_position, mut number) = (GlobalPosition::START, 0);
    for message in messages {
        number += 1;
        global_position = global_position.next();
        let message = message.into().encode(numbered(2, number))?;
        let it = Recorded { position, global_position, ..as_first(&stream, &message) };
        check_round_trip::<S::Set>(&it)?;
        recorded.push(it);
        position = position.next();
    }
    let (state, again) = (reduced::<S>(&recorded)?, reduced::<S>(&recorded)?);
    if state != again {
        let law = "the same messages in the same order make the same state";
        let fault = format!("{law}, but made first\n{state:#?}\nand then\n{again:#?}");
        return Err(Error::failed(format!("reducing `{stream}` twice"), fault));
    }
    Ok(state)
}

/// Proves for one state that it reads back from a snapshot as it was.
///
/// The fingerprint of a state does not see everything that its wire form leaves out, such as a field
/// under `#[serde(skip)]`: a test asks it of a state in which every field says something.
///
/// # Errors
///
/// When the state does not write or read, or is another one then; the error shows both.
///
/// # Examples
///
/// ```
/// # use evenfold_core::error::{DecodeError, HandlerError};
/// # use evenfold_core::message::{Encode, Messages, NewMessage, Recorded};
/// # use evenfold_core::reducer::Reducer;
/// # use evenfold_core::snapshot::{Shape, Snapshot};
/// # use evenfold_core::Error;
/// # use serde::{Deserialize, Serialize};
/// # enum AccountEvent {}
/// # impl Encode for AccountEvent {
/// #     fn encode(&self, _: uuid::Uuid) -> Result<NewMessage, Error> { match *self {} }
/// # }
/// # impl Messages for AccountEvent {
/// #     const CATEGORY: &'static str = "account";
/// #     const TYPES: &'static [&'static str] = &["Deposited"];
/// #     fn decode(_: &Recorded) -> Result<Option<Self>, DecodeError> { Ok(None) }
/// # }
/// # impl Reducer for Account {
/// #     type Set = AccountEvent;
/// #     fn reduce(&mut self, event: &AccountEvent, _: &Recorded) -> Result<(), HandlerError> {
/// #         match *event {}
/// #     }
/// # }
/// # impl Shape for Account { const SHAPE: u64 = 1; }
/// # impl Snapshot for Account { const NAME: &'static str = "account"; }
/// use evenfold_testkit::check_kept;
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)] // and `Snapshot`
/// struct Account {
///     balance: i64,
///     #[serde(skip)]
///     deposits: u32,
/// }
///
/// assert!(check_kept(&Account { balance: 5, deposits: 0 }).is_ok());
/// assert!(check_kept(&Account { balance: 5, deposits: 1 }).is_err());
/// ```
pub fn check_kept<S: Reducer + Snapshot + PartialEq + Debug>(state: &S) -> Result<(), Error> {
    let stream = StreamName::new(format!("{}-1", S::Set::CATEGORY))?;
    let (form, version) = (Dialect::Eventide, Position::START);
    let message = form.write(numbered(2, 1), &stream, state, version)?;
    let read = form.read::<S>(&as_first(&stream, &message), &stream, false)?.state;
    if read == *state {
        return Ok(());
    }
    let fault = format!("it was\n{state:#?}\nand is\n{read:#?}");
    Err(Error::failed(format!("keeping `{}`", S::NAME), fault))
}

/// A message as it is recorded first of all.
fn as_first(stream: &StreamName, message: &NewMessage) -> Recorded {
    Recorded {
        id: message.id(),
        stream_name: stream.clone(),
        message_type: message.message_type().into(),
        position: Position::START,
        global_position: GlobalPosition::START.next(),
        time: ManualClock::default().now(),
        data_json: message.stored_data().map(Into::into),
        metadata_json: message.stored_metadata().map(Into::into),
    }
}

fn reduced<S: Reducer + Default>(messages: &[Recorded]) -> Result<S, Error> {
    let projector = Projector::<S>::of_reducer();
    let mut state = projector.start();
    for recorded in messages {
        projector.step(&mut state, recorded)?;
    }
    Ok(state)
}

fn check_round_trip<M: Messages>(recorded: &Recorded) -> Result<(), Error> {
    let broken =
        |fault: String| Err(Error::failed(format!("reading back {}", recorded.place()), fault));
    let Some(read) = M::decode(recorded)? else {
        return broken("its set does not have its type".into());
    };
    let again = read.encode(recorded.id)?;
    if json(again.data())? != json(recorded.data())? {
        return broken(format!("it was `{}` and is `{}`", recorded.data(), again.data()));
    }
    Ok(())
}
