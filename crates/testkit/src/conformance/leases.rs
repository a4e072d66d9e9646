//! The laws of leases: who holds which bucket, when members come, go, and are not heard of.
//!
//! Nothing here waits for a time: a member whose time is over asked for none, or is asked for until it
//! counts no more. What many do at once is in `leases_at_once.rs`.

use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::store::{Ability, Held, Lease, LeaseGroup, Member, MessageStore};
use uuid::Uuid;

use super::subject::{Subject, refused, take_turns, there};

/// Longer than any law takes.
pub(super) const LONG: Duration = Duration::from_hours(1);

/// Over as soon as it was asked for.
const OVER: Duration = Duration::ZERO;

pub(super) fn group(buckets: u16) -> Result<LeaseGroup, Error> {
    named("account:position-teller", buckets)
}

fn named(name: &str, buckets: u16) -> Result<LeaseGroup, Error> {
    Ok(LeaseGroup::new(name.parse()?, buckets)?)
}

pub(super) fn member(number: u128) -> Member {
    Member { id: Uuid::from_u128(number), label: format!("host:{number}") }
}

pub(super) async fn renew(
    store: &dyn MessageStore,
    group: &LeaseGroup,
    number: u128,
) -> Result<Held, Error> {
    store.renew_leases(group, &member(number), LONG).await
}

/// The leases of buckets that all had as many holders.
fn leases(buckets: impl IntoIterator<Item = u16>, epoch: i64) -> Vec<Lease> {
    buckets.into_iter().map(|bucket| Lease { bucket, epoch }).collect()
}

/// Who holds which buckets, as it is listed.
async fn listed(
    store: &dyn MessageStore,
    group: &LeaseGroup,
) -> Result<Vec<(u128, Vec<u16>)>, Error> {
    let members = store.group_members(group).await?.into_iter();
    Ok(members.map(|status| (status.member.id.as_u128(), status.buckets)).collect())
}

/// Lets these members renew, and give up what is surplus, until nobody has any and none is free.
pub(super) async fn settle(
    store: &dyn MessageStore,
    group: &LeaseGroup,
    members: &[u128],
) -> Result<Vec<Held>, Error> {
    // Once to join, once to give up, once to take, and once to see that it is so.
    for _ in 0..4 {
        let mut all = Vec::new();
        for number in members {
            let held = renew(store, group, *number).await?;
            store.release_leases(group, member(*number).id, &held.surplus).await?;
            all.push(held);
        }
        let holders: usize = all.iter().map(|held| held.leases.len()).sum();
        let settled = |held: &Held| held.surplus.is_empty() && held.members == count(members);
        if all.iter().all(settled) && holders == usize::from(group.buckets()) {
            return Ok(all);
        }
    }
    Err(Error::failed("members of a group did not come to their shares", format!("{members:?}")))
}

fn count(members: &[u128]) -> u32 {
    u32::try_from(members.len()).unwrap_or_default()
}

/// *Fair share*, of one.
pub(super) async fn a_member_alone_holds_every_bucket(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    for (name, buckets) in [("account:position-a", 1), ("b", 7), ("account:position-c", 1024)] {
        let group = named(name, buckets)?;
        let held = renew(&*store, &group, 1).await?;
        let expected = Held { leases: leases(0..buckets, 1), surplus: Vec::new(), members: 1 };
        assert_eq!(held, expected, "of `{name}`");
        assert_eq!(renew(&*store, &group, 1).await?, expected, "of `{name}` again");
    }
    Ok(())
}

/// *Fair share*, and *One holder*, whoever joins and leaves.
pub(super) async fn members_come_to_hold_their_shares(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(7)?;
    let mut before: &[u128] = &[];
    for members in
        [&[5][..], &[2, 5], &[2, 5, 9], &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[1, 4, 5, 8], &[4], &[3, 4]]
    {
        for gone in before.iter().filter(|it| !members.contains(it)) {
            store.leave_group(&group, member(*gone).id).await?;
        }
        let all = settle(&*store, &group, members).await?;
        for (before, held) in (0..).zip(&all) {
            let share = group.share(before, count(members));
            assert_eq!(held.leases.len(), usize::from(share), "member {before} of {members:?}");
        }
        let mut holders: Vec<_> = all.iter().flat_map(Held::buckets).collect();
        holders.sort_unstable();
        assert_eq!(holders, [0, 1, 2, 3, 4, 5, 6], "{all:?}");
        before = members;
    }
    Ok(())
}

/// *Fair share*: the surplus is the highest, and is held until it is given up.
pub(super) async fn surplus_is_told_and_held_until_it_is_given_up(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(5)?;
    renew(&*store, &group, 1).await?;
    let second = Held { leases: Vec::new(), surplus: Vec::new(), members: 2 };
    assert_eq!(renew(&*store, &group, 2).await?, second);
    for _ in 0..3 {
        let held = renew(&*store, &group, 1).await?;
        assert_eq!(held, Held { leases: leases(0..5, 1), surplus: vec![3, 4], members: 2 });
        assert_eq!(renew(&*store, &group, 2).await?, second);
    }
    store.release_leases(&group, member(1).id, &[4]).await?;
    assert_eq!(renew(&*store, &group, 1).await?.surplus, [3]);
    assert_eq!(renew(&*store, &group, 2).await?.leases, leases([4], 2));
    Ok(())
}

/// *Fair share*: of what is free, the lowest is taken first, and no more than the share.
pub(super) async fn the_lowest_free_buckets_are_taken_up_to_the_share(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(6)?;
    renew(&*store, &group, 1).await?;
    store.release_leases(&group, member(1).id, &[5, 4, 3, 1]).await?;
    assert_eq!(renew(&*store, &group, 2).await?.leases, leases([1, 3, 4], 2));
    let mut first = leases([0, 2], 1);
    first.extend(leases([5], 2));
    assert_eq!(renew(&*store, &group, 1).await?.leases, first);
    Ok(())
}

/// *Rising epoch*, also when the store was opened again, if it is durable.
pub(super) async fn an_epoch_rises_with_each_holder_and_with_no_renewal(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let mut store = subject.open().await?;
    let group = group(3)?;
    for epoch in 1..6 {
        // The same member may be the next holder; that is another lease.
        let number = u128::from(epoch > 2) + u128::from(epoch > 4);
        for _ in 0..2 {
            let held = renew(&*store, &group, number).await?;
            assert_eq!(held.leases, leases(0..3, epoch));
        }
        store.leave_group(&group, member(number).id).await?;
        if store.abilities().contains(&Ability::Durable) {
            drop(store);
            store = subject.open().await?;
        }
    }
    Ok(())
}

/// *Expiry*: the buckets of a member that is not heard of are free, and it is told by their absence.
pub(super) async fn what_a_silent_member_held_is_taken_and_it_is_told_so(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(4)?;
    let held = store.renew_leases(&group, &member(1), OVER).await?;
    assert_eq!(held.leases, leases(0..4, 1));
    let taken = renew(&*store, &group, 2).await?;
    assert_eq!(taken, Held { leases: leases(0..4, 2), surplus: Vec::new(), members: 1 });

    let back = renew(&*store, &group, 1).await?;
    assert_eq!(back, Held { leases: Vec::new(), surplus: Vec::new(), members: 2 });
    assert_eq!(renew(&*store, &group, 2).await?.surplus, [2, 3]);
    Ok(())
}

/// More often than any clock needs to move on.
const OFTEN: u32 = 100_000;

/// *Expiry*, by the clock of the store: a moment must have passed.
pub(super) async fn a_member_counts_until_its_time_is_over(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(2)?;
    renew(&*store, &group, 1).await?;
    assert_eq!(renew(&*store, &group, 2).await?.members, 2);
    // The last answer counts, though it is shorter than the one before.
    store.renew_leases(&group, &member(1), Duration::from_millis(1)).await?;
    for _ in 0..OFTEN {
        let held = renew(&*store, &group, 2).await?;
        if held.members == 1 {
            assert_eq!(held.leases, leases(0..2, 2));
            return Ok(());
        }
        assert!(held.leases.is_empty(), "{held:?}");
        take_turns().await;
    }
    Err(Error::failed("a member whose time is over", "it counts for ever"))
}

/// *Expiry*: a lease that ran out and nobody took is its holder's.
pub(super) async fn a_lease_that_nobody_took_is_still_its_holders(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(3)?;
    for _ in 0..3 {
        let held = store.renew_leases(&group, &member(1), OVER).await?;
        assert_eq!(held, Held { leases: leases(0..3, 1), surplus: Vec::new(), members: 1 });
        assert_eq!(listed(&*store, &group).await?, []);
    }
    // Of what ran out others take no more than their share.
    for number in [1, 2, 3] {
        renew(&*store, &group, number).await?;
    }
    store.renew_leases(&group, &member(1), OVER).await?;
    assert_eq!(renew(&*store, &group, 2).await?.leases, leases([0, 1], 2));
    assert_eq!(renew(&*store, &group, 1).await?.leases, leases([2], 1));
    Ok(())
}

/// *Release*: a bucket is free at once, for the next that asks.
pub(super) async fn a_bucket_that_was_given_up_is_free_at_once(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(4)?;
    renew(&*store, &group, 1).await?;
    store.release_leases(&group, member(1).id, &[2, 0]).await?;
    assert_eq!(listed(&*store, &group).await?, [(1, vec![1, 3])]);
    assert_eq!(renew(&*store, &group, 2).await?.leases, leases([0, 2], 2));
    // None, one that is not there, and what it holds no more.
    for buckets in [&[][..], &[4, 999, u16::MAX], &[0, 2]] {
        store.release_leases(&group, member(1).id, buckets).await?;
        assert_eq!(listed(&*store, &group).await?, [(1, vec![1, 3]), (2, vec![0, 2])]);
    }
    Ok(())
}

/// *Release*: nobody gives up what another holds.
pub(super) async fn what_another_member_holds_cannot_be_given_up(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(2)?;
    let before = settle(&*store, &group, &[1]).await?;
    for stranger in [2, 3] {
        store.release_leases(&group, member(stranger).id, &[0, 1]).await?;
        store.leave_group(&group, member(stranger).id).await?;
        assert_eq!(listed(&*store, &group).await?, [(1, vec![0, 1])]);
    }
    assert_eq!(settle(&*store, &group, &[1]).await?, before);
    Ok(())
}

/// *Release*: who leaves gives up everything, and counts no more.
pub(super) async fn who_leaves_frees_every_bucket_at_once(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(4)?;
    // Nobody has been there yet.
    store.leave_group(&group, member(1).id).await?;
    settle(&*store, &group, &[1, 2]).await?;
    for _ in 0..2 {
        store.leave_group(&group, member(1).id).await?;
        assert_eq!(listed(&*store, &group).await?, [(2, vec![2, 3])]);
    }
    let held = renew(&*store, &group, 2).await?;
    assert_eq!((held.buckets(), held.members), (vec![0, 1, 2, 3], 1));
    Ok(())
}

/// *Fixed buckets.*
pub(super) async fn another_number_of_buckets_is_refused_by_both_numbers(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let (known, other) = (group(37)?, group(41)?);
    // Nothing is set before the first renewal.
    assert_eq!(listed(&*store, &other).await?, []);
    settle(&*store, &known, &[1]).await?;
    for error in [
        refused(store.renew_leases(&other, &member(2), LONG).await)?,
        refused(store.release_leases(&other, member(1).id, &[0]).await)?,
        refused(store.leave_group(&other, member(1).id).await)?,
        refused(store.group_members(&other).await)?,
    ] {
        let said = error.to_string();
        assert!(error.is_invalid() && said.contains("37") && said.contains("41"), "{error:?}");
    }
    assert_eq!(listed(&*store, &known).await?, [(1, (0..37).collect())]);
    // Also when nobody is left: what was recorded was recorded by bucket.
    store.leave_group(&known, member(1).id).await?;
    assert!(refused(store.renew_leases(&other, &member(2), LONG).await)?.is_invalid());
    Ok(())
}

/// *Groups apart.*
pub(super) async fn groups_of_other_names_have_other_leases(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let mut all = Vec::new();
    for (buckets, name) in (1..).zip([
        "account:position-teller",
        "account:position-Teller",
        "account:position-teller+correlation:transfer",
        "transfer:position-teller",
        "account:position-tell",
        "account:position-zähler 😀",
        "account:position-a'b%_",
    ]) {
        all.push(named(name, buckets)?);
    }
    for (number, group) in (1..).zip(&all) {
        assert_eq!(renew(&*store, group, number).await?.leases, leases(0..group.buckets(), 1));
    }
    let first = there(all.first(), "the first group")?;
    store.leave_group(first, member(1).id).await?;
    for (number, group) in (1..).zip(&all).skip(1) {
        let buckets = (0..group.buckets()).collect();
        assert_eq!(listed(&*store, group).await?, [(number, buckets)], "{group:?}");
    }
    Ok(())
}

/// *Listed members.*
pub(super) async fn members_are_listed_with_their_buckets_and_their_time(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(5)?;
    assert_eq!(listed(&*store, &group).await?, []);
    settle(&*store, &group, &[9, 2, 4]).await?;
    store.renew_leases(&group, &member(3), OVER).await?;
    let last = Member { label: "zähler 😀'".into(), ..member(4) };
    store.renew_leases(&group, &last, 2 * LONG).await?;

    let members = store.group_members(&group).await?;
    let held: Vec<_> =
        members.iter().map(|it| (it.member.id.as_u128(), it.buckets.len())).collect();
    assert_eq!(held, [(2, 2), (4, 2), (9, 1)]);
    let mut buckets: Vec<_> = members.iter().flat_map(|it| it.buckets.clone()).collect();
    buckets.sort_unstable();
    assert_eq!(buckets, [0, 1, 2, 3, 4]);
    for status in &members {
        let (label, most) = match status.member.id.as_u128() {
            4 => (last.label.clone(), 2 * LONG),
            number => (member(number).label, LONG),
        };
        assert_eq!(status.member.label, label);
        assert!(status.buckets.is_sorted(), "{status:?}");
        assert!(most / 2 < status.expires_in && status.expires_in <= most, "{status:?}");
    }
    Ok(())
}
