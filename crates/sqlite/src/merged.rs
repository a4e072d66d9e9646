//! Reading several categories, or all of them, by one cursor.
//!
//! Owns the walk along the global positions. SQLite has one writer at a time, so whatever is below a
//! message that is visible is visible too. How a row becomes a message is in `row.rs`.

use evenfold_core::message::Recorded;
use evenfold_core::store::{BatchSize, Categories, Merged, MergedStore};
use evenfold_core::{Category, Error, GlobalPosition};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::Sqlite;
use crate::error::while_doing;
use crate::row::{decode, query_messages};

/// How many messages a page looks at, at least, to find those of its categories.
const SCAN: u32 = 1000;

impl MergedStore for Sqlite {
    fn read_merged<'a>(
        &'a self,
        of: &'a Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Merged, Error>> {
        async move {
            self.merged_page(of, from, limit)
                .await
                .map_err(|error| while_doing(format_args!("reading {of} from {from}"), error))
        }
        .boxed()
    }
}

impl Sqlite {
    /// The end of the page is asked first: what is below it is there when the page is read.
    async fn merged_page(
        &self,
        of: &Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Result<Merged, sqlx::Error> {
        let scan = limit.get().max(SCAN);
        let end = sqlx::query_scalar!(
            r#"
            SELECT max(global_position) AS "end: i64" FROM (
                SELECT global_position FROM messages NOT INDEXED
                WHERE global_position >= ?1 ORDER BY global_position LIMIT ?2
            )
            "#,
            from.get(),
            scan,
        )
        .fetch_one(&self.readers)
        .await?;
        let Some(end) = end.map(GlobalPosition::new).transpose().map_err(decode)? else {
            return Ok(Merged { messages: Vec::new(), scanned: from.previous(), held: None });
        };
        let messages = self.messages_between(of, (from, end), limit).await?;
        let is_full = messages.len() == limit.as_len();
        let scanned = messages.last().filter(|_| is_full).map_or(end, |last| last.global_position);
        Ok(Merged { messages, scanned, held: None })
    }

    /// `NOT INDEXED` leaves the order of the table itself, and no other is of use here.
    async fn messages_between(
        &self,
        of: &Categories,
        (from, end): (GlobalPosition, GlobalPosition),
        limit: BatchSize,
    ) -> Result<Vec<Recorded>, sqlx::Error> {
        let json = |names: &[&str]| serde_json::json!(names).to_string();
        let named = of.named().map(|named| {
            let names: Vec<_> = named.iter().map(Category::as_str).collect();
            json(&names)
        });
        query_messages!(
            "NOT INDEXED WHERE global_position BETWEEN ?1 AND ?2 AND CASE
                WHEN ?4 IS NOT NULL THEN category IN (SELECT value FROM json_each(?4))
                WHEN instr(category, ':') = 0 THEN true
                ELSE NOT EXISTS (
                    SELECT 1 FROM json_each(?5) AS kind
                    WHERE instr(
                        '+' || substr(category, instr(category, ':') + 1) || '+',
                        '+' || kind.value || '+'
                    )
                )
             END ORDER BY global_position LIMIT ?3",
            from.get(),
            end.get(),
            limit.get(),
            named,
            json(&Categories::BOOKKEEPING),
        )
        .fetch_all(&self.readers)
        .await
    }
}
