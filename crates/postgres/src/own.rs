//! The statements on functions and the column that our migrations add to Message DB.
//!
//! They stand here, each whole in one literal, and nowhere else: they are checked against our schema
//! alone, all others against the genuine Message DB too. `write.rs` and `read.rs` choose between both.

use evenfold_core::message::{NewMessage, Recorded};
use evenfold_core::store::{BatchSize, CategoryQuery, ConsumerGroup};
use evenfold_core::{ExpectedVersion, GlobalPosition, StreamName};

use crate::connections::Way;
use crate::error::refusal_of;
use crate::flush::{Group, Verdict, query_group, verdict_of};
use crate::read::types_of;
use crate::row::Row;
use crate::write::Columns;

/// Writes a batch, and returns the position of its last message.
pub(crate) async fn append_messages(
    on: Way<'_>,
    stream: &StreamName,
    messages: &[NewMessage],
    expected: ExpectedVersion,
) -> Result<i64, sqlx::Error> {
    let Columns { ids, types, data, metadata } = Columns::of(messages);
    sqlx::query_scalar!(
        r#"
        SELECT message_store.append_messages(
            $1::varchar, $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint
        ) AS "position!"
        "#,
        stream.as_str(),
        &ids,
        types as _,
        data as _,
        metadata as _,
        expected.as_number(),
    )
    .fetch_one(on)
    .await
}

/// Writes a group, and says of each writer what became of it.
pub(crate) async fn append_items(
    on: Way<'_>,
    group: &Group<'_>,
) -> Result<Vec<Verdict>, sqlx::Error> {
    let answers = query_group!(
        query,
        r#"
        SELECT last_position, error_state, error_message, error_constraint
        FROM message_store.append_items(
            $1::text[], $2::bigint[], $3::int[], $4::uuid[], $5::text[], $6::text[], $7::text[]
        )
        ORDER BY item
        "#,
        group,
    )
    .fetch_all(on)
    .await?;
    answers
        .into_iter()
        .map(|answer| {
            let refusal = refusal_of(
                answer.error_state.as_deref().unwrap_or_default(),
                answer.error_message.as_deref().unwrap_or_default(),
                answer.error_constraint.as_deref(),
            );
            match answer.last_position {
                None if refusal.is_none() => Ok(Verdict::Alone),
                last => verdict_of(last),
            }
        })
        .collect()
}

/// A page of a category for a member of a group, by the hash that our schema keeps with each message;
/// one that was written before our functions were has none. How the page walks is told in `read.rs`.
pub(crate) async fn members_page(
    on: Way<'_>,
    query: &CategoryQuery,
    group: ConsumerGroup,
    from: GlobalPosition,
    limit: BatchSize,
) -> Result<Vec<Recorded>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            m.id AS "id!", m.stream_name AS "stream_name!", m.type AS "message_type!",
            m.position AS "position!", m.global_position AS "global_position!",
            m.time AS "time!: crate::row::Time", m.data::text AS data,
            CASE WHEN $6 THEN m.metadata::text END AS metadata
        FROM message_store.messages AS m
        WHERE ROW(message_store.category(m.stream_name), m.global_position)
                >= ROW($1::varchar, $2::bigint)
            AND message_store.category(m.stream_name) <= $1::varchar
            AND coalesce(abs(mod(coalesce(
                m.cardinal_hash, message_store.hash_64(message_store.cardinal_id(m.stream_name))
            ), $5::bigint)) = $4::bigint, false)
            AND coalesce($7::text[] IS NULL OR m.type = ANY ($7), false)
        ORDER BY message_store.category(m.stream_name), m.global_position LIMIT $3
        "#,
        query.category().as_str(),
        from.get(),
        i64::from(limit.get()),
        i64::from(group.member()),
        i64::from(group.size()),
        query.has_metadata(),
        types_of(query) as _,
    )
    .try_map(Row::into_recorded)
    .fetch_all(on)
    .await
}
