//! The leases of the store in a recording, and their faults.
//!
//! They are not remembered: what became of them the members of the group tell.

use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::store::{Held, LeaseGroup, LeaseStore, Member, MemberStatus};
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::Recording;
use crate::transaction::take_one;

impl Recording {
    /// Answers the next `times` calls about leases that the store did not answer, and does nothing.
    pub fn fail_leases(&self, times: u32) {
        self.shared().failing_leases = times;
    }

    /// Does what the next `times` calls about leases ask for, and answers that the store did not
    /// answer. Those that [fail](Self::fail_leases) come before.
    pub fn lose_lease_replies(&self, times: u32) {
        self.shared().lost_leases = times;
    }

    async fn leases<T>(&self, call: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
        let said = "the test said so";
        if take_one(&mut self.shared().failing_leases) {
            return Err(Error::unavailable("asking for leases", said));
        }
        let is_lost = take_one(&mut self.shared().lost_leases);
        let answer = call.await;
        if is_lost { Err(Error::unavailable("reading the answer", said)) } else { answer }
    }
}

impl LeaseStore for Recording {
    fn renew_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: &'a Member,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Held, Error>> {
        self.leases(self.store.renew_leases(group, member, ttl)).boxed()
    }

    fn release_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
        buckets: &'a [u16],
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.leases(self.store.release_leases(group, member, buckets)).boxed()
    }

    fn leave_group<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.leases(self.store.leave_group(group, member)).boxed()
    }

    fn group_members<'a>(
        &'a self,
        group: &'a LeaseGroup,
    ) -> BoxFuture<'a, Result<Vec<MemberStatus>, Error>> {
        self.leases(self.store.group_members(group)).boxed()
    }
}
