//! The time, as a seam that a test can drive.

use std::fmt;

use time::OffsetDateTime;

/// Tells a store the time that it records with a message.
///
/// Law: the time is for people and operators; nothing is ordered by it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a clock",
    note = "use `SystemClock`, or `ManualClock` of evenfold-testkit in a test"
)]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now, in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that others are sent to")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}
