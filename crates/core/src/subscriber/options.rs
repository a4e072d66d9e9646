//! What a subscriber can be told: each option with its meaning, unit and default.

use std::time::Duration;

use crate::error::Invalid;
use crate::store::{BatchSize, Place};

/// The options of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long it waits after it found nothing to read; 100 ms.
    pub poll_interval: Duration,
    /// How long it waits when the store was not available; 5 s.
    pub error_delay: Duration,
    /// How many messages it reads at a time; 1,000.
    pub batch_size: BatchSize,
    /// After how many messages it records its progress; 100.
    pub progress_interval: u32,
    /// After how much time it records its progress, if it has made any; 10 s.
    pub progress_time: Duration,
    /// What it does when a message fails; three retries, then it stops.
    pub errors: ErrorPolicy,
    /// The first place it reads when it has no progress yet; the start.
    pub start: Option<Place>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(100),
            error_delay: Duration::from_secs(5),
            batch_size: BatchSize::DEFAULT,
            progress_interval: 100,
            progress_time: Duration::from_secs(10),
            errors: ErrorPolicy::default(),
            start: None,
        }
    }
}

impl Options {
    /// Refuses options that no subscriber can follow.
    ///
    /// # Errors
    ///
    /// When an interval or a delay is zero, or the start is negative.
    pub fn check(&self) -> Result<(), Invalid> {
        for (what, time) in [
            ("poll interval", self.poll_interval),
            ("error delay", self.error_delay),
            ("progress time", self.progress_time),
        ] {
            if time.is_zero() {
                return Err(Invalid::new(what, "0s", "it must be longer than nothing"));
            }
        }
        if self.progress_interval == 0 {
            return Err(Invalid::new("progress interval", 0, "it is 1 message or more"));
        }
        match self.start {
            Some(start) if start < 0 => {
                Err(Invalid::new("start position", start, "a position cannot be negative"))
            }
            _ => Ok(()),
        }
    }
}

/// What a subscriber does with a message that fails.
///
/// A message that cannot be read is not tried again: it would be the same.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use evenfold_core::subscriber::ErrorPolicy;
///
/// let policy = ErrorPolicy::stop().retries(5).delays(Duration::from_millis(50), Duration::from_secs(1));
/// assert_eq!(policy.delay(0), Duration::from_millis(50));
/// assert_eq!(policy.delay(2), Duration::from_millis(200));
/// assert_eq!(policy.delay(9), Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorPolicy {
    pub(super) retries: u32,
    first_delay: Duration,
    longest_delay: Duration,
    pub(super) then: Then,
}

/// What happens to a message whose retries are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The subscriber stops; its progress stands before the message.
    Stop,
    /// The message is reported and passed over.
    Skip,
}

impl ErrorPolicy {
    /// Three retries, then the subscriber stops.
    pub const fn stop() -> Self {
        Self {
            retries: 3,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(10),
            then: Then::Stop,
        }
    }

    /// Three retries, then the message is reported and passed over.
    pub const fn skip() -> Self {
        Self { then: Then::Skip, ..Self::stop() }
    }

    /// How often a message is tried again; three times.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long it waits before the first retry (100 ms), doubled for each further one, and at most
    /// (10 s).
    #[must_use]
    pub const fn delays(mut self, first: Duration, longest: Duration) -> Self {
        self.first_delay = first;
        self.longest_delay = longest;
        self
    }

    /// How long it waits after so many retries.
    pub fn delay(&self, retries: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(retries);
        self.first_delay.saturating_mul(doubled).min(self.longest_delay)
    }
}

impl Default for ErrorPolicy {
    fn default() -> Self {
        Self::stop()
    }
}
