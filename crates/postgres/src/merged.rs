//! Reading several categories, or all of them, by one cursor.
//!
//! Owns the walk along the primary key and where it stops: at a hole whose number may still appear.
//! Whether it may is asked in `evidence.rs`.

use std::time::Duration;

use evenfold_core::store::{BatchSize, Categories, Merged, MergedStore};
use evenfold_core::{Error, GlobalPosition};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::Postgres;
use crate::error::while_doing;
use crate::evidence::Hole;
use crate::row::{Row, Time};

/// How many messages a page looks at, at least, to find those of its categories.
const SCAN: u32 = 1000;
/// How long a page that would be empty waits for writers.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits before it asks for the first time again, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(50);

impl MergedStore for Postgres {
    fn read_merged<'a>(
        &'a self,
        of: &'a Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Merged, Error>> {
        self.merged(of, from, limit).boxed()
    }

    fn check_merged(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.check().boxed()
    }
}

/// A message as the walk comes to it: one that is wanted, one behind a hole, or the last.
struct Line {
    /// None on a standby.
    server: Option<i64>,
    /// The number of the message before it.
    before: i64,
    wanted: bool,
    id: Uuid,
    stream_name: String,
    message_type: String,
    position: i64,
    global_position: i64,
    time: Time,
    metadata: Option<String>,
    data: Option<String>,
}

impl Line {
    fn split(self) -> (Row, bool) {
        let Self { id, stream_name, message_type, position, global_position, .. } = self;
        let Self { time, metadata, data, wanted, .. } = self;
        let row =
            Row { id, stream_name, message_type, position, global_position, time, metadata, data };
        (row, wanted)
    }
}

/// A page up to its first hole that is not decided.
struct Page {
    merged: Merged,
    hole: Option<Hole>,
}

impl Postgres {
    async fn merged(
        &self,
        of: &Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Result<Merged, Error> {
        self.check_once().await?;
        let end = Instant::now() + PATIENCE;
        let mut asked = false;
        loop {
            let Page { merged, hole } = self.merged_page(of, from, limit).await?;
            let has_moved = merged.scanned >= from;
            // What came with the second page can wait for the next call.
            let is_done = asked && (has_moved || Instant::now() >= end);
            let Some(hole) = hole.filter(|_| !is_done) else { return Ok(merged) };
            asked = true;
            // What has come already is not kept waiting.
            let end = if has_moved { Instant::now() } else { end };
            let holders = self.outwait(hole, end).await?;
            if has_moved && !holders.is_empty() {
                return Ok(merged);
            }
            if !holders.is_empty() {
                return Ok(Merged { held: self.longest(&holders).await?, ..merged });
            }
        }
    }

    /// Waits until nobody keeps a hole from being decided, or says who still does at the end.
    async fn outwait(&self, hole: Hole, end: Instant) -> Result<Vec<String>, Error> {
        let mut wait = FIRST_WAIT;
        loop {
            let holders = self.holders(hole).await?;
            if holders.is_empty() || Instant::now() >= end {
                return Ok(holders);
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn merged_page(
        &self,
        of: &Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Result<Page, Error> {
        let decided = self.evidence.decided();
        let lines = self
            .lines(of, from, limit)
            .await
            .map_err(|error| while_doing(format_args!("reading {of} from {from}"), error))?;
        let below = lines.last().map_or(0, |line| line.global_position);
        let mut merged = Merged { messages: Vec::new(), scanned: from.previous(), held: None };
        for line in lines {
            let Some(server) = line.server else { return Err(self.standby().await) };
            let decided = if server == decided.0 { decided.1 } else { 0 };
            // The first number that is neither decided nor there.
            let open = (line.before + 1).max(decided + 1);
            if open < line.global_position {
                merged.scanned = GlobalPosition::new(open - 1)?;
                return Ok(Page { merged, hole: Some(Hole { at: open, below, server }) });
            }
            let (row, wanted) = line.split();
            let recorded = row
                .into_recorded()
                .map_err(|error| while_doing(format_args!("reading {of} from {from}"), error))?;
            merged.scanned = recorded.global_position;
            if wanted {
                merged.messages.push(recorded);
            }
        }
        Ok(Page { merged, hole: None })
    }

    /// Walks the primary key on purpose: what is decided is a stretch of numbers, whose messages
    /// stand close together, and it is bounded.
    async fn lines(
        &self,
        of: &Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Result<Vec<Line>, sqlx::Error> {
        let named: Option<Vec<_>> =
            of.named().map(|named| named.iter().map(|it| it.as_str().to_owned()).collect());
        let bookkeeping = Categories::BOOKKEEPING.map(str::to_owned);
        sqlx::query_as!(
            Line,
            r#"
            SELECT
                CASE WHEN NOT pg_is_in_recovery() THEN
                    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint
                END AS server,
                m.before AS "before!", m.wanted AS "wanted!",
                m.id AS "id!", m.stream_name AS "stream_name!", m.type AS "message_type!",
                m.position AS "position!", m.global_position AS "global_position!",
                m.time AS "time!: Time",
                CASE WHEN m.wanted THEN m.metadata::text END AS metadata,
                CASE WHEN m.wanted THEN m.data::text END AS data
            FROM (
                SELECT
                    walked.*,
                    lag(walked.global_position, 1, $1 - 1) OVER along AS before,
                    lead(walked.global_position) OVER along IS NULL AS is_last,
                    count(*) FILTER (WHERE walked.wanted) OVER along AS number
                FROM (
                    SELECT
                        m.*,
                        CASE
                            WHEN $4::text[] IS NOT NULL
                                THEN split_part(m.stream_name, '-', 1) = ANY ($4)
                            WHEN strpos(split_part(m.stream_name, '-', 1), ':') = 0 THEN true
                            ELSE NOT string_to_array(
                                substr(
                                    split_part(m.stream_name, '-', 1),
                                    strpos(m.stream_name, ':') + 1
                                ), '+'
                            ) && $5::text[]
                        END AS wanted
                    FROM message_store.messages AS m
                    WHERE m.global_position >= $1::bigint
                    ORDER BY m.global_position LIMIT $2
                ) AS walked
                WINDOW along AS (ORDER BY walked.global_position)
            ) AS m
            WHERE m.number <= $3
                AND (m.wanted OR m.is_last OR m.before + 1 < m.global_position)
            ORDER BY m.global_position
            "#,
            from.max(GlobalPosition::START.next()).get(),
            i64::from(limit.get().max(SCAN)),
            i64::from(limit.get()),
            named.as_deref() as _,
            &bookkeeping,
        )
        .fetch_all(self.on())
        .await
    }
}
