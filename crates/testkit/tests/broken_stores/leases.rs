//! What the broken stores make of leases.
//!
//! What they write is in `store.rs`, what they read in `reads.rs`.

use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::store::{Held, Lease, LeaseGroup, LeaseStore, Member, MemberStatus};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use uuid::Uuid;

use crate::store::Broken;
use crate::store::Fault::*;

impl Broken {
    /// The group that is asked in the place of this one.
    fn group(&self, group: &LeaseGroup, member: Uuid) -> Result<LeaseGroup, Error> {
        let name = match self.fault {
            KeepsAGroupForEachMember => format!("{}+{member}", group.name()).parse()?,
            MixesGroups => "account:position-mixed".parse()?,
            _ => group.name().clone(),
        };
        let buckets = if self.has(TakesAnyNumberOfBuckets) { 1024 } else { group.buckets() };
        Ok(LeaseGroup::new(name, buckets)?)
    }

    /// The same buckets, counted from the other end.
    fn mirrored(&self, group: &LeaseGroup, buckets: &[u16]) -> Vec<u16> {
        let last = group.buckets() - 1;
        let is = self.has(TakesTheHighest);
        let mirror = |bucket: &u16| if is { last.saturating_sub(*bucket) } else { *bucket };
        let mut mirrored: Vec<_> = buckets.iter().map(mirror).collect();
        if is {
            mirrored.reverse();
        }
        mirrored
    }

    async fn renew_wrong(
        &self,
        group: &LeaseGroup,
        member: &Member,
        ttl: Duration,
    ) -> Result<Held, Error> {
        let memory = &self.memory;
        let ttl = match self.fault {
            NeverForgetsAMember => ttl.max(Duration::from_hours(1)),
            ForgetsEachMember => Duration::ZERO,
            _ => ttl,
        };
        let member = match self.fault {
            ListsEveryLabelAlike => Member { label: String::new(), ..member.clone() },
            _ => member.clone(),
        };
        let before = memory.group_members(group).await?;
        let is_known = before.iter().any(|status| status.member.id == member.id);
        if self.has(TakesALeaseThatRanOut) && !is_known {
            memory.leave_group(group, member.id).await?;
        }
        if self.has(LooksAndTakesInTwoSteps) {
            tokio::task::yield_now().await;
        }
        let mut held = memory.renew_leases(group, &member, ttl).await?;
        match self.fault {
            LooksAndTakesInTwoSteps if before.is_empty() && held.leases.is_empty() => {
                let all = (0..group.buckets()).map(|bucket| Lease { bucket, epoch: 1 });
                held.leases = all.collect();
            }
            TellsNoSurplus => held.surplus.clear(),
            TakesSurplusAway => {
                memory.release_leases(group, member.id, &held.surplus).await?;
                held.leases.retain(|lease| !held.surplus.contains(&lease.bucket));
            }
            CountsEpochsFromZero => held.leases.iter_mut().for_each(|lease| lease.epoch -= 1),
            TakesTheHighest => {
                let last = group.buckets() - 1;
                held.leases.reverse();
                held.leases.iter_mut().for_each(|lease| lease.bucket = last - lease.bucket);
                held.surplus = self.mirrored(group, &held.surplus);
            }
            _ => {}
        }
        Ok(held)
    }
}

impl LeaseStore for Broken {
    fn renew_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: &'a Member,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Held, Error>> {
        let mut wrong = async move {
            let group = self.group(group, member.id)?;
            self.renew_wrong(&group, member, ttl).await
        }
        .boxed();
        if self.has(RenewsBeforeItIsPolled)
            && let Some(answer) = (&mut wrong).now_or_never()
        {
            return ready(answer).boxed();
        }
        wrong
    }

    fn release_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
        buckets: &'a [u16],
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let group = &self.group(group, member)?;
            let buckets = &self.mirrored(group, buckets);
            if self.has(ReleasesNothing) {
                return Ok(());
            }
            let members = self.memory.group_members(group).await?;
            let anyone = members.iter().filter(|_| self.has(ReleasesForAnyone));
            for one in anyone.map(|status| status.member.id).chain([member]) {
                self.memory.release_leases(group, one, buckets).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn leave_group<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            if self.has(LeavesNothing) {
                return Ok(());
            }
            self.memory.leave_group(&self.group(group, member)?, member).await
        }
        .boxed()
    }

    fn group_members<'a>(
        &'a self,
        group: &'a LeaseGroup,
    ) -> BoxFuture<'a, Result<Vec<MemberStatus>, Error>> {
        async move {
            let group = &self.group(group, Uuid::nil())?;
            let mut members = self.memory.group_members(group).await?;
            for status in &mut members {
                status.buckets = self.mirrored(group, &status.buckets);
            }
            Ok(members)
        }
        .boxed()
    }
}
