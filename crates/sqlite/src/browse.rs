//! Looking around: the categories, the streams of one, a message by its id.
//!
//! Owns the listing by skips: from each name the index leads to the next, so a listing costs as
//! much as it lists, however many messages there are behind each name.

use evenfold_core::message::Recorded;
use evenfold_core::store::{
    Backlog, BatchSize, BrowseStore, CategoryQuery, CategorySummary, ConsumerGroup, StreamSummary,
};
use evenfold_core::{Category, Error, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::Sqlite;
use crate::error::while_doing;
use crate::read::types_of;
use crate::row::{decode, from_microseconds, query_messages};

impl BrowseStore for Sqlite {
    /// Counting reads the category's part of an index, about 50 ms for a million messages.
    fn categories<'a>(
        &'a self,
        after: Option<&'a Category>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<CategorySummary>, Error>> {
        let after = after.map(Category::as_str);
        async move {
            sqlx::query!(
                r#"
                WITH RECURSIVE listed (category) AS (
                    SELECT CASE
                        WHEN ?1 IS NULL THEN (SELECT min(category) FROM messages)
                        ELSE (SELECT min(category) FROM messages WHERE category > ?1)
                    END
                    UNION ALL
                    SELECT (SELECT min(category) FROM messages WHERE category > listed.category)
                    FROM listed WHERE listed.category IS NOT NULL
                    LIMIT ?2
                )
                SELECT
                    category AS "category!: String",
                    (SELECT count(*) FROM messages WHERE category = listed.category)
                        AS "messages!: i64",
                    (SELECT max(global_position) FROM messages WHERE category = listed.category)
                        AS "last!: i64"
                FROM listed WHERE category IS NOT NULL
                "#,
                after,
                limit.get(),
            )
            .try_map(|row| {
                Ok(CategorySummary {
                    category: StreamName::stored(row.category).category(),
                    messages: u64::try_from(row.messages).map_err(decode)?,
                    last: GlobalPosition::new(row.last).map_err(decode)?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .map_err(|error| while_doing("listing categories", error))
        }
        .boxed()
    }

    /// The names of a category are itself and what begins with it and a hyphen, up to but without
    /// the character behind the hyphen. `char(0)`, which no name holds, makes the next name from one.
    fn streams<'a>(
        &'a self,
        category: &'a Category,
        after: Option<&'a StreamName>,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Vec<StreamSummary>, Error>> {
        let after = after.map_or("", StreamName::as_str);
        async move {
            sqlx::query!(
                r#"
                WITH RECURSIVE listed (name) AS (
                    SELECT CASE
                        WHEN ?2 < ?1 AND EXISTS (SELECT 1 FROM messages WHERE stream_name = ?1)
                        THEN ?1
                        ELSE (
                            SELECT min(stream_name) FROM messages
                            WHERE stream_name >= max(?2 || char(0), ?1 || '-')
                              AND stream_name < ?1 || '.'
                        )
                    END
                    UNION ALL
                    SELECT (
                        SELECT min(stream_name) FROM messages
                        WHERE stream_name >= max(listed.name || char(0), ?1 || '-')
                          AND stream_name < ?1 || '.'
                    )
                    FROM listed WHERE listed.name IS NOT NULL
                    LIMIT ?3
                )
                SELECT
                    name AS "name!: String",
                    last.position AS "version!: i64",
                    last.global_position AS "last!: i64"
                FROM listed JOIN messages AS last
                  ON last.stream_name = listed.name
                 AND last.position =
                     (SELECT max(position) FROM messages WHERE stream_name = listed.name)
                "#,
                category.as_str(),
                after,
                limit.get(),
            )
            .try_map(|row| {
                Ok(StreamSummary {
                    stream: StreamName::stored(row.name),
                    version: Position::new(row.version).map_err(decode)?,
                    last: GlobalPosition::new(row.last).map_err(decode)?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .map_err(|error| while_doing(format_args!("listing streams of `{category}`"), error))
        }
        .boxed()
    }

    fn message(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Recorded>, Error>> {
        async move {
            query_messages!("WHERE id = ?1", id)
                .fetch_optional(&self.readers)
                .await
                .map_err(|error| while_doing(format_args!("reading message `{id}`"), error))
        }
        .boxed()
    }

    /// The head is in the same statement, so that it is of the same moment.
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
                    count(*) AS "messages!: i64",
                    min(time) AS "oldest: i64",
                    (SELECT max(global_position) FROM messages WHERE category = ?1) AS "head: i64"
                FROM messages INDEXED BY messages_category
                WHERE category = ?1 AND global_position > ?2
                  AND (?3 IS NULL OR correlation_category = ?3)
                  AND (?4 IS NULL OR abs(cardinal_hash % ?4) = ?5)
                  AND (?6 IS NULL OR type IN (SELECT value FROM json_each(?6)))
                "#,
                category,
                after.map_or(-1, GlobalPosition::get),
                query.correlation().map(Category::as_str),
                query.group().map(ConsumerGroup::size),
                query.group().map(ConsumerGroup::member),
                types_of(query),
            )
            .try_map(|row| {
                Ok(Backlog {
                    messages: u64::try_from(row.messages).map_err(decode)?,
                    oldest: row.oldest.map(from_microseconds).transpose().map_err(decode)?,
                    head: row.head.map(GlobalPosition::new).transpose().map_err(decode)?,
                })
            })
            .fetch_one(&self.readers)
            .await
            .map_err(|error| while_doing(format_args!("counting messages of `{category}`"), error))
        }
        .boxed()
    }
}
