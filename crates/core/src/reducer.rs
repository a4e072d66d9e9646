//! One message into state.
//!
//! Owns the contract that `#[reducer]` fulfils. A whole stream into state is `projector.rs`.

use crate::error::{Error, HandlerError};
use crate::message::{Messages, Recorded};

/// A state and how each message of a set goes into it; `#[reducer]` on an impl block writes it.
///
/// Laws:
/// - *Covered.* Every message of the set has a reducer or is skipped by name; one that was
///   forgotten does not compile.
/// - *Pure.* The same messages in the same order make the same state: a reducer reads nothing but
///   the state and the message, and does nothing but change the state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state that messages are reduced into",
    label = "no `#[reducer(…)]` for this type",
    note = "put `#[reducer(TheSet)]` on an impl block of `{Self}`"
)]
pub trait Reducer: Sized + Send + 'static {
    /// The set of messages that go into this state.
    type Set: Messages;

    /// Whether a reducer takes the message as it is recorded too, with its metadata, which is not read
    /// from the store otherwise.
    const READS_RECORDED: bool = true;

    /// Whether messages of this type of the set are skipped by name, so that they leave every state as
    /// it is. A state that is kept notes the types that are not.
    fn skips(message_type: &str) -> bool {
        let _ = message_type;
        false
    }

    /// Takes in one message.
    ///
    /// # Errors
    ///
    /// When the reducer of the message fails.
    fn reduce(&mut self, message: &Self::Set, recorded: &Recorded) -> Result<(), HandlerError>;
}

/// How one type of message goes into a state; `#[reducer]` writes it for each of its methods.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no reducer for `{M}`",
    label = "a reducer for `{M}` is missing",
    note = "add `fn …(&mut self, event: &{M})` to the `#[reducer(…)]` block, or say `skip({M})`"
)]
pub trait Reduce<M> {
    /// Takes in one message of the type.
    ///
    /// # Errors
    ///
    /// When the reducer fails.
    fn reduce_message(&mut self, message: &M, recorded: &Recorded) -> Result<(), HandlerError>;
}

/// Reduces a recorded message into a state; whether its type was in the set is the answer.
///
/// # Errors
///
/// When the message does not read, or its reducer fails; the error names message and place.
pub fn reduce_recorded<S: Reducer>(state: &mut S, recorded: &Recorded) -> Result<bool, Error> {
    let Some(message) = S::Set::decode(recorded)? else { return Ok(false) };
    state.reduce(&message, recorded).map_err(|fault| reducer_failed(recorded, fault))?;
    Ok(true)
}

pub(crate) fn reducer_failed(recorded: &Recorded, fault: HandlerError) -> Error {
    Error::failed(format!("reducing {}", recorded.place()), fault.into_inner())
}
