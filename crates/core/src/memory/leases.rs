//! What the memory store knows of groups: who lives until when, and who holds which bucket.
//!
//! A lease lasts as long as its member, so the time stands with the member alone, and a bucket is
//! free whose holder does not count.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::StreamName;
use crate::error::Error;
use crate::store::{Held, Lease, LeaseGroup, Member, MemberStatus};

#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<StreamName, Group>);

#[derive(Debug)]
struct Group {
    members: BTreeMap<Uuid, Life>,
    buckets: Vec<Bucket>,
}

#[derive(Debug)]
struct Life {
    label: String,
    until: OffsetDateTime,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    holder: Option<Uuid>,
    epoch: i64,
}

impl Leases {
    pub(super) fn renew(
        &mut self,
        group: &LeaseGroup,
        member: &Member,
        ttl: Duration,
        now: OffsetDateTime,
    ) -> Result<Held, Error> {
        let known = self.0.entry(group.name().clone()).or_insert_with(|| Group {
            members: BTreeMap::new(),
            buckets: vec![Bucket::default(); group.buckets().into()],
        });
        known.require(group)?;
        known.members.retain(|_, life| now < life.until);
        let ttl = time::Duration::try_from(ttl).unwrap_or(time::Duration::MAX);
        let life = Life { label: member.label.clone(), until: now.saturating_add(ttl) };
        known.members.insert(member.id, life);

        let members = count(known.members.keys());
        let share = group.share(count(known.members.range(..member.id)), members);
        let mut wanted = share.saturating_sub(count(known.held_by(member.id)));
        let alive = &known.members;
        for bucket in &mut known.buckets {
            if wanted > 0 && bucket.holder.is_none_or(|holder| !alive.contains_key(&holder)) {
                *bucket = Bucket { holder: Some(member.id), epoch: bucket.epoch + 1 };
                wanted -= 1;
            }
        }
        Ok(Held::new(known.held_by(member.id).collect(), share, members))
    }

    /// Frees these buckets of a member.
    pub(super) fn release(
        &mut self,
        group: &LeaseGroup,
        member: Uuid,
        buckets: &[u16],
    ) -> Result<(), Error> {
        let Some(known) = self.known(group)? else { return Ok(()) };
        for bucket in buckets {
            let bucket = known.buckets.get_mut(usize::from(*bucket));
            if let Some(bucket) = bucket.filter(|bucket| bucket.holder == Some(member)) {
                bucket.holder = None;
            }
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, group: &LeaseGroup, member: Uuid) -> Result<(), Error> {
        let Some(known) = self.known(group)? else { return Ok(()) };
        known.members.remove(&member);
        for bucket in known.buckets.iter_mut().filter(|it| it.holder == Some(member)) {
            bucket.holder = None;
        }
        Ok(())
    }

    pub(super) fn members(
        &mut self,
        group: &LeaseGroup,
        now: OffsetDateTime,
    ) -> Result<Vec<MemberStatus>, Error> {
        let Some(known) = self.known(group)? else { return Ok(Vec::new()) };
        let alive = known.members.iter().filter(|(_, life)| now < life.until);
        let status = alive.map(|(id, life)| MemberStatus {
            member: Member { id: *id, label: life.label.clone() },
            buckets: known.held_by(*id).map(|lease| lease.bucket).collect(),
            expires_in: (life.until - now).unsigned_abs(),
        });
        Ok(status.collect())
    }

    /// The group, if anybody was ever in it.
    fn known(&mut self, group: &LeaseGroup) -> Result<Option<&mut Group>, Error> {
        let known = self.0.get_mut(group.name());
        known.map(|known| known.require(group).map(|()| known)).transpose()
    }
}

impl Group {
    fn require(&self, group: &LeaseGroup) -> Result<(), Error> {
        Ok(group.require_buckets(count(&self.buckets))?)
    }

    fn held_by(&self, member: Uuid) -> impl Iterator<Item = Lease> {
        let numbered = (0..).zip(&self.buckets);
        numbered
            .filter(move |(_, bucket)| bucket.holder == Some(member))
            .map(|(number, bucket)| Lease { bucket: number, epoch: bucket.epoch })
    }
}

/// How many there are; there are never more than the number can tell.
fn count<N: TryFrom<usize> + Default>(of: impl IntoIterator) -> N {
    N::try_from(of.into_iter().count()).unwrap_or_default()
}
