//! What a subscriber can be told: each option with its meaning, unit and default.

use std::time::Duration;

use crate::error::Invalid;
use crate::store::{BatchSize, Place};

/// The options of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long it waits after it found nothing to read; 100 ms.
    pub poll_interval: Duration,
    /// The same where it hears of what other processes write, and reads now and then for what nobody
    /// announced; 1 s.
    pub heard_interval: Duration,
    /// How long it waits when the store was not available; 5 s.
    pub error_delay: Duration,
    /// How many messages it reads at a time; 1,000.
    pub batch_size: BatchSize,
    /// After how many messages it records its progress; 100.
    pub progress_interval: u32,
    /// How long after a record those messages do not make another due, so that a crash repeats a
    /// moment's work and messages handled in no time are not slowed by their records; 10 ms.
    pub progress_pause: Duration,
    /// After how much time it records its progress, if it has made any; 10 s.
    pub progress_time: Duration,
    /// Whether what it only passed by makes a record due after that time, too; no, from as much as a
    /// batch on. It is for who waits for a message that a filter left out, and not for a bucket that
    /// passes by what is of others, or for a cursor that passes by its own records.
    pub records_passed: bool,
    /// How many messages it handles at a time, each of another stream; 1, in the order of the
    /// category.
    pub concurrency: u32,
    /// Whether its progress is committed with the effects of each message, by the store's
    /// transaction; no.
    pub transactional: bool,
    /// After how many crashes in the middle of a message that is parked; nothing, they are not
    /// counted. A policy that [parks](ErrorPolicy::park) counts 3.
    pub crashes: Option<u32>,
    /// How many messages of one stream it parks before it stands still for that stream; 1,000.
    pub parked_limit: u32,
    /// The first place it reads when it has no progress yet; the start.
    pub start: Option<Place>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(100),
            heard_interval: Duration::from_secs(1),
            error_delay: Duration::from_secs(5),
            batch_size: BatchSize::DEFAULT,
            progress_interval: 100,
            progress_pause: Duration::from_millis(10),
            progress_time: Duration::from_secs(10),
            records_passed: false,
            concurrency: 1,
            transactional: false,
            crashes: None,
            parked_limit: 1000,
            start: None,
        }
    }
}

impl Options {
    /// How many messages it holds at most, those that wait for one before them included: two pages.
    pub fn read_ahead(&self) -> usize {
        self.batch_size.as_len().saturating_mul(2)
    }

    /// Refuses options that no subscriber can follow.
    ///
    /// # Errors
    ///
    /// When an interval, a delay or a limit is zero, or the start is negative.
    pub fn check(&self) -> Result<(), Invalid> {
        for (what, time) in [
            ("poll interval", self.poll_interval),
            ("heard interval", self.heard_interval),
            ("error delay", self.error_delay),
            ("progress time", self.progress_time),
        ] {
            if time.is_zero() {
                return Err(Invalid::new(what, "0s", "it must be longer than nothing"));
            }
        }
        for (what, number) in [
            ("progress interval", self.progress_interval),
            ("concurrency", self.concurrency),
            ("limit of parked messages", self.parked_limit),
            ("limit of crashes", self.crashes.unwrap_or(1)),
        ] {
            if number == 0 {
                return Err(Invalid::new(what, 0, "it is 1 or more"));
            }
        }
        if self.transactional && self.concurrency > 1 {
            let rule = "messages whose effects are committed with the progress come one at a time";
            return Err(Invalid::new("concurrency", self.concurrency, rule));
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
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use evenfold_core::subscriber::ErrorPolicy;
///
/// let policy = ErrorPolicy::park().retries(5).delays(Duration::from_millis(50), Duration::from_secs(1));
/// assert_eq!(policy.delay(0, 7), Duration::from_millis(50));
/// assert_eq!(policy.delay(2, 7), Duration::from_millis(200));
/// assert_eq!(policy.delay(9, 7), Duration::from_secs(1));
///
/// // Spread, so that what failed together does not come back together.
/// let spread = policy.jitter(50);
/// assert!((100..=200).contains(&spread.delay(2, 7).as_millis()));
/// assert_ne!(spread.delay(2, 7), spread.delay(2, 8));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorPolicy {
    pub(super) retries: u32,
    first_delay: Duration,
    longest_delay: Duration,
    jitter: u8,
    pub(super) then: Then,
}

/// What happens to a message whose retries are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Then {
    /// The subscriber stops; its progress stands before the message.
    Stop,
    /// The message is reported and passed over.
    Skip,
    /// The message is set aside with its reason, and those of its stream that come after it wait
    /// behind it; other streams go on.
    Park,
}

impl ErrorPolicy {
    /// Three retries, then the subscriber stops.
    pub const fn stop() -> Self {
        Self {
            retries: 3,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(10),
            jitter: 0,
            then: Then::Stop,
        }
    }

    /// Three retries, then the message is reported and passed over.
    pub const fn skip() -> Self {
        Self { then: Then::Skip, ..Self::stop() }
    }

    /// Three retries, then the message is parked: set aside with its reason, durably, and what comes
    /// after it in its stream waits behind it, while other streams go on.
    pub const fn park() -> Self {
        Self { then: Then::Park, ..Self::stop() }
    }

    /// What happens when the retries are used up.
    pub const fn then(&self) -> Then {
        self.then
    }

    /// How often a message is tried again; three times.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long it waits before the first retry (100 ms), doubled for each further one, and at most
    /// (10 s). A first delay beyond the longest is refused where the policy is set.
    #[must_use]
    pub const fn delays(mut self, first: Duration, longest: Duration) -> Self {
        self.first_delay = first;
        self.longest_delay = longest;
        self
    }

    /// By how many percent a delay may be shorter, so that messages that failed together come again
    /// apart; 0. More than 100 counts as 100.
    #[must_use]
    pub const fn jitter(mut self, percent: u8) -> Self {
        self.jitter = percent;
        self
    }

    /// Refuses a policy that contradicts itself.
    ///
    /// # Errors
    ///
    /// When the first delay is longer than the longest.
    pub fn check(&self) -> Result<(), Invalid> {
        let (first, longest) = (self.first_delay, self.longest_delay);
        if first > longest {
            let rule = format!(
                "it is longer than the longest, {longest:?}; write `.delays({longest:?}, {first:?})`"
            );
            return Err(Invalid::new("first delay", format!("{first:?}"), rule));
        }
        Ok(())
    }

    /// How long it waits after so many retries of the message at this place.
    pub fn delay(&self, retries: u32, place: Place) -> Duration {
        let doubled = 2_u32.saturating_pow(retries);
        let delay = self.first_delay.saturating_mul(doubled).min(self.longest_delay);
        // Spread by the place, so that a machine with the same answers does the same.
        let seed = place.unsigned_abs().wrapping_add(u64::from(retries) << 32);
        let spread = u32::try_from(mix(seed) % 1000).unwrap_or_default();
        let less = delay * u32::from(self.jitter.min(100)) / 100 * spread / 1000;
        delay.saturating_sub(less)
    }
}

/// The end of `SplitMix64`: near numbers come to lie far apart.
fn mix(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Default for ErrorPolicy {
    fn default() -> Self {
        Self::stop()
    }
}
