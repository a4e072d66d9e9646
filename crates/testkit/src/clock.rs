//! A clock that stands until a test moves it.
//!
//! The double of `evenfold_core::SystemClock`; for the time that a store records.

use std::sync::{Arc, Mutex, PoisonError};

use evenfold_core::Clock;
use time::macros::datetime;
use time::{Duration, OffsetDateTime, UtcOffset};

/// A clock that stands until it is moved; clones show the same time.
///
/// # Examples
///
/// ```
/// use evenfold_core::Clock;
/// use evenfold_testkit::ManualClock;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(time::Duration::SECOND);
/// assert_eq!(clock.now() - before, time::Duration::SECOND);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<OffsetDateTime>>);

impl ManualClock {
    /// A clock that stands at this time.
    pub fn at(now: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(now.to_offset(UtcOffset::UTC))))
    }

    /// Moves it to this time, forward or back.
    pub fn set(&self, now: OffsetDateTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now.to_offset(UtcOffset::UTC);
    }

    /// Moves it on, or back by a negative duration.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by);
    }
}

/// Stands at the first second of 2026.
impl Default for ManualClock {
    fn default() -> Self {
        Self::at(datetime!(2026-01-01 00:00 UTC))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
