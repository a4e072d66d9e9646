//! What generated code may touch, and nothing else. Not for people: it changes without notice.

pub use serde;
pub use std::future::Future;

use crate::error::HandlerError;
use crate::handler::{Context, Received};
use crate::message::Recorded;

/// A set whose every message has a reducer in `S`; derived with the set, so it knows them all.
pub trait ReducedInto<S> {
    fn reduce_into(&self, state: &mut S, recorded: &Recorded) -> Result<(), HandlerError>;
}

/// A set whose every message has a handler in `H`; derived with the set, so it knows them all.
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

/// Fails to compile when a type name stands for two messages of a set.
///
/// # Panics
///
/// In a constant, which is a compile error.
pub const fn assert_distinct(types: &[&str]) {
    let mut rest = types;
    while let [one, others @ ..] = rest {
        let mut left = others;
        while let [other, more @ ..] = left {
            assert!(
                !same(one.as_bytes(), other.as_bytes()),
                "two messages of this set share a type name or an alias"
            );
            left = more;
        }
        rest = others;
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
