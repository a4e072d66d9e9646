//! Reading: pages of a stream and of a category, the last message, the version.
//!
//! Owns which index each read walks, for Message DB's schema and ours alike, with a plan that was made
//! for any value or for this one. How a row becomes a message is in `row.rs`.

use evenfold_core::message::Recorded;
use evenfold_core::store::{BatchSize, CategoryQuery, ReadStore};
use evenfold_core::{Category, Error, GlobalPosition, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::Postgres;
use crate::connections::Way;
use crate::error::while_doing;
use crate::own;
use crate::row::{decode, query_messages};

/// All reads of a type, of the store that it gives and by the way of a statement, perhaps of what is
/// behind a lock of its own.
macro_rules! reads {
    ($type:ty, $store:ident, $of:expr $(, $lent:ident = $lock:expr)? => $on:expr) => {
        impl ReadStore for $type {
            fn read_stream<'a>(
                &'a self,
                stream: &'a StreamName,
                from: Position,
                limit: BatchSize,
            ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
                let $store = self;
                async move {
                    $(let mut $lent = $lock.await;)?
                    $crate::read::stream_page($on, stream, from, limit, true).await
                }
                .boxed()
            }

            fn read_stream_data<'a>(
                &'a self,
                stream: &'a StreamName,
                from: Position,
                limit: BatchSize,
            ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
                let $store = self;
                async move {
                    $(let mut $lent = $lock.await;)?
                    $crate::read::stream_page($on, stream, from, limit, false).await
                }
                .boxed()
            }

            fn read_category<'a>(
                &'a self,
                query: &'a CategoryQuery,
                from: GlobalPosition,
                limit: BatchSize,
            ) -> BoxFuture<'a, Result<Vec<Recorded>, Error>> {
                let $store = self;
                async move {
                    $(let mut $lent = $lock.await;)?
                    let keeps_hashes = $of.schema.has_additions();
                    $crate::read::category_page($on, keeps_hashes, query, from, limit).await
                }
                .boxed()
            }

            fn last_message<'a>(
                &'a self,
                stream: &'a StreamName,
                message_type: Option<&'a str>,
            ) -> BoxFuture<'a, Result<Option<Recorded>, Error>> {
                let $store = self;
                async move {
                    $(let mut $lent = $lock.await;)?
                    $crate::read::last($on, stream, message_type).await
                }
                .boxed()
            }

            fn stream_version<'a>(
                &'a self,
                stream: &'a StreamName,
            ) -> BoxFuture<'a, Result<Option<Position>, Error>> {
                let $store = self;
                async move {
                    $(let mut $lent = $lock.await;)?
                    $crate::read::version($on, stream).await
                }
                .boxed()
            }

            fn category_head<'a>(
                &'a self,
                category: &'a evenfold_core::Category,
            ) -> BoxFuture<'a, Result<Option<GlobalPosition>, Error>> {
                let $store = self;
                async move {
                    $(let mut $lent = $lock.await;)?
                    $crate::read::head($on, category).await
                }
                .boxed()
            }
        }
    };
}

pub(crate) use reads;

reads!(Postgres, store, store => store.on());

pub(crate) async fn last(
    on: Way<'_>,
    stream: &StreamName,
    message_type: Option<&str>,
) -> Result<Option<Recorded>, Error> {
    query_messages!(
        "WHERE m.stream_name = $1 AND ($2::text IS NULL OR m.type = $2)
                 ORDER BY m.position DESC LIMIT 1",
        stream.as_str(),
        message_type,
    )
    .fetch_optional(on)
    .await
    .map_err(|error| while_doing(format_args!("reading the end of `{stream}`"), error))
}

pub(crate) async fn stream_page(
    on: Way<'_>,
    stream: &StreamName,
    from: Position,
    limit: BatchSize,
    has_metadata: bool,
) -> Result<Vec<Recorded>, Error> {
    query_messages!(
        of = stream,
        metadata = "CASE WHEN $4 THEN m.metadata::text END",
        "WHERE m.stream_name = $1 AND m.position >= $2 ORDER BY m.position LIMIT $3",
        stream.require_id()?.as_str(),
        from.get(),
        i64::from(limit.get()),
        has_metadata,
    )
    .fetch_all(on)
    .await
    .map_err(|error| while_doing(format_args!("reading `{stream}` from {from}"), error))
}

pub(crate) async fn version(on: Way<'_>, stream: &StreamName) -> Result<Option<Position>, Error> {
    sqlx::query_scalar!(
        r#"
            SELECT position FROM message_store.messages
            WHERE stream_name = $1 ORDER BY position DESC LIMIT 1
            "#,
        stream.as_str(),
    )
    .fetch_optional(on)
    .await
    .and_then(|version| version.map(Position::new).transpose().map_err(decode))
    .map_err(|error| while_doing(format_args!("reading the version of `{stream}`"), error))
}

/// The order names the category, as that of a page does, and so walks its index backwards.
pub(crate) async fn head(
    on: Way<'_>,
    category: &Category,
) -> Result<Option<GlobalPosition>, Error> {
    sqlx::query_scalar!(
        r#"
            SELECT m.global_position FROM message_store.messages AS m
            WHERE message_store.category(m.stream_name) = ANY (ARRAY[$1::varchar])
            ORDER BY message_store.category(m.stream_name) DESC, m.global_position DESC LIMIT 1
            "#,
        category.as_str(),
    )
    .fetch_optional(on)
    .await
    .and_then(|head| head.map(GlobalPosition::new).transpose().map_err(decode))
    .map_err(|error| while_doing(format_args!("reading the end of `{category}`"), error))
}

/// Keeps to the index on the category, however rare it is and whichever plan is chosen.
///
/// The place where the page begins is a row of category and global position, and the category stands
/// in the order. An equation would tell the planner that the order by global position alone will do,
/// and then it may walk the primary key through the whole table for a rare category. A condition on
/// the global position by itself would let it take the primary key from there on, and sort: it does
/// so near the end of a frequent category, for it takes the category's rows to be scattered, and a page
/// then costs as much as all that is left. `coalesce` hides an equation that it takes for
/// so selective that it would sort the category rather than stop at the limit; that on the
/// correlation is not hidden, for the index has it. The hash is that
/// of `hash_64(cardinal_id(stream_name))`, by built-in functions alone, which is several times
/// faster; the remainder is taken before `abs`, which has no answer for the lowest number.
pub(crate) async fn category_page(
    on: Way<'_>,
    keeps_hashes: bool,
    query: &CategoryQuery,
    from: GlobalPosition,
    limit: BatchSize,
) -> Result<Vec<Recorded>, Error> {
    let failed = |error| while_reading(query.category(), from, error);
    if let (Some(group), None, true) = (query.group(), query.correlation(), keeps_hashes) {
        return own::members_page(on, query, group, from, limit).await.map_err(failed);
    }
    let (category, from) = (query.category().as_str(), from.get());
    let limit = i64::from(limit.get());
    let member = query.group().map(|group| i64::from(group.member()));
    let size = query.group().map(|group| i64::from(group.size()));
    let (types, has_metadata) = (types_of(query), query.has_metadata());
    let Some(correlation) = query.correlation().map(Category::as_str) else {
        return query_messages!(
            metadata = "CASE WHEN $6 THEN m.metadata::text END",
            "WHERE ROW(message_store.category(m.stream_name), m.global_position)
                   >= ROW($1::varchar, $2::bigint)
               AND message_store.category(m.stream_name) <= $1::varchar
               AND coalesce($5::bigint IS NULL OR abs(mod(('x' || md5(split_part(substr(
                       m.stream_name, nullif(strpos(m.stream_name, '-'), 0) + 1
                   ), '+', 1)))::bit(64)::bigint, $5)) = $4::bigint, false)
               AND coalesce($7::text[] IS NULL OR m.type = ANY ($7), false)
             ORDER BY message_store.category(m.stream_name), m.global_position LIMIT $3",
            category,
            from,
            limit,
            member,
            size,
            has_metadata,
            types as _,
        )
        .fetch_all(on)
        .await
        .map_err(failed);
    };
    query_messages!(
        metadata = "CASE WHEN $7 THEN m.metadata::text END",
        "WHERE ROW(message_store.category(m.stream_name), m.global_position)
               >= ROW($1::varchar, $2::bigint)
           AND message_store.category(m.stream_name) <= $1::varchar
           AND message_store.category(m.metadata ->> 'correlationStreamName') = $6::varchar
           AND coalesce($5::bigint IS NULL OR abs(mod(('x' || md5(split_part(substr(
                   m.stream_name, nullif(strpos(m.stream_name, '-'), 0) + 1
               ), '+', 1)))::bit(64)::bigint, $5)) = $4::bigint, false)
           AND coalesce($8::text[] IS NULL OR m.type = ANY ($8), false)
         ORDER BY message_store.category(m.stream_name), m.global_position LIMIT $3",
        category,
        from,
        limit,
        member,
        size,
        correlation,
        has_metadata,
        types as _,
    )
    .fetch_all(on)
    .await
    .map_err(failed)
}

/// The types of a query, as an argument.
pub(crate) fn types_of(query: &CategoryQuery) -> Option<Vec<&str>> {
    Some(query.types()?.iter().map(|name| &**name).collect())
}

fn while_reading(category: &Category, from: GlobalPosition, error: sqlx::Error) -> Error {
    while_doing(format_args!("reading category `{category}` from {from}"), error)
}
