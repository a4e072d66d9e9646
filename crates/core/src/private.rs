//! What generated code may touch, and nothing else. Not for people: it changes without notice.

pub use std::future::Future;

pub use serde;
pub use uuid::Uuid;

pub use crate::error::{DecodeError, Error, HandlerError};
pub use crate::handler::{Context, Handle, Handler, Received};
pub use crate::message::{Encode, Includes, Message, Messages, NewMessage, Recorded};
pub use crate::reducer::{Reduce, Reducer};
pub use crate::snapshot::{Outline, Shape, Snapshot};

/// A set whose every message has a reducer in `S`; derived with the set, so it knows them all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of messages",
    label = "this type is not a set of messages",
    note = "add `#[derive(Messages)]` and `#[messages(category = \"…\")]` to the enum that lists them"
)]
pub trait ReducedInto<S> {
    fn reduce_into(&self, state: &mut S, recorded: &Recorded) -> Result<(), HandlerError>;
}

/// A set whose every message has a handler in `H`; derived with the set, so it knows them all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of messages",
    label = "this type is not a set of messages",
    note = "add `#[derive(Messages)]` and `#[messages(category = \"…\")]` to the enum that lists them"
)]
pub trait HandledBy<H>: Sized {
    fn handled_by(
        received: Received<Self>,
        handler: &H,
        context: &mut Context,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// What a reducer method may return: nothing, or a result without a value.
#[diagnostic::on_unimplemented(
    message = "a reducer returns nothing or `Result<(), E>`, not `{Self}`",
    label = "not what a reducer returns",
    note = "`E` is any error that `?` turns into a `HandlerError`"
)]
pub trait ReducerOutput {
    fn into_result(self) -> Result<(), HandlerError>;
}

impl ReducerOutput for () {
    fn into_result(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<E: Into<HandlerError>> ReducerOutput for Result<(), E> {
    fn into_result(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}

/// What a handler method may return: nothing, or a result whose value is of no interest.
#[diagnostic::on_unimplemented(
    message = "a handler returns nothing or `Result<T, E>`, not `{Self}`",
    label = "not what a handler returns",
    note = "`E` is any error that `?` turns into a `HandlerError`"
)]
pub trait HandlerOutput {
    fn into_result(self) -> Result<(), HandlerError>;
}

impl HandlerOutput for () {
    fn into_result(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<T, E: Into<HandlerError>> HandlerOutput for Result<T, E> {
    fn into_result(self) -> Result<(), HandlerError> {
        self.map(drop).map_err(Into::into)
    }
}

/// Takes the message out of what was received, so that the one of a variant can go back in.
pub fn split<M>(received: Received<M>) -> (M, Received<()>) {
    received.split()
}

/// A message as a member of a set: what the derived code of the set asks of it.
///
/// It has no supertrait and one blanket impl, so that a member which is no message is told once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "this type is not a message",
    note = "add `#[derive(Message)]` to `{Self}`"
)]
pub trait Member: Sized {
    const NAMES: Names;

    /// Whether the recorded message is one of these, by its type name or an alias.
    fn is_in(recorded: &Recorded) -> bool;
    fn read(recorded: &Recorded) -> Result<Self, DecodeError>;
    fn write(&self, id: Uuid) -> Result<NewMessage, Error>;
}

impl<M: Message> Member for M {
    const NAMES: Names = Names { type_name: M::TYPE, aliases: M::ALIASES };

    fn is_in(recorded: &Recorded) -> bool {
        recorded.is::<M>()
    }

    fn read(recorded: &Recorded) -> Result<Self, DecodeError> {
        recorded.decode()
    }

    fn write(&self, id: Uuid) -> Result<NewMessage, Error> {
        self.encode(id)
    }
}

/// The names of a message, as a set gathers them.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    type_name: &'static str,
    aliases: &'static [&'static str],
}

/// How many names the messages of a set have.
pub const fn count(names: &[Names]) -> usize {
    let (mut rest, mut count) = (names, 0);
    while let [one, others @ ..] = rest {
        count += 1 + one.aliases.len();
        rest = others;
    }
    count
}

/// All names of the messages of a set, `N` being their [`count`].
pub const fn join<const N: usize>(names: &[Names]) -> [&'static str; N] {
    let mut joined = [""; N];
    let (mut rest, mut free) = (names, joined.as_mut_slice());
    while let [one, others @ ..] = rest {
        let mut aliases = one.aliases;
        let mut next = one.type_name;
        while let [place, places @ ..] = free {
            (*place, free) = (next, places);
            let [alias, more @ ..] = aliases else { break };
            (next, aliases) = (alias, more);
        }
        rest = others;
    }
    joined
}

/// Fails to compile, with this text, when a name of the message at this place stands for an
/// earlier one too.
///
/// # Panics
///
/// In a constant, which is a compile error.
#[track_caller]
pub const fn assert_distinct(names: &[Names], place: usize, text: &str) {
    let (mut rest, [message, ..]) = names.split_at(place) else { return };
    while let [earlier, others @ ..] = rest {
        let mut aliases = message.aliases;
        let mut name = message.type_name;
        loop {
            assert!(!has(*earlier, name), "{}", text);
            let [alias, more @ ..] = aliases else { break };
            (name, aliases) = (alias, more);
        }
        rest = others;
    }
}

const fn has(names: Names, name: &str) -> bool {
    let mut aliases = names.aliases;
    let mut own = names.type_name;
    loop {
        if same(own.as_bytes(), name.as_bytes()) {
            return true;
        }
        let [alias, more @ ..] = aliases else { return false };
        (own, aliases) = (alias, more);
    }
}

const fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    loop {
        match (one, other) {
            ([], []) => return true,
            ([a, rest @ ..], [b, others @ ..]) if *a == *b => (one, other) = (rest, others),
            _ => return false,
        }
    }
}

/// Whether this is the name of a type of message, or an alias of it.
pub fn is_named<M: Message>(message_type: &str) -> bool {
    *message_type == *M::TYPE || M::ALIASES.contains(&message_type)
}
