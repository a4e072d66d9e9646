//! One opaque error, asked by questions.
//!
//! Owns [`Error`] and its kinds; what a conflict and a decode fault hold is in `conflict.rs` and
//! `decode.rs`, what a refused value says in `invalid.rs`, what user code may fail with in
//! `handler.rs`. Nobody needs to match a text.

mod conflict;
mod decode;
mod handler;
mod invalid;

use std::fmt;
use std::sync::Arc;

use crate::store::Ability;

pub use conflict::{Conflict, DuplicateId};
pub use decode::DecodeError;
pub use handler::{HandlerError, Rejection, reject};
pub use invalid::Invalid;

/// Any other error, as it is handed on in `source()`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, as one pointer that is cheap to pass and to clone.
///
/// Ask it what it is: [`is_conflict`](Self::is_conflict), [`is_unavailable`](Self::is_unavailable)
/// and so on. Its text names the values concerned; causes are reached by `source()`. `{:#}` prints
/// the text and its causes in one line, `{:?}` in several, so that a `main` that returns it tells a
/// person what happened. A cause that the text above it ends with is not told twice.
#[derive(Clone)]
pub struct Error(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Conflict(Conflict),
    Exhausted { attempts: u32, conflict: Conflict },
    DuplicateId(DuplicateId),
    Invalid(Invalid),
    Decode(DecodeError),
    Encode { message_type: String, source: serde_json::Error },
    Progress { stream: String, fault: String },
    Superseded { subscriber: String, conflict: Conflict },
    Lacks { ability: Ability, hint: String },
    Unavailable { doing: String, source: BoxError },
    Rejected(Rejection),
    Failed { doing: String, source: BoxError },
}

impl Error {
    /// After so many attempts, each of which met a conflict, this was the last.
    pub fn exhausted(attempts: u32, conflict: Conflict) -> Self {
        Self(Arc::new(Kind::Exhausted { attempts, conflict }))
    }

    /// The message of a type could not be turned into JSON.
    pub fn encode(message_type: impl Into<String>, source: serde_json::Error) -> Self {
        Self(Arc::new(Kind::Encode { message_type: message_type.into(), source }))
    }

    /// The last record of a position stream is not a progress record.
    pub fn unreadable_progress(stream: impl fmt::Display, fault: impl Into<String>) -> Self {
        Self(Arc::new(Kind::Progress { stream: stream.to_string(), fault: fault.into() }))
    }

    /// Another process has recorded the progress of a subscriber since this one did.
    pub fn superseded(subscriber: impl fmt::Display, conflict: Conflict) -> Self {
        Self(Arc::new(Kind::Superseded { subscriber: subscriber.to_string(), conflict }))
    }

    /// The store does not have an ability; the hint says what to do about it.
    pub fn lacking(ability: Ability, hint: impl Into<String>) -> Self {
        Self(Arc::new(Kind::Lacks { ability, hint: hint.into() }))
    }

    /// The store is not available, so the outcome is unknown and the call may be made again: a lost
    /// connection, a time-out, a lock that was not had in time, no host that does what it is for.
    pub fn unavailable(doing: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self(Arc::new(Kind::Unavailable { doing: doing.into(), source: source.into() }))
    }

    /// What was being done failed for a reason that the same call would meet again.
    pub fn failed(doing: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self(Arc::new(Kind::Failed { doing: doing.into(), source: source.into() }))
    }

    /// Whether a stream was not at the expected version, however often that was tried.
    pub fn is_conflict(&self) -> bool {
        self.conflict().is_some()
    }

    /// The conflict, with stream, expected and actual version.
    pub fn conflict(&self) -> Option<&Conflict> {
        match &*self.0 {
            Kind::Conflict(conflict) | Kind::Exhausted { conflict, .. } => Some(conflict),
            _ => None,
        }
    }

    /// Whether a conflict came back on the last attempt that was allowed.
    pub fn is_exhausted(&self) -> bool {
        matches!(&*self.0, Kind::Exhausted { .. })
    }

    /// Whether a message id is taken by a message of other content.
    pub fn is_duplicate_id(&self) -> bool {
        self.duplicate_id().is_some()
    }

    /// The id that is taken, and where its message stands.
    pub fn duplicate_id(&self) -> Option<&DuplicateId> {
        match &*self.0 {
            Kind::DuplicateId(duplicate) => Some(duplicate),
            _ => None,
        }
    }

    /// Whether a value from outside was refused before anything was done.
    pub fn is_invalid(&self) -> bool {
        matches!(&*self.0, Kind::Invalid(_))
    }

    /// Whether a recorded message could not be read as its type.
    pub fn is_decode(&self) -> bool {
        self.decode().is_some()
    }

    /// The message that could not be read, and the path of the field at fault.
    pub fn decode(&self) -> Option<&DecodeError> {
        match &*self.0 {
            Kind::Decode(decode) => Some(decode),
            _ => None,
        }
    }

    /// Whether a progress record could not be read.
    pub fn is_unreadable_progress(&self) -> bool {
        matches!(&*self.0, Kind::Progress { .. })
    }

    /// Whether another process records the progress of the same subscriber, so that this one is not
    /// in charge.
    pub fn is_superseded(&self) -> bool {
        matches!(&*self.0, Kind::Superseded { .. })
    }

    /// The ability that the store does not have, if that is why it refused.
    pub fn lacks(&self) -> Option<Ability> {
        match &*self.0 {
            Kind::Lacks { ability, .. } => Some(*ability),
            _ => None,
        }
    }

    /// Whether the store was not available; the outcome is unknown and the call may be made again.
    pub fn is_unavailable(&self) -> bool {
        matches!(&*self.0, Kind::Unavailable { .. })
    }

    /// Whether a decision said no.
    pub fn is_rejection(&self) -> bool {
        self.rejection().is_some()
    }

    /// Why a decision said no.
    pub fn rejection(&self) -> Option<&Rejection> {
        match &*self.0 {
            Kind::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_text(f)?;
        if f.alternate() {
            return write_causes(f, self, ": ");
        }
        Ok(())
    }
}

impl Error {
    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Conflict(conflict) => write!(f, "{conflict}"),
            Kind::Exhausted { attempts, conflict } => {
                write!(f, "{conflict}, still so after {attempts} attempts")
            }
            Kind::DuplicateId(duplicate) => write!(f, "{duplicate}"),
            Kind::Invalid(invalid) => write!(f, "{invalid}"),
            Kind::Decode(decode) => write!(f, "{decode}"),
            Kind::Encode { message_type, .. } => {
                write!(f, "a message of type `{message_type}` could not be written as JSON")
            }
            Kind::Progress { stream, fault } => {
                write!(f, "the progress recorded in `{stream}` cannot be read: {fault}")
            }
            Kind::Superseded { subscriber, conflict } => {
                write!(
                    f,
                    "another process runs subscriber `{subscriber}` too, or its progress was reset: \
                     {conflict}"
                )
            }
            Kind::Lacks { ability, hint } => {
                write!(f, "the store lacks an ability, {ability}: {hint}")
            }
            Kind::Unavailable { doing, .. } => write!(f, "the store is not available: {doing}"),
            Kind::Rejected(rejection) => write!(f, "{rejection}"),
            Kind::Failed { doing, .. } => f.write_str(doing),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(f, self)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Kind::Encode { source, .. } => Some(source),
            Kind::Unavailable { source, .. } | Kind::Failed { source, .. } => Some(&**source),
            Kind::Decode(decode) => std::error::Error::source(decode),
            Kind::Rejected(rejection) => rejection.cause(),
            _ => None,
        }
    }
}

/// The text of an error and, behind `caused by:`, of everything beneath it.
fn write_chain(f: &mut fmt::Formatter<'_>, error: &dyn std::error::Error) -> fmt::Result {
    write!(f, "{error}")?;
    write_causes(f, error, "\ncaused by: ")
}

/// The texts beneath an error, each behind the joint. Many errors of others end with the text of their
/// cause, which is not told again.
fn write_causes(
    f: &mut fmt::Formatter<'_>,
    error: &dyn std::error::Error,
    joint: &str,
) -> fmt::Result {
    let mut above = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let text = cause.to_string();
        if !above.ends_with(&text) {
            write!(f, "{joint}{text}")?;
            above = text;
        }
    }
    Ok(())
}

macro_rules! from_kind {
    ($($kind:ident($of:ty)),+) => {$(
        impl From<$of> for Error {
            fn from(of: $of) -> Self {
                Self(Arc::new(Kind::$kind(of)))
            }
        }
    )+};
}

from_kind!(
    Conflict(Conflict),
    DuplicateId(DuplicateId),
    Invalid(Invalid),
    Decode(DecodeError),
    Rejected(Rejection)
);

/// For arguments that are already of the type asked for.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExpectedVersion, Position, StreamName};

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn an_exhausted_conflict_still_answers_as_a_conflict() {
        let conflict = Conflict::new(
            StreamName::stored("account-1"),
            ExpectedVersion::NoStream,
            Some(Position::START),
        );
        let error = Error::exhausted(3, conflict);
        assert!(error.is_conflict() && error.is_exhausted());
        assert_eq!(
            error.to_string(),
            "stream `account-1` was expected to be at no stream and is at version 0, \
             still so after 3 attempts"
        );
    }

    #[test]
    fn the_causes_are_told_when_they_are_asked_for() {
        let error = Error::failed("opening `x`", "no such file");
        assert_eq!(format!("{error:?}"), "opening `x`\ncaused by: no such file");
        assert_eq!(format!("{error:#}"), "opening `x`: no such file");
        assert_eq!(format!("{error}"), "opening `x`");
    }

    #[test]
    fn a_cause_that_the_text_above_it_ends_with_is_told_once() {
        let refused = || std::io::Error::other(Said("it is refused", None));
        let sent = Said("sending: it is refused", Some(refused()));
        let error = Error::failed("asking `x`", sent);
        assert_eq!(format!("{error:#}"), "asking `x`: sending: it is refused");
        assert_eq!(format!("{error:?}"), "asking `x`\ncaused by: sending: it is refused");
        let other = Error::failed("asking `x`", Said("sending", Some(refused())));
        assert_eq!(format!("{other:#}"), "asking `x`: sending: it is refused");
    }

    #[derive(Debug)]
    struct Said(&'static str, Option<std::io::Error>);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Said {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_ref().map(|cause| -> &(dyn std::error::Error + 'static) { cause })
        }
    }
}
