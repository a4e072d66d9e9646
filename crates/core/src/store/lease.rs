//! Which member of a group does which part of the work, told at run time.
//!
//! Owns the contract of leases: groups, buckets, members, and what a renewal answers. What a
//! subscriber makes of it, and that a member which lost a lease records no progress any more, is with
//! the subscriber.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use uuid::Uuid;

use super::Ability;
use crate::StreamName;
use crate::error::{Error, Invalid};

/// Shares the work of a group among the members that live.
///
/// The work is split into a number of *buckets* that never changes, and bucket `b` of `n` is what
/// member `b` of a [`ConsumerGroup`](super::ConsumerGroup) of size `n` would have: whole streams, by
/// the hash of their cardinal id. Processes, the *members*, come and go. A *lease* says that a member
/// holds a bucket, and lasts as long as the member is heard of.
///
/// A member that was not heard of in time may still be at work when another has its bucket. So a
/// holder knows the *epoch* of its lease, and what it writes down has to be refused by other means
/// than its own belief.
///
/// Laws:
/// - *One holder.* A bucket has at most one holder at a time, however many ask at once.
/// - *Rising epoch.* Each time that a bucket gets a holder its epoch is one higher, from 1 on. A
///   renewal does not change it.
/// - *Fair share.* The share of a member is [`LeaseGroup::share`]. Below it a member takes free
///   buckets, the lowest first; above it, it is told its surplus, the highest, and holds that until
///   it gives it up. So members that renew, and give up what is surplus, come to hold their shares.
/// - *Expiry.* A member that is not heard of within the time it asked for, by the clock of the store,
///   counts no more, and its buckets are free. A bucket that was taken is missing from the next answer
///   to its former holder; one that nobody took is still its own, in the same epoch.
/// - *Release.* What is given up is free at once, one bucket or, by leaving, all of them. What another
///   member holds cannot be given up for it.
/// - *Fixed buckets.* The first renewal sets the number of buckets of a group. Asking for it with
///   another [is invalid](Error::is_invalid), and the error names both.
/// - *Groups apart.* Groups of different names have nothing to do with each other.
/// - *Listed members.* A listing has the members that count, in the order of their ids, each with its
///   buckets in order and the time that is left to it.
///
/// A store without leases does not declare [`Ability::Leases`], and answers each call with an error
/// that [names the ability](Error::lacks); `impl LeaseStore for It {}` is all that it needs.
///
/// # Examples
///
/// One member holds everything, until there is a second:
///
/// ```
/// use std::time::Duration;
///
/// use evenfold_core::Memory;
/// use evenfold_core::store::{LeaseGroup, LeaseStore, Member};
/// use uuid::Uuid;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evenfold_core::Error> {
/// let store = Memory::new();
/// let tellers = LeaseGroup::new("account:position-teller".parse()?, 4)?;
/// let one = Member { id: Uuid::from_u128(1), label: "host-a:17".into() };
/// let two = Member { id: Uuid::from_u128(2), label: "host-b:23".into() };
/// let ttl = Duration::from_secs(30); // and each renews, say, every 10 seconds
///
/// let held = store.renew_leases(&tellers, &one, ttl).await?;
/// assert_eq!(held.buckets(), [0, 1, 2, 3]);
///
/// let held = store.renew_leases(&tellers, &two, ttl).await?;
/// assert_eq!(held.buckets(), [0; 0]); // there is nothing free yet
///
/// let held = store.renew_leases(&tellers, &one, ttl).await?;
/// assert_eq!(held.surplus, [2, 3]); // finish what is under way there, then let go
/// store.release_leases(&tellers, one.id, &held.surplus).await?;
///
/// let held = store.renew_leases(&tellers, &two, ttl).await?;
/// assert_eq!(held.buckets(), [2, 3]);
/// assert_eq!(held.leases[0].epoch, 2); // bucket 2 has its second holder
///
/// store.leave_group(&tellers, two.id).await?;
/// assert_eq!(store.renew_leases(&tellers, &one, ttl).await?.buckets(), [0, 1, 2, 3]);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot share work by leases",
    note = "`LeaseStore` is one of the five topics of a `MessageStore`; \
            `impl LeaseStore for {Self} {{}}` says at run time that it has none"
)]
pub trait LeaseStore: Send + Sync {
    /// Tells that a member lives for at least so long from now, and answers what it holds: one atomic
    /// step, and for a server one round trip.
    ///
    /// The member joins the group if it is not in it, those whose time is over count no more, and
    /// where this one is below its share it takes what is free.
    ///
    /// # Errors
    ///
    /// When the group has another number of buckets, or the store fails or has no leases.
    fn renew_leases<'a>(
        &'a self,
        _group: &'a LeaseGroup,
        _member: &'a Member,
        _ttl: Duration,
    ) -> BoxFuture<'a, Result<Held, Error>> {
        lacking()
    }

    /// Gives up some buckets; of those that the member does not hold, nothing changes.
    ///
    /// # Errors
    ///
    /// When the group has another number of buckets, or the store fails or has no leases.
    fn release_leases<'a>(
        &'a self,
        _group: &'a LeaseGroup,
        _member: Uuid,
        _buckets: &'a [u16],
    ) -> BoxFuture<'a, Result<(), Error>> {
        lacking()
    }

    /// Gives up all buckets, and is a member no more.
    ///
    /// # Errors
    ///
    /// When the group has another number of buckets, or the store fails or has no leases.
    fn leave_group<'a>(
        &'a self,
        _group: &'a LeaseGroup,
        _member: Uuid,
    ) -> BoxFuture<'a, Result<(), Error>> {
        lacking()
    }

    /// Lists the members of a group, for people.
    ///
    /// # Errors
    ///
    /// When the group has another number of buckets, or the store fails or has no leases.
    fn group_members<'a>(
        &'a self,
        _group: &'a LeaseGroup,
    ) -> BoxFuture<'a, Result<Vec<MemberStatus>, Error>> {
        lacking()
    }
}

fn lacking<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, Error>> {
    ready(Err(Error::lacking(Ability::Leases, "use a store that declares it"))).boxed()
}

/// A group of members that share the work of one subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseGroup {
    name: StreamName,
    buckets: u16,
}

impl LeaseGroup {
    /// The group of this name, whose work is split into so many buckets. The name is that of the
    /// position stream which the subscriber would have by itself, so that no two share a group.
    ///
    /// # Errors
    ///
    /// When the number of buckets is not 1 to 1,024.
    pub fn new(name: StreamName, buckets: u16) -> Result<Self, Invalid> {
        if !(1..=1024).contains(&buckets) {
            let rule = "a group has 1 to 1024 buckets";
            return Err(Invalid::new("number of buckets", buckets, rule));
        }
        Ok(Self { name, buckets })
    }

    /// The name.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// How many buckets its work is split into.
    pub const fn buckets(&self) -> u16 {
        self.buckets
    }

    /// How many buckets fall to a member: an equal part, and one more for the first members, in the
    /// order of their ids, where that leaves some over. `before` counts the members with a lower id.
    ///
    /// # Examples
    ///
    /// ```
    /// use evenfold_core::store::LeaseGroup;
    ///
    /// let group = LeaseGroup::new("account:position-teller".parse()?, 8)?;
    /// assert_eq!([0, 1, 2].map(|before| group.share(before, 3)), [3, 3, 2]);
    /// # Ok::<(), evenfold_core::error::Invalid>(())
    /// ```
    pub fn share(&self, before: u32, members: u32) -> u16 {
        let (members, buckets) = (members.max(1), u32::from(self.buckets));
        let share = buckets / members + u32::from(before < buckets % members);
        u16::try_from(share).unwrap_or(self.buckets)
    }

    /// Refuses a group that the store knows with another number of buckets: for the authors of a
    /// store.
    ///
    /// # Errors
    ///
    /// When the numbers differ.
    pub fn require_buckets(&self, known: i64) -> Result<(), Invalid> {
        if known == i64::from(self.buckets) {
            return Ok(());
        }
        let rule = format!("group `{}` has {known}, which cannot be changed", self.name);
        Err(Invalid::new("number of buckets", self.buckets, rule))
    }
}

/// A process that shares the work of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Made anew for each life of the process.
    pub id: Uuid,
    /// What people know it by, as in `host:pid`.
    pub label: String,
}

/// A bucket that a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The bucket, counted from 0.
    pub bucket: u16,
    /// How many holders the bucket has had, this one too.
    pub epoch: i64,
}

/// What a member holds when its leases were renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Every lease of the member, in the order of buckets. What it held before and is not here has
    /// another holder, or was given up.
    pub leases: Vec<Lease>,
    /// Those of its buckets that are beyond its share: others wait for them.
    pub surplus: Vec<u16>,
    /// How many members the group has, this one too.
    pub members: u32,
}

impl Held {
    /// Leases in the order of buckets, of which those beyond the share are surplus: for the authors of
    /// a store.
    pub fn new(leases: Vec<Lease>, share: u16, members: u32) -> Self {
        let surplus = leases.iter().skip(share.into()).map(|lease| lease.bucket).collect();
        Self { leases, surplus, members }
    }

    /// The buckets of the leases, in order.
    pub fn buckets(&self) -> Vec<u16> {
        self.leases.iter().map(|lease| lease.bucket).collect()
    }
}

/// A member as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// The member.
    pub member: Member,
    /// The buckets that it holds, in order.
    pub buckets: Vec<u16>,
    /// For how long it counts, unless it is heard of again.
    pub expires_in: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(buckets: u16) -> Result<LeaseGroup, Invalid> {
        LeaseGroup::new(StreamName::stored("account:position-teller"), buckets)
    }

    #[test]
    fn shares_add_up_to_the_buckets_and_differ_by_one_at_most() {
        for buckets in [1, 2, 7, 64, 1024] {
            let group = group(buckets).unwrap();
            for members in [1, 2, 3, 7, 65, 2000] {
                let shares: Vec<_> = (0..members).map(|it| group.share(it, members)).collect();
                assert_eq!(shares.iter().sum::<u16>(), buckets, "{members} members");
                assert!(shares.is_sorted_by(|one, next| one >= next), "{shares:?}");
                assert!(shares[0] - shares[shares.len() - 1] <= 1, "{shares:?}");
            }
        }
    }

    #[test]
    fn numbers_of_buckets_that_are_none_or_others_are_refused_by_name() {
        assert_eq!(
            group(0).unwrap_err().to_string(),
            "number of buckets `0`: a group has 1 to 1024 buckets"
        );
        assert!(group(1025).is_err());
        assert_eq!(
            group(4).unwrap().require_buckets(8).unwrap_err().to_string(),
            "number of buckets `4`: group `account:position-teller` has 8, which cannot be changed"
        );
    }
}
