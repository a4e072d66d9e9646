//! Reading: pages of a stream and of a category, the last message, the version.
//!
//! Owns which index each read walks; `tests/plans.rs` holds every one of them to it. How a row
//! becomes a message is in `row.rs`.

use evenfold_core::message::Recorded;
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore};
use evenfold_core::{Category, Error, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteExecutor;

use crate::error::while_doing;
use crate::row::{decode, query_messages};
use crate::{Sqlite, Transaction};

/// What the store reads and what a transaction reads, by the same statements: only what they run on is not
/// the same.
macro_rules! reads {
    ($of:ty, |$self:ident| $on:expr) => {
        impl ReadStore for $of {
            fn read_stream<'a>(
                &'a $self,
                stream: &'a StreamName,
                from: Position,
                limit: BatchSize,
            ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
                async move { stream_page($on, stream, from, limit, true).await }.boxed()
            }

            fn read_stream_data<'a>(
                &'a $self,
                stream: &'a StreamName,
                from: Position,
                limit: BatchSize,
            ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
                async move { stream_page($on, stream, from, limit, false).await }.boxed()
            }

            fn read_category<'a>(
                &'a $self,
                query: &'a CategoryQuery,
                from: GlobalPosition,
                limit: BatchSize,
            ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
                async move { category_page($on, query, from, limit).await }.boxed()
            }

            fn last_message<'a>(
                &'a $self,
                stream: &'a StreamName,
                message_type: Option<&'a str>,
            ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
                async move { last($on, stream, message_type).await }.boxed()
            }

            fn stream_version<'a>(
                &'a $self,
                stream: &'a StreamName,
            ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
                async move { version($on, stream).await }.boxed()
            }

            fn category_head<'a>(
                &'a $self,
                category: &'a Category,
            ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>> {
                async move { head($on, category).await }.boxed()
            }
        }
    };
}

reads!(Sqlite, |self| &self.readers);
reads!(Transaction, |self| &mut **self.on().await);

pub(crate) async fn head(
    on: impl SqliteExecutor<'_>,
    category: &Category,
) -> Result<Option<GlobalPosition>, Error> {
    sqlx::query_scalar!(
        r#"
                SELECT max(global_position) AS "position: i64" FROM messages WHERE category = ?1
                "#,
        category.as_str(),
    )
    .fetch_one(on)
    .await
    .and_then(|head| head.map(GlobalPosition::new).transpose().map_err(decode))
    .map_err(|error| while_doing(format_args!("reading the end of `{category}`"), error))
}

pub(crate) async fn stream_page(
    on: impl SqliteExecutor<'_>,
    stream: &StreamName,
    from: Position,
    limit: BatchSize,
    has_metadata: bool,
) -> Result<Vec<Recorded>, Error> {
    query_messages!(
        of = stream,
        metadata = "CASE WHEN ?4 THEN metadata END",
        "WHERE stream_name = ?1 AND position >= ?2 ORDER BY position LIMIT ?3",
        stream.require_id()?.as_str(),
        from.get(),
        limit.get(),
        has_metadata,
    )
    .fetch_all(on)
    .await
    .map_err(|error| while_doing(format_args!("reading `{stream}` from {from}"), error))
}

pub(crate) async fn last(
    on: impl SqliteExecutor<'_>,
    stream: &StreamName,
    message_type: Option<&str>,
) -> Result<Option<Recorded>, Error> {
    let name = stream.as_str();
    match message_type {
        None => {
            query_messages!("WHERE stream_name = ?1 ORDER BY position DESC LIMIT 1", name)
                .fetch_optional(on)
                .await
        }
        Some(of_type) => {
            query_messages!(
                "WHERE stream_name = ?1 AND type = ?2 ORDER BY position DESC LIMIT 1",
                name,
                of_type,
            )
            .fetch_optional(on)
            .await
        }
    }
    .map_err(|error| while_doing(format_args!("reading the end of `{stream}`"), error))
}

pub(crate) async fn version(
    on: impl SqliteExecutor<'_>,
    stream: &StreamName,
) -> Result<Option<Position>, Error> {
    sqlx::query_scalar!(
        r#"SELECT max(position) AS "position: i64" FROM messages WHERE stream_name = ?1"#,
        stream.as_str(),
    )
    .fetch_one(on)
    .await
    .and_then(|version| version.map(Position::new).transpose().map_err(decode))
    .map_err(|error| while_doing(format_args!("reading the version of `{stream}`"), error))
}

/// A query for each set of filters, so that SQLite plans each for itself. `INDEXED BY` keeps a
/// rare category from being looked for in the whole table, whatever `ANALYZE` has found.
///
/// The remainder is taken before `abs`, which has no answer for the lowest number there is.
pub(crate) async fn category_page(
    on: impl SqliteExecutor<'_>,
    query: &CategoryQuery,
    from: GlobalPosition,
    limit: BatchSize,
) -> Result<Vec<Recorded>, Error> {
    let (category, from, limit) = (query.category().as_str(), from.get(), limit.get());
    let (types, has_metadata) = (types_of(query), query.has_metadata());
    let correlation = query.correlation().map(Category::as_str);
    match (correlation, query.group()) {
        (None, None) => {
            query_messages!(
                metadata = "CASE WHEN ?4 THEN metadata END",
                "INDEXED BY messages_category
                 WHERE category = ?1 AND global_position >= ?2
                   AND (?5 IS NULL OR type IN (SELECT value FROM json_each(?5)))
                 ORDER BY global_position LIMIT ?3",
                category,
                from,
                limit,
                has_metadata,
                types,
            )
            .fetch_all(on)
            .await
        }
        (Some(correlation), None) => {
            query_messages!(
                metadata = "CASE WHEN ?5 THEN metadata END",
                "INDEXED BY messages_category
                 WHERE category = ?1 AND global_position >= ?2 AND correlation_category = ?4
                   AND (?6 IS NULL OR type IN (SELECT value FROM json_each(?6)))
                 ORDER BY global_position LIMIT ?3",
                category,
                from,
                limit,
                correlation,
                has_metadata,
                types,
            )
            .fetch_all(on)
            .await
        }
        (None, Some(group)) => {
            query_messages!(
                metadata = "CASE WHEN ?6 THEN metadata END",
                "INDEXED BY messages_category
                 WHERE category = ?1 AND global_position >= ?2 AND abs(cardinal_hash % ?4) = ?5
                   AND (?7 IS NULL OR type IN (SELECT value FROM json_each(?7)))
                 ORDER BY global_position LIMIT ?3",
                category,
                from,
                limit,
                group.size(),
                group.member(),
                has_metadata,
                types,
            )
            .fetch_all(on)
            .await
        }
        (Some(correlation), Some(group)) => {
            query_messages!(
                metadata = "CASE WHEN ?7 THEN metadata END",
                "INDEXED BY messages_category
                 WHERE category = ?1 AND global_position >= ?2
                   AND abs(cardinal_hash % ?4) = ?5 AND correlation_category = ?6
                   AND (?8 IS NULL OR type IN (SELECT value FROM json_each(?8)))
                 ORDER BY global_position LIMIT ?3",
                category,
                from,
                limit,
                group.size(),
                group.member(),
                correlation,
                has_metadata,
                types,
            )
            .fetch_all(on)
            .await
        }
    }
    .map_err(|error| while_doing(format_args!("reading category `{category}` from {from}"), error))
}

/// The types of a query, as an argument: a JSON array.
pub(crate) fn types_of(query: &CategoryQuery) -> Option<String> {
    let types: Vec<_> = query.types()?.iter().map(|name| &**name).collect();
    Some(serde_json::Value::from(types).to_string())
}
