//! The state that messages come to, as a test asks for it.
//!
//! Owns [`state_of`], which proves on the way what a reducer and its messages promise.

use std::fmt::Debug;

use evenfold_core::message::{Encode, Messages, Recorded};
use evenfold_core::projector::Projector;
use evenfold_core::reducer::Reducer;
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
    let time = ManualClock::default().now();
    let (mut recorded, mut position) = (Vec::new(), Position::START);
    let (mut global_position, mut number) = (GlobalPosition::START, 0);
    for message in messages {
        number += 1;
        global_position = global_position.next();
        let message = message.into().encode(numbered(2, number))?;
        let it = Recorded {
            id: message.id(),
            stream_name: stream.clone(),
            message_type: message.message_type().into(),
            position,
            global_position,
            time,
            data_json: message.stored_data().map(Into::into),
            metadata_json: message.stored_metadata().map(Into::into),
        };
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
