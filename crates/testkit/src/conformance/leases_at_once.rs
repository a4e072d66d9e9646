//! The laws of leases when many ask at once, or do not wait for the answer.
//!
//! The laws of one after another are in `leases.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::store::{Ability, Held, LeaseGroup, MessageStore};
use futures::FutureExt;

use super::leases::{LONG, group, member, renew, settle};
use super::subject::{Subject, take_turns};

/// How many members race.
const MEMBERS: u128 = 4;

/// As many openings of the store as may be used at a time, at most two.
async fn openings(subject: &Subject<'_>) -> Result<Vec<Arc<dyn MessageStore>>, Error> {
    let store = subject.open().await?;
    if store.abilities().contains(&Ability::SharedByProcesses) {
        return Ok(vec![store, subject.open().await?]);
    }
    Ok(vec![store])
}

/// Lets the members renew at once, each `rounds` times with surplus given up, and answers with all
/// that they were told.
async fn race(
    subject: &Subject<'_>,
    stores: &[Arc<dyn MessageStore>],
    group: &LeaseGroup,
    rounds: u32,
) -> Result<Vec<(u128, Held)>, Error> {
    let racers = (1..=MEMBERS).zip(stores.iter().cycle()).map(|(number, store)| {
        let (store, group) = (store.clone(), group.clone());
        async move {
            let mut told = Vec::new();
            for _ in 0..rounds {
                let held = renew(&*store, &group, number).await?;
                store.release_leases(&group, member(number).id, &held.surplus).await?;
                told.push((number, held));
                take_turns().await;
            }
            Ok(told)
        }
        .boxed()
    });
    Ok(subject.at_once(racers).await?.into_iter().flatten().collect())
}

/// Demands that nobody was told a lease that another was told too.
fn each_has_one_holder(told: &[(u128, Held)]) {
    let mut holders = BTreeMap::new();
    for (number, held) in told {
        for lease in &held.leases {
            let holder = holders.entry((lease.bucket, lease.epoch)).or_insert(*number);
            assert_eq!(holder, number, "two hold {lease:?}");
        }
    }
}

/// *One holder*, whoever asks at once.
pub(super) async fn of_members_who_ask_at_once_one_holds_a_bucket(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let stores = openings(subject).await?;
    let group = group(8)?;
    let told = race(subject, &stores, &group, 20).await?;
    each_has_one_holder(&told);
    for store in &stores {
        let all = settle(&**store, &group, &[1, 2, 3, 4]).await?;
        assert!(all.iter().all(|held| held.leases.len() == 2), "{all:?}");
    }
    Ok(())
}

/// *Expiry*, and *One holder*: what ran out is taken by one alone.
pub(super) async fn what_ran_out_is_taken_by_one_member_alone(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let stores = openings(subject).await?;
    let group = group(3)?;
    for (round, store) in (0_i64..6).zip(stores.iter().cycle()) {
        store.renew_leases(&group, &member(9), Duration::ZERO).await?;
        let told = race(subject, &stores, &group, 1).await?;
        each_has_one_holder(&told);
        // Whoever asked first took all; who gave up its surplus may be followed by another.
        let mut taken = BTreeMap::new();
        for lease in told.iter().flat_map(|(_, held)| &held.leases) {
            let first = taken.entry(lease.bucket).or_insert(lease.epoch);
            *first = lease.epoch.min(*first);
        }
        assert_eq!(taken.len(), 3, "{told:?}");
        assert!(taken.values().all(|epoch| *epoch >= 2 * round + 2), "{told:?}");
        for number in 1..=MEMBERS {
            store.leave_group(&group, member(number).id).await?;
        }
    }
    Ok(())
}

/// *No false success*: a renewal that was never polled takes nothing, and one that was dropped took
/// what its member holds, or nothing.
pub(super) async fn a_dropped_renewal_leaves_the_group_in_order(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let group = group(6)?;
    let newcomer = member(1);
    drop(store.renew_leases(&group, &newcomer, LONG));
    assert!(
        store.group_members(&group).await?.is_empty(),
        "a renewal was made before it was polled"
    );
    for round in 0..20 {
        let mut renewal = store.renew_leases(&group, &newcomer, LONG);
        for _ in 0..round % 5 {
            if futures::poll!(&mut renewal).is_ready() {
                break;
            }
            take_turns().await;
        }
        drop(renewal);
        let all = settle(&*store, &group, &[1, 2]).await?;
        assert!(all.iter().all(|held| held.leases.len() == 3), "{all:?}");
        for number in [1, 2] {
            store.leave_group(&group, member(number).id).await?;
        }
    }
    Ok(())
}
