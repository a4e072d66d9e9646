//! Leases: who lives, and who holds which bucket, in tables beside the messages.
//!
//! To renew and to leave is several statements, and so a transaction, which nothing else here is. It
//! begins with SQLite's write lock; where its future is dropped the driver rolls it back. Once a group is there a
//! renewal changes one row, and those of the buckets that it takes.

use std::time::Duration;

use evenfold_core::Error;
use evenfold_core::store::{Held, Lease, LeaseGroup, LeaseStore, Member, MemberStatus};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::{SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use crate::Sqlite;
use crate::error::while_doing;
use crate::row::{decode, microseconds};

impl LeaseStore for Sqlite {
    fn renew_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: &'a Member,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Held, Error>> {
        async move {
            let doing = || format!("renewing the leases of `{}`", group.name());
            let failed = |error| while_doing(doing(), error);
            let mut transaction = self.begin(doing).await?;
            let (id, known) = joined(&mut transaction, group).await.map_err(failed)?;
            group.require_buckets(known)?;
            let now = microseconds(self.clock.now());
            let alive = Alive { group: id, member: member.id, now };
            let held = alive.renew(&mut transaction, group, member, ttl).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            Ok(held)
        }
        .boxed()
    }

    fn release_leases<'a>(
        &'a self,
        group: &'a LeaseGroup,
        member: Uuid,
        buckets: &'a [u16],
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let doing = || format!("giving up leases of `{}`", group.name());
            let failed = |error| while_doing(doing(), error);
            let Some(id) = self.known(group).await? else { return Ok(()) };
            let buckets = serde_json::to_string(buckets)
                .map_err(|error| failed(sqlx::Error::Encode(error.into())))?;
            sqlx::query!(
                r#"
                UPDATE evenfold_leases SET holder = NULL
                WHERE group_id = ?1 AND holder = ?2
                  AND bucket IN (SELECT value FROM json_each(?3))
                "#,
                id,
                member,
                buckets,
            )
            .execute(&mut *self.turn(doing).await?)
            .await
            .map_err(failed)?;
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
            let doing = || format!("leaving group `{}`", group.name());
            let failed = |error| while_doing(doing(), error);
            let Some(id) = self.known(group).await? else { return Ok(()) };
            let mut transaction = self.begin(doing).await?;
            sqlx::query!(
                "DELETE FROM evenfold_members WHERE group_id = ?1 AND member = ?2",
                id,
                member,
            )
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            sqlx::query!(
                "UPDATE evenfold_leases SET holder = NULL WHERE group_id = ?1 AND holder = ?2",
                id,
                member,
            )
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            transaction.commit().await.map_err(failed)
        }
        .boxed()
    }

    fn group_members<'a>(
        &'a self,
        group: &'a LeaseGroup,
    ) -> BoxFuture<'a, Result<Vec<MemberStatus>, Error>> {
        async move {
            let Some(id) = self.known(group).await? else { return Ok(Vec::new()) };
            let now = microseconds(self.clock.now());
            sqlx::query!(
                r#"
                SELECT
                    m.member AS "member!: Uuid", m.label AS "label!", m.until - ?2 AS "left!: i64",
                    (
                        SELECT json_group_array(l.bucket ORDER BY l.bucket)
                        FROM evenfold_leases AS l
                        WHERE l.group_id = m.group_id AND l.holder = m.member
                    ) AS "buckets!: String"
                FROM evenfold_members AS m
                WHERE m.group_id = ?1 AND m.until > ?2
                ORDER BY m.member
                "#,
                id,
                now,
            )
            .try_map(|row| {
                Ok(MemberStatus {
                    member: Member { id: row.member, label: row.label },
                    buckets: serde_json::from_str(&row.buckets).map_err(decode)?,
                    expires_in: Duration::from_micros(row.left.unsigned_abs()),
                })
            })
            .fetch_all(&self.readers)
            .await
            .map_err(|error| {
                while_doing(format_args!("listing the members of `{}`", group.name()), error)
            })
        }
        .boxed()
    }
}

impl Sqlite {
    /// The group, if anybody was ever in it.
    async fn known(&self, group: &LeaseGroup) -> Result<Option<i64>, Error> {
        let known = find(&self.readers, group).await.map_err(|error| {
            while_doing(format_args!("looking up group `{}`", group.name()), error)
        })?;
        let Some((id, buckets)) = known else { return Ok(None) };
        group.require_buckets(buckets)?;
        Ok(Some(id))
    }
}

/// The group and its number of buckets, if it is there.
async fn find(
    on: impl SqliteExecutor<'_>,
    group: &LeaseGroup,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    sqlx::query!(
        r#"SELECT id AS "id!", buckets AS "buckets!" FROM evenfold_groups WHERE name = ?1"#,
        group.name().as_str(),
    )
    .map(|row| (row.id, row.buckets))
    .fetch_optional(on)
    .await
}

/// The group and its number of buckets, made if it is not there. Nobody makes it in between: this is in
/// a transaction that has the write lock.
async fn joined(
    connection: &mut SqliteConnection,
    group: &LeaseGroup,
) -> Result<(i64, i64), sqlx::Error> {
    if let Some(known) = find(&mut *connection, group).await? {
        return Ok(known);
    }
    let buckets = group.buckets();
    let made = sqlx::query!(
        "INSERT INTO evenfold_groups (name, buckets) VALUES (?1, ?2)",
        group.name().as_str(),
        buckets,
    )
    .execute(&mut *connection)
    .await?;
    let id = made.last_insert_rowid();
    sqlx::query!(
        r#"
        WITH RECURSIVE numbers (bucket) AS (
            SELECT 0 UNION ALL SELECT bucket + 1 FROM numbers WHERE bucket + 1 < ?2
        )
        INSERT INTO evenfold_leases (group_id, bucket, epoch)
        SELECT ?1, bucket, 0 FROM numbers
        "#,
        id,
        buckets,
    )
    .execute(connection)
    .await?;
    Ok((id, buckets.into()))
}

/// A member that is heard of now.
#[derive(Clone, Copy, Debug)]
struct Alive {
    group: i64,
    member: Uuid,
    now: i64,
}

impl Alive {
    async fn renew(
        self,
        connection: &mut SqliteConnection,
        group: &LeaseGroup,
        member: &Member,
        ttl: Duration,
    ) -> Result<Held, sqlx::Error> {
        self.note(connection, &member.label, ttl).await?;
        let Self { group: id, member, .. } = self;
        let members = sqlx::query!(
            r#"
            SELECT count(*) AS "all!: u32", count(*) FILTER (WHERE member < ?2) AS "before!: u32"
            FROM evenfold_members WHERE group_id = ?1
            "#,
            id,
            member,
        )
        .fetch_one(&mut *connection)
        .await?;
        let share = group.share(members.before, members.all);
        self.take(connection, share).await?;
        let leases = sqlx::query!(
            r#"
            SELECT bucket AS "bucket!: u16", epoch AS "epoch!" FROM evenfold_leases
            WHERE group_id = ?1 AND holder = ?2
            ORDER BY bucket
            "#,
            id,
            member,
        )
        .map(|row| Lease { bucket: row.bucket, epoch: row.epoch })
        .fetch_all(&mut *connection)
        .await?;
        Ok(Held::new(leases, share, members.all))
    }

    /// Forgets the members whose time is over, and notes this one.
    async fn note(
        self,
        connection: &mut SqliteConnection,
        label: &str,
        ttl: Duration,
    ) -> Result<(), sqlx::Error> {
        let Self { group, member, now } = self;
        let until = now.saturating_add_unsigned(u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX));
        sqlx::query!(
            "DELETE FROM evenfold_members WHERE group_id = ?1 AND until <= ?2",
            group,
            now,
        )
        .execute(&mut *connection)
        .await?;
        sqlx::query!(
            r#"
            INSERT INTO evenfold_members (group_id, member, label, until) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET label = excluded.label, until = excluded.until
            "#,
            group,
            member,
            label,
            until,
        )
        .execute(&mut *connection)
        .await?;
        Ok(())
    }

    /// Takes free buckets up to the share.
    async fn take(self, connection: &mut SqliteConnection, share: u16) -> Result<(), sqlx::Error> {
        let Self { group, member, .. } = self;
        sqlx::query!(
            r#"
            UPDATE evenfold_leases SET holder = ?2, epoch = epoch + 1
            WHERE group_id = ?1 AND bucket IN (
                SELECT free.bucket FROM evenfold_leases AS free
                WHERE free.group_id = ?1 AND NOT EXISTS (
                    SELECT 1 FROM evenfold_members AS m
                    WHERE m.group_id = ?1 AND m.member = free.holder
                )
                ORDER BY free.bucket
                LIMIT max(0, ?3 - (
                    SELECT count(*) FROM evenfold_leases AS own
                    WHERE own.group_id = ?1 AND own.holder = ?2
                ))
            )
            "#,
            group,
            member,
            share,
        )
        .execute(&mut *connection)
        .await?;
        Ok(())
    }
}
