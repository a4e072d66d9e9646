//! Leases on a server: installed beside any store, and never held by two, whatever the members do.
//!
//! The laws of leases are in `conformance.rs`. Here members with connections of their own join, leave
//! and fall silent at random, and what each could believe is compared afterwards; and the comparison is
//! shown to find a store that ignores time, or does not lock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evenfold_core::store::{Ability, LeaseGroup, LeaseStore, Member, MessageStore};
use evenfold_core::{Error, Ids, TimeOrderedIds};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Fault, Install, Postgres};
use futures::future::{join_all, try_join_all};
use sqlx::PgPool;
use uuid::Uuid;

use crate::common::{MESSAGE_DB, Result, execute, figures, raw};

fn group(buckets: u16) -> Result<LeaseGroup> {
    Ok(LeaseGroup::new("account:position-teller".parse()?, buckets)?)
}

fn member() -> Member {
    Member { id: TimeOrderedIds.next(), label: "host:1".into() }
}

async fn service(database: &TestDatabase) -> Result<Postgres, Error> {
    Postgres::connect(&database.url_as("message_store")).await
}

#[tokio::test]
async fn leases_stand_beside_a_message_db_when_they_are_asked_for() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let (group, one) = (group(2)?, member());
    let before = service(&database).await?;
    let refused = before.renew_leases(&group, &one, Duration::from_mins(1)).await.unwrap_err();
    assert_eq!(refused.lacks(), Some(Ability::Leases));
    assert!(refused.to_string().contains("`install=leases`"), "{refused:?}");

    // Whoever may not make a schema changes nothing.
    let by_service = Postgres::options().install(Install::Leases);
    let refused = by_service.connect(&database.url_as("message_store")).await.unwrap_err();
    assert!(refused.to_string().contains("the right to create a schema"), "{refused:?}");

    let pool = PgPool::connect(&database.url()).await?;
    for installed in join_all((0..4).map(|_| Postgres::install_leases(&pool))).await {
        let schema = installed?;
        assert!(schema.has_leases() && !schema.has_additions() && !schema.is_ours());
    }
    let store = service(&database).await?;
    assert!(store.abilities().contains(&Ability::Leases));
    assert!(Postgres::options().facts(&database.url()).await?.leases);
    let held = store.renew_leases(&group, &one, Duration::from_mins(1)).await?;
    assert_eq!(held.buckets(), [0, 1]);

    // What was held is held when they come once more, with all the rest.
    assert!(Postgres::adopt(&pool).await?.has_leases());
    let again =
        service(&database).await?.renew_leases(&group, &one, Duration::from_mins(1)).await?;
    assert_eq!(again, held);
    Ok(())
}

#[tokio::test]
async fn leases_come_to_no_database_without_a_store() -> Result {
    let database = TestDatabase::from_template("template1").await?;
    let leases = Postgres::options().install(Install::Leases);
    let refused = leases.connect(&database.url()).await.unwrap_err();
    assert!(matches!(Fault::of(&refused), Some(Fault::NotInstalled { .. })), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_store_of_the_release_before_leases_is_outdated_until_it_is_installed() -> Result {
    let database = TestDatabase::new().await?;
    let back = "DROP SCHEMA evenfold CASCADE; DELETE FROM _evenfold_migrations WHERE version > 2";
    execute(&mut raw(&database.url()).await?, back).await?;
    let refused = service(&database).await.unwrap_err();
    assert_eq!(Fault::of(&refused), Some(&Fault::Outdated { applied: 2, needed: 3 }));
    Postgres::install(&PgPool::connect(&database.url()).await?).await?;
    assert!(service(&database).await?.schema().has_leases());
    Ok(())
}

/// How long a lease lasts here.
const TTL: Duration = Duration::from_millis(40);

/// For how long members come and go.
const RUN: Duration = Duration::from_secs(2);

/// A time in which a member could believe that it holds a bucket.
#[derive(Clone, Copy, Debug)]
struct Belief {
    bucket: u16,
    epoch: i64,
    member: Uuid,
    from: Instant,
    to: Instant,
}

/// One of those who hold, by numbers that look random.
struct Life {
    store: Postgres,
    group: LeaseGroup,
    me: Member,
    beliefs: Vec<Belief>,
    random: u64,
    /// Without a lock two may wait for each other, and the server ends what one of them does.
    may_fail: bool,
}

impl Life {
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % below
    }

    async fn live(mut self, until: Instant) -> Result<Vec<Belief>> {
        while Instant::now() < until {
            match self.turn().await {
                Err(error)
                    if self.may_fail && error.downcast_ref().is_some_and(Error::is_unavailable) => {
                }
                done => done?,
            }
        }
        Ok(self.beliefs)
    }

    async fn turn(&mut self) -> Result {
        let asked = Instant::now();
        let held = self.store.renew_leases(&self.group, &self.me, TTL).await?;
        // Its time began after it asked, so it has less than this; and who hears of it later than that
        // believes nothing.
        let (from, to) = (Instant::now(), asked + TTL);
        let heard = held.leases.iter().filter(|_| from < to);
        self.beliefs.extend(heard.map(|lease| Belief {
            bucket: lease.bucket,
            epoch: lease.epoch,
            member: self.me.id,
            from,
            to,
        }));
        match self.random(12) {
            0 => self.leave().await,
            1 => self.fall_silent().await,
            2 => self.give_up(held.buckets().get(..1).unwrap_or_default()).await,
            _ => self.give_up(&held.surplus).await,
        }
    }

    /// Believes it no more from now on.
    fn forget(&mut self, buckets: &[u16]) {
        let now = Instant::now();
        let mine = self.beliefs.iter_mut().filter(|it| it.member == self.me.id);
        for belief in mine.filter(|it| buckets.contains(&it.bucket)) {
            belief.to = belief.to.min(now);
        }
    }

    async fn give_up(&mut self, buckets: &[u16]) -> Result {
        self.forget(buckets);
        Ok(self.store.release_leases(&self.group, self.me.id, buckets).await?)
    }

    async fn leave(&mut self) -> Result {
        self.forget(&(0..self.group.buckets()).collect::<Vec<_>>());
        self.store.leave_group(&self.group, self.me.id).await?;
        self.me = member();
        Ok(())
    }

    /// Is not heard of until it is forgotten; and perhaps comes back as if nothing had been.
    async fn fall_silent(&mut self) -> Result {
        loop {
            let members = self.store.group_members(&self.group).await?;
            if members.iter().all(|status| status.member.id != self.me.id) {
                break;
            }
        }
        if self.random(2) == 0 {
            self.me = member();
        }
        Ok(())
    }
}

/// Lets four members live, and answers with what they could believe.
async fn lives(database: &TestDatabase, may_fail: bool) -> Result<Vec<Belief>> {
    let until = Instant::now() + RUN;
    let mut all = Vec::new();
    for random in 1..=4 {
        let store = service(database).await?;
        let (group, beliefs) = (group(8)?, Vec::new());
        let life = Life { store, group, me: member(), beliefs, random, may_fail };
        all.push(tokio::spawn(life.live(until)));
    }
    let mut beliefs = Vec::new();
    for lived in try_join_all(all).await? {
        beliefs.extend(lived?);
    }
    Ok(beliefs)
}

/// What the holders of one epoch of one bucket could believe: the first of them, from when, until when.
type Epochs = BTreeMap<(u16, i64), (Uuid, Instant, Instant)>;

/// How often two could believe to hold one bucket at a time, and how many holders there were.
fn violations(beliefs: &[Belief]) -> (usize, usize) {
    let mut epochs = Epochs::new();
    let mut violations = 0;
    for it in beliefs {
        let epoch = epochs.entry((it.bucket, it.epoch)).or_insert((it.member, it.from, it.to));
        violations += usize::from(epoch.0 != it.member);
        *epoch = (epoch.0, epoch.1.min(it.from), epoch.2.max(it.to));
    }
    let all: Vec<_> = epochs.iter().collect();
    for pair in all.windows(2) {
        let [((bucket, _), (_, _, to)), ((next, _), (_, from, _))] = pair else { continue };
        violations += usize::from(bucket == next && to > from);
    }
    (violations, epochs.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_hold_a_bucket_while_members_come_and_go() -> Result {
    let database = TestDatabase::new().await?;
    let beliefs = lives(&database, false).await?;
    let (violations, holders) = violations(&beliefs);
    figures::tell(
        "postgres-leases",
        format_args!(
            "{} answers of leases, {holders} holders of 8 buckets, {violations} held by two",
            beliefs.len()
        ),
    )?;
    assert_eq!(violations, 0);
    assert!(holders > 100, "too little happened: {holders} holders");
    Ok(())
}

/// A database whose function that renews has other parts in the place of some.
async fn broken(parts: &[(&str, &str)]) -> Result<TestDatabase> {
    let database = TestDatabase::new().await?;
    let mut owner = raw(&database.url()).await?;
    let get = "SELECT pg_get_functiondef(
        'evenfold.renew_leases(text, integer, uuid, text, bigint)'::regprocedure)";
    let mut function: String = sqlx::query_scalar(get).fetch_one(&mut owner).await?;
    for (part, other) in parts {
        assert!(function.contains(part), "`{part}` is not in it");
        function = function.replace(part, other);
    }
    execute(&mut owner, &function).await?;
    Ok(database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_ignores_who_lives_is_found() -> Result {
    let database = broken(&[("m.member = free.holder", "false")]).await?;
    let (violations, holders) = violations(&lives(&database, true).await?);
    assert!(violations > 0, "not found in {holders} holders");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_does_not_lock_is_found() -> Result {
    // What was taken is not committed yet when others look.
    let (answer, later) =
        ("SELECT array_agg(l.bucket", "PERFORM pg_sleep(0.003); SELECT array_agg(l.bucket");
    let database = broken(&[("FOR UPDATE", ""), (answer, later)]).await?;
    let (violations, holders) = violations(&lives(&database, true).await?);
    assert!(violations > 0, "not found in {holders} holders");
    Ok(())
}
