//! What user code may fail with: a handler with any error, a decision with a reason.

use std::fmt;

use super::{BoxError, Error, write_chain};

/// Why a decision said no: an answer of the domain, not a fault of the machine.
///
/// Any error, and any text, becomes one by `?`; [`reject`] makes one from a text. A handler that
/// ends with a rejection has handled its message: it is reported and the subscriber goes on.
pub struct Rejection(BoxError);

/// Says no: `return reject("the account is closed")`.
///
/// # Errors
///
/// Always; that is what it is for.
pub fn reject<T>(reason: impl Into<BoxError>) -> Result<T, Rejection> {
    Err(Rejection(reason.into()))
}

impl Rejection {
    /// The reason as the error it was made of, if it was one of this type.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }

    pub(super) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl<E: Into<BoxError>> From<E> for Rejection {
    fn from(reason: E) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(f, &*self.0)
    }
}

/// Whatever a handler or a reducer failed with; `?` makes one of any error.
pub struct HandlerError(BoxError);

impl HandlerError {
    /// The error of evenfold inside: itself, or the first among its causes.
    pub fn as_error(&self) -> Option<&Error> {
        let outermost: &(dyn std::error::Error + 'static) = &*self.0;
        std::iter::successors(Some(outermost), |error| error.source())
            .find_map(|error| error.downcast_ref())
    }

    /// Whether a decision said no, which is an answer and not a fault.
    pub fn is_rejection(&self) -> bool {
        self.as_error().is_some_and(Error::is_rejection)
    }

    /// The error inside.
    pub fn into_inner(self) -> BoxError {
        self.0
    }
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// So that a handler can say no itself: `return Ok(reject("…")?)`.
impl From<Rejection> for HandlerError {
    fn from(rejection: Rejection) -> Self {
        Self(Error::from(rejection).into())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(f, &*self.0)
    }
}
