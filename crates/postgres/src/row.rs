//! From a row of `messages` to a recorded message.
//!
//! Owns the list of columns, which every read shares. What stands behind `FROM messages` is with
//! the read that asks it.

use std::mem;

use evenfold_core::message::Recorded;
use evenfold_core::{GlobalPosition, Position, StreamName};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use time::macros::datetime;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

/// A checked query for whole messages: the SQL behind `FROM message_store.messages AS m`, and its
/// arguments. The server prints the documents as text, which nobody here parses again.
///
/// `metadata = …` says in SQL what is read of the metadata, `m.metadata::text` unless it is said; and
/// `of = …` that all are of this stream, whose name the server need not tell with each.
macro_rules! query_messages {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        $crate::row::query_messages!(metadata = "m.metadata::text", $rest $(, $argument)*)
    };
    (metadata = $metadata:literal, $rest:literal $(, $argument:expr)* $(,)?) => {
        $crate::row::query_messages!(@ "m.stream_name", $metadata, $rest $(, $argument)*)
            .try_map($crate::row::Row::into_recorded)
    };
    (of = $stream:expr, metadata = $metadata:literal, $rest:literal $(, $argument:expr)* $(,)?) => {
        $crate::row::query_messages!(@ "''", $metadata, $rest $(, $argument)*)
            .try_map(|row: $crate::row::Row| row.into_recorded_of($stream.clone()))
    };
    (@ $name:literal, $metadata:literal, $rest:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            $crate::row::Row,
            r#"
            SELECT
                m.id AS "id!", "# + $name + r#" AS "stream_name!", m.type AS "message_type!",
                m.position AS "position!", m.global_position AS "global_position!",
                m.time AS "time!: crate::row::Time", m.data::text AS data, "# + $metadata + r#" AS metadata
            FROM message_store.messages AS m
            "# + $rest,
            $($argument),*
        )
    };
}

pub(crate) use query_messages;

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) stream_name: String,
    pub(crate) message_type: String,
    pub(crate) position: i64,
    pub(crate) global_position: i64,
    /// In UTC, as every client of Message DB writes it.
    pub(crate) time: Time,
    pub(crate) metadata: Option<String>,
    pub(crate) data: Option<String>,
}

impl Row {
    pub(crate) fn into_recorded(mut self) -> Result<Recorded, sqlx::Error> {
        let stream_name = StreamName::stored(mem::take(&mut self.stream_name));
        self.into_recorded_of(stream_name)
    }

    pub(crate) fn into_recorded_of(self, stream_name: StreamName) -> Result<Recorded, sqlx::Error> {
        Ok(Recorded {
            id: self.id,
            stream_name,
            message_type: self.message_type.into(),
            position: Position::new(self.position).map_err(decode)?,
            global_position: GlobalPosition::new(self.global_position).map_err(decode)?,
            time: self.time.in_utc(),
            data_json: self.data.map(Into::into),
            metadata_json: self.metadata.map(Into::into),
        })
    }
}

/// A number in a row that is none of ours.
pub(crate) fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// A `timestamp` as any client may have written it. One beyond the years that `time` knows, as
/// `infinity` is, becomes the last or first of them; the driver would panic.
#[derive(Debug)]
pub(crate) struct Time(PrimitiveDateTime);

impl Time {
    pub(crate) fn in_utc(self) -> OffsetDateTime {
        self.0.assume_utc()
    }
}

impl sqlx::Type<sqlx::Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        <PrimitiveDateTime as sqlx::Type<sqlx::Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for Time {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        Ok(Self(datetime!(2000-01-01 0:00).saturating_add(Duration::microseconds(micros))))
    }
}
