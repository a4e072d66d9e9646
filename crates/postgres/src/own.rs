//! The statements on functions that our migrations add to Message DB.
//!
//! They stand here, each whole in one literal, and nowhere else: they are checked against our schema
//! alone, all others against the genuine Message DB too. `write.rs` chooses between both.

use evenfold_core::message::NewMessage;
use evenfold_core::{ExpectedVersion, StreamName};

use crate::connections::Way;
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
