//! Leases: one function of our schema `evenfold` for each call, and so one statement and round trip.
//!
//! Its queries are checked against our schema alone, as those of `own.rs`. They work beside any Message
//! DB where `evenfold` was installed; where it was not, each call says how to.

use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::store::{Ability, Held, Lease, LeaseGroup, LeaseStore, Member, MemberStatus};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::query_scalar;
use uuid::Uuid;

use crate::Postgres;
use crate::error::while_doing;
use crate::row::decode;

/// As many microseconds as a time on the server can be moved by, and nobody lives: a century.
const LONGEST: i64 = 3_155_760_000_000_000;

impl LeaseStore for Postgres {
    fn renew_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: &'a Member,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Held, Error>> {
        async move {
            let failed = |error| of_group("renewing the leases of", group, error);
            self.require_leases()?;
            self.connections.may_write().map_err(failed)?;
            let row = sqlx::query!(
                r#"
                SELECT
                    known_buckets AS "known!", held_buckets AS buckets, held_epochs AS epochs,
                    share, member_count AS members
                FROM evenfold.renew_leases($1, $2, $3, $4, $5)
                "#,
                group.name().as_str(),
                i32::from(group.buckets()),
                member.id,
                member.label,
                i64::try_from(ttl.as_micros()).unwrap_or(LONGEST).min(LONGEST),
            )
            .fetch_one(self.on())
            .await
            .map_err(failed)?;
            group.require_buckets(row.known.into())?;
            let leases =
                row.buckets.unwrap_or_default().into_iter().zip(row.epochs.unwrap_or_default());
            held(leases, row.share.unwrap_or_default(), row.members.unwrap_or_default())
                .map_err(failed)
        }
        .boxed()
    }

    fn release_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
        buckets: &'a [u16],
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.give_up(group, member, Some(buckets)).boxed()
    }

    fn leave_group<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.give_up(group, member, None).boxed()
    }

    fn group_members<'a>(
        &'a self,
        group: &'a LeaseGroup,
    ) -> BoxFuture<'a, Result<Vec<MemberStatus>, Error>> {
        async move {
            self.require_leases()?;
            let failed = |error| of_group("listing the members of", group, error);
            let rows = sqlx::query_as!(
                Listed,
                r#"
                SELECT
                    g.buckets AS "known!", m.member AS "member?", m.label AS "label?",
                    (extract(epoch FROM m.until - now.at) * 1000000)::bigint AS left,
                    array(
                        SELECT l.bucket FROM evenfold.leases AS l
                        WHERE l.group_name = g.name AND l.holder = m.member
                        ORDER BY l.bucket
                    ) AS "buckets!"
                FROM evenfold.groups AS g
                CROSS JOIN (SELECT clock_timestamp() AS at) AS now
                LEFT JOIN evenfold.members AS m ON m.group_name = g.name AND m.until > now.at
                WHERE g.name = $1
                ORDER BY m.member
                "#,
                group.name().as_str(),
            )
            .fetch_all(self.on())
            .await
            .map_err(failed)?;
            if let Some(row) = rows.first() {
                group.require_buckets(row.known.into())?;
            }
            let members = rows.into_iter().filter_map(|row| row.status().transpose());
            members.collect::<Result<_, _>>().map_err(failed)
        }
        .boxed()
    }
}

/// A member of a group, or nobody where the group has none.
struct Listed {
    known: i32,
    member: Option<Uuid>,
    label: Option<String>,
    left: Option<i64>,
    buckets: Vec<i32>,
}

impl Listed {
    fn status(self) -> Result<Option<MemberStatus>, sqlx::Error> {
        let (Some(id), Some(label)) = (self.member, self.label) else { return Ok(None) };
        let buckets = self.buckets.into_iter().map(u16::try_from).collect::<Result<_, _>>();
        Ok(Some(MemberStatus {
            member: Member { id, label },
            buckets: buckets.map_err(decode)?,
            expires_in: Duration::from_micros(self.left.unwrap_or_default().unsigned_abs()),
        }))
    }
}

impl Postgres {
    /// Frees some buckets of a member, or all, and with them the member.
    async fn give_up(
        &self,
        group: &LeaseGroup,
        member: Uuid,
        buckets: Option<&[u16]>,
    ) -> Result<(), Error> {
        let failed = |error| of_group("giving up leases of", group, error);
        self.require_leases()?;
        self.connections.may_write().map_err(failed)?;
        let buckets: Option<Vec<i32>> =
            buckets.map(|buckets| buckets.iter().copied().map(i32::from).collect());
        let known = query_scalar!(
            "SELECT evenfold.release_leases($1, $2, $3, $4)",
            group.name().as_str(),
            i32::from(group.buckets()),
            member,
            buckets.as_deref(),
        )
        .fetch_one(self.on())
        .await
        .map_err(failed)?;
        match known {
            Some(known) => Ok(group.require_buckets(known.into())?),
            None => Ok(()),
        }
    }

    fn require_leases(&self) -> Result<(), Error> {
        if self.schema.has_leases() {
            return Ok(());
        }
        let hint = "schema evenfold was not there, or not for this role, when the store was opened; run \
                    `Postgres::install_leases`, or write `install=leases` in the URL, as a role that \
                    may create a schema, and open the store again";
        Err(Error::lacking(Ability::Leases, hint))
    }
}

fn of_group(doing: &str, group: &LeaseGroup, error: sqlx::Error) -> Error {
    while_doing(format_args!("{doing} `{}`", group.name()), error)
}

fn held(
    leases: impl Iterator<Item = (i32, i64)>,
    share: i32,
    members: i32,
) -> Result<Held, sqlx::Error> {
    let lease =
        |(bucket, epoch)| Ok(Lease { bucket: u16::try_from(bucket).map_err(decode)?, epoch });
    let leases = leases.map(lease).collect::<Result<_, sqlx::Error>>()?;
    let (share, members) = (u16::try_from(share).map_err(decode)?, u32::try_from(members));
    Ok(Held::new(leases, share, members.map_err(decode)?))
}
