//! Looking around: the categories, the streams of one, a message by its id.
//!
//! Owns the order of names by their bytes, which is not that of the index where the database has
//! another collation: categories are found by skips and sorted, streams are sorted by the server.

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    Backlog, BatchSize, BrowseStore, CategoryQuery, CategorySummary, StreamSummary,
};
use evenfold_core::{Category, Error, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::Postgres;
use crate::error::while_doing;
use crate::read::types_of;
use crate::row::{Time, decode, query_messages};

impl BrowseStore for Postgres {
    /// From each category the index leads to the next, so that finding them costs as much as there
    /// are. Counting reads the messages of those that are listed.
    fn categories<'a>(
        &'a self,
        after: Option<&'a Category>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<CategorySummary>, Error>> {
        let after = after.map(Category::as_str);
        async move {
            sqlx::query!(
                r#"
                WITH RECURSIVE found (category) AS (
                    (
                        SELECT message_store.category(m.stream_name)
                        FROM message_store.messages AS m
                        ORDER BY message_store.category(m.stream_name)
                        LIMIT 1
                    )
                    UNION ALL
                    SELECT (
                        SELECT message_store.category(m.stream_name)
                        FROM message_store.messages AS m
                        WHERE message_store.category(m.stream_name) > found.category
                        ORDER BY message_store.category(m.stream_name)
                        LIMIT 1
                    )
                    FROM found WHERE found.category IS NOT NULL
                ),
                listed AS MATERIALIZED (
                    SELECT found.category FROM found
                    WHERE $1::text IS NULL OR found.category COLLATE "C" > $1
                    ORDER BY found.category COLLATE "C"
                    LIMIT $2
                )
                SELECT
                    listed.category AS "category!",
                    counted.messages AS "messages!",
                    counted.last AS "last!"
                FROM listed CROSS JOIN LATERAL (
                    SELECT count(*) AS messages, max(m.global_position) AS last
                    FROM message_store.messages AS m
                    WHERE message_store.category(m.stream_name) = ANY (ARRAY[listed.category])
                ) AS counted
                WHERE listed.category IS NOT NULL
                ORDER BY listed.category COLLATE "C"
                "#,
                after,
                i64::from(limit.get()),
            )
            .try_map(|row| {
                Ok(CategorySummary {
                    category: StreamName::stored(row.category).category(),
                    messages: u64::try_from(row.messages).map_err(decode)?,
                    last: GlobalPosition::new(row.last).map_err(decode)?,
                })
            })
            .fetch_all(self.on())
            .await
            .map_err(|error| while_doing("listing categories", error))
        }
        .boxed()
    }

    /// Reads the category once for each page: no index has its streams in the order of their bytes.
    fn streams<'a>(
        &'a self,
        category: &'a Category,
        after: Option<&'a StreamName>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<StreamSummary>, Error>> {
        let after = after.map(StreamName::as_str);
        async move {
            sqlx::query!(
                r#"
                SELECT
                    m.stream_name COLLATE "C" AS "stream_name!",
                    max(m.position) AS "version!",
                    max(m.global_position) AS "last!"
                FROM message_store.messages AS m
                WHERE message_store.category(m.stream_name) = ANY (ARRAY[$1::varchar])
                  AND ($2::text IS NULL OR m.stream_name COLLATE "C" > $2)
                GROUP BY m.stream_name COLLATE "C"
                ORDER BY m.stream_name COLLATE "C"
                LIMIT $3
                "#,
                category.as_str(),
                after,
                i64::from(limit.get()),
            )
            .try_map(|row| {
                Ok(StreamSummary {
                    stream: StreamName::stored(row.stream_name),
                    version: Position::new(row.version).map_err(decode)?,
                    last: GlobalPosition::new(row.last).map_err(decode)?,
                })
            })
            .fetch_all(self.on())
            .await
            .map_err(|error| while_doing(format_args!("listing streams of `{category}`"), error))
        }
        .boxed()
    }

    fn message(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Recorded>, Error>> {
        async move {
            query_messages!("WHERE m.id = $1", id)
                .fetch_optional(self.on())
                .await
                .map_err(|error| while_doing(format_args!("reading message `{id}`"), error))
        }
        .boxed()
    }

    /// Reads the messages that it counts, by the index on the category, and sees the head by the same
    /// snapshot. The filters are those of a page.
    fn backlog<'a>(
        &'a self,
        query: &'a CategoryQuery,
        after: Option<GlobalPosition>,
    ) -> BoxFuture<'a, Result<Backlog, Error>> {
        let category = query.category().as_str();
        async move {
            sqlx::query!(
                r#"
                SELECT
                    count(*) AS "messages!",
                    min(m.time) AS "oldest: Time",
                    (
                        SELECT last.global_position FROM message_store.messages AS last
                        WHERE message_store.category(last.stream_name) = ANY (ARRAY[$1::varchar])
                        ORDER BY
                            message_store.category(last.stream_name) DESC,
                            last.global_position DESC
                        LIMIT 1
                    ) AS head
                FROM message_store.messages AS m
                WHERE message_store.category(m.stream_name) = ANY (ARRAY[$1::varchar])
                  AND m.global_position > $2
                  AND coalesce($4::bigint IS NULL OR abs(mod(('x' || md5(split_part(substr(
                          m.stream_name, nullif(strpos(m.stream_name, '-'), 0) + 1
                      ), '+', 1)))::bit(64)::bigint, $4)) = $3::bigint, false)
                  AND coalesce($5::varchar IS NULL OR message_store.category(
                          m.metadata ->> 'correlationStreamName'
                      ) = $5, false)
                  AND coalesce($6::text[] IS NULL OR m.type = ANY ($6), false)
                "#,
                category,
                after.map_or(-1, GlobalPosition::get),
                query.group().map(|group| i64::from(group.member())),
                query.group().map(|group| i64::from(group.size())),
                query.correlation().map(Category::as_str),
                types_of(query) as _,
            )
            .try_map(|row| {
                Ok(Backlog {
                    messages: u64::try_from(row.messages).map_err(decode)?,
                    oldest: row.oldest.map(Time::in_utc),
                    head: row.head.map(GlobalPosition::new).transpose().map_err(decode)?,
                })
            })
            .fetch_one(self.on())
            .await
            .map_err(|error| while_doing(format_args!("counting messages of `{category}`"), error))
        }
        .boxed()
    }
}
