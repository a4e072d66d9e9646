//! How long the leases of a member hold, and when they are to be renewed.
//!
//! Owns the times. They are counted from before the store was asked, so that they are over here no
//! later than there, whatever the clocks say.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(super) struct Tenure {
    /// For how long a lease is given.
    term: Duration,
    asked_at: Option<Duration>,
    renew_at: Duration,
    /// Until then nobody else is given what we hold.
    until: Option<Duration>,
}

impl Tenure {
    pub(super) fn new(term: Duration) -> Self {
        Self { term, asked_at: None, renew_at: Duration::ZERO, until: None }
    }

    /// Whether the leases are to be renewed now; from then on they are being renewed.
    pub(super) fn renew(&mut self, now: Duration) -> bool {
        let is_due = self.asked_at.is_none() && now >= self.renew_at;
        if is_due {
            self.asked_at = Some(now);
        }
        is_due
    }

    pub(super) fn is_renewing(&self) -> bool {
        self.asked_at.is_some()
    }

    pub(super) fn renewed(&mut self) {
        if let Some(asked) = self.asked_at.take() {
            self.until = Some(asked.saturating_add(self.term));
            self.renew_at = asked.saturating_add(self.term / 3);
        }
    }

    pub(super) fn not_renewed(&mut self, now: Duration) {
        self.asked_at = None;
        self.renew_at = now.saturating_add(self.term / 10);
    }

    /// What was given up can be taken by others at once, so they are asked for sooner.
    pub(super) fn renew_soon(&mut self, now: Duration) {
        self.renew_at = self.renew_at.min(now);
    }

    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    pub(super) fn end(&mut self) {
        self.until = None;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let renew = self.asked_at.is_none().then_some(self.renew_at);
        renew.into_iter().chain(self.until).min()
    }
}
