//! Who may still write below a message that is visible: the evidence that a missing number is dead.
//!
//! Through Message DB a writer takes a number while it holds the lock of a category, and it keeps that
//! lock until its rows are visible. So where a message is visible, whoever may still fill a hole below
//! it is among those who hold such a lock afterwards; and when these have ended, each by itself, what
//! is missing below it will never come. Who comes later does not matter: its numbers are higher.
//! What is made of it stands in `merged.rs`, what is wrong where it does not hold in [`check`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use evenfold_core::Error;
use evenfold_core::store::HeldUp;
use time::OffsetDateTime;

use crate::Postgres;
use crate::error::while_doing;
use crate::facts::lock_override;
use crate::fault::Fault;
use crate::schema::look;

/// What is known of the numbers of a store, by all its readers in this process. It is but a memory of
/// what the server said: without it, each page would ask again.
#[derive(Debug, Default)]
pub(crate) struct Evidence(Mutex<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    checked: bool,
    /// Since when the server runs that said so: another one may give numbers out again.
    server: i64,
    /// Up to here every number is that of a visible message, or dead.
    decided: i64,
    asked: Option<Asked>,
}

/// Up to here every number is decided when the last of these writers has ended.
#[derive(Clone, Debug)]
struct Asked {
    up_to: i64,
    writers: Vec<String>,
}

impl Evidence {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the server runs that was asked last, and up to where it had decided. To be taken
    /// before a page is read.
    pub(crate) fn decided(&self) -> (i64, i64) {
        let known = self.known();
        (known.server, known.decided)
    }
}

/// A hole that a page has below a message that is visible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    pub(crate) at: i64,
    /// The last message of the page.
    pub(crate) below: i64,
    /// Since when the server runs that showed it.
    pub(crate) server: i64,
}

impl Postgres {
    /// Asks who keeps a hole from being decided. Nobody may mean that it is decided now.
    pub(crate) async fn holders(&self, hole: Hole) -> Result<Vec<String>, Error> {
        // Asked for before the server is: who is not among those found now, has ended since then.
        let known = self.evidence.known().clone();
        let (server, writers) = self.writers().await?;
        if server != hole.server {
            return Ok(Vec::new());
        }
        let asked = known.asked.filter(|asked| known.server == server && asked.up_to >= hole.at);
        let left = match asked {
            Some(Asked { up_to, writers: before }) => {
                // One that was prepared before a restart of the server has another name after it.
                let stays = |writer: &String| before.contains(writer) || writer.starts_with('-');
                Asked { up_to, writers: writers.into_iter().filter(stays).collect() }
            }
            None => Asked { up_to: hole.below, writers },
        };
        let mut known = self.evidence.known();
        if known.server != server {
            *known = Known { server, checked: known.checked, ..Known::default() };
        }
        if left.writers.is_empty() {
            known.decided = known.decided.max(left.up_to);
            return Ok(Vec::new());
        }
        let writers = left.writers.clone();
        known.asked = Some(left);
        Ok(writers)
    }

    /// The transactions that hold a lock as that of a category is, and since when the server runs.
    ///
    /// A session may hold such a lock between its transactions, for an affair of its own; then it
    /// writes nothing, and its transaction has the number 0.
    async fn writers(&self) -> Result<(i64, Vec<String>), Error> {
        let seen = sqlx::query!(
            r#"
            SELECT
                CASE WHEN NOT pg_is_in_recovery() THEN
                    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint
                END AS server,
                ARRAY(
                    SELECT DISTINCT held.virtualtransaction
                    FROM pg_catalog.pg_locks AS held
                    WHERE held.locktype = 'advisory' AND held.objsubid = 1 AND held.granted
                        AND held.database = (
                            SELECT oid FROM pg_catalog.pg_database
                            WHERE datname = current_database()
                        )
                        AND held.virtualtransaction NOT LIKE '%/0'
                ) AS "writers!"
            "#,
        )
        .fetch_one(self.on())
        .await
        .map_err(|error| while_doing("asking who is writing", error))?;
        match seen.server {
            Some(server) => Ok((server, seen.writers)),
            None => Err(self.standby().await),
        }
    }

    /// The refusal of a server that is a standby: it does not know of the locks of its primary.
    pub(crate) async fn standby(&self) -> Error {
        let database = sqlx::query_scalar!(r#"SELECT current_database()::text AS "database!""#);
        match database.fetch_one(self.on()).await {
            Ok(database) => refused(Fault::Standby { database }),
            Err(error) => while_doing("asking who is writing", error),
        }
    }

    /// Says who has been writing for the longest time of these transactions.
    pub(crate) async fn longest(&self, writers: &[String]) -> Result<Option<HeldUp>, Error> {
        let longest = sqlx::query!(
            r#"
            SELECT
                held.pid, activity.application_name AS application, activity.state,
                activity.xact_start AS "since: OffsetDateTime"
            FROM pg_catalog.pg_locks AS held
            LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = held.pid
            WHERE held.locktype = 'advisory' AND held.virtualtransaction = ANY ($1)
            ORDER BY activity.xact_start NULLS LAST, held.pid
            LIMIT 1
            "#,
            writers,
        )
        .fetch_optional(self.on())
        .await
        .map_err(|error| while_doing("asking who is writing", error))?;
        Ok(longest.map(|longest| {
            let who = longest.pid.map_or_else(
                || "a prepared transaction".to_owned(),
                |pid| format!("process {pid} of the server"),
            );
            let more = [longest.application, longest.state].into_iter().flatten();
            let more: Vec<_> = more.filter(|said| !said.is_empty()).collect();
            let by = if more.is_empty() { who } else { format!("{who} ({})", more.join(", ")) };
            HeldUp { by, since: longest.since }
        }))
    }

    /// Looks once whether the evidence is any.
    pub(crate) async fn check_once(&self) -> Result<(), Error> {
        if !self.evidence.known().checked {
            self.check().await?;
            self.evidence.known().checked = true;
        }
        Ok(())
    }

    /// Whether a hole can be decided here: the server knows of the locks, writers take them, and
    /// numbers are taken one by one.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let failed = |error| while_doing("asking about the message store", error);
        if let Err(fault) = look(&self.connections).await.map_err(failed)? {
            return Err(refused(fault));
        }
        // A store for reading may be on a standby, which does not say who writes.
        self.writers().await?;
        if let Some(function) = lock_override(&self.connections).await.map_err(failed)? {
            return Err(refused(Fault::LockOverride { function }));
        }
        let cache = sqlx::query_scalar!(
            r#"
            SELECT cache_size AS "cache!" FROM pg_catalog.pg_sequences
            WHERE schemaname = 'message_store' AND sequencename = 'messages_global_position_seq'
            "#,
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        match cache {
            Some(cache) if cache != 1 => Err(refused(Fault::SequenceCache { cache })),
            _ => Ok(()),
        }
    }
}

fn refused(fault: Fault) -> Error {
    Error::failed("reading several categories by one cursor", fault)
}
