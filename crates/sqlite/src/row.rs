//! From a row of `messages` to a recorded message.
//!
//! Owns the list of columns, which every read shares. What stands behind `FROM messages` is with
//! the read that asks it.

use std::mem;

use evenfold_core::message::Recorded;
use evenfold_core::{GlobalPosition, Position, StreamName};
use time::OffsetDateTime;
use uuid::Uuid;

/// A checked query for whole messages: the SQL behind `FROM messages`, and its arguments.
///
/// `metadata = …` says in SQL what is read of the metadata, all unless it is said; and `of = …` that all
/// are of this stream, whose name need not come with each.
macro_rules! query_messages {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        $crate::row::query_messages!(metadata = "metadata", $rest $(, $argument)*)
    };
    (metadata = $metadata:literal, $rest:literal $(, $argument:expr)* $(,)?) => {
        $crate::row::query_messages!(@ "stream_name", $metadata, $rest $(, $argument)*)
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
                id AS "id!: uuid::Uuid", "# + $name + r#" AS "stream_name!: String", type AS "message_type!",
                position AS "position!", global_position AS "global_position!", time AS "time!",
                data, "# + $metadata + r#" AS metadata
            FROM messages
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
    pub(crate) time: i64,
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
            time: from_microseconds(self.time).map_err(decode)?,
            data_json: self.data.map(Into::into),
            metadata_json: self.metadata.map(Into::into),
        })
    }
}

/// A number in a row that is none of ours.
pub(crate) fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// The time as it is stored; what is finer than a microsecond is cut off.
pub(crate) fn microseconds(time: OffsetDateTime) -> i64 {
    // The years that a time can have are far within the range.
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1000)).unwrap_or_default()
}

pub(crate) fn from_microseconds(
    stored: i64,
) -> Result<OffsetDateTime, time::error::ComponentRange> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(stored) * 1000)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_kept_to_the_microsecond_before_and_after_1970() {
        for (time, stored) in [
            (datetime!(2026-11-23 14:15:16.123456789 UTC), 1_795_443_316_123_456),
            (datetime!(1969-12-31 23:59:59.999999999 UTC), -1),
        ] {
            assert_eq!(microseconds(time), stored);
            assert!((time - from_microseconds(stored).unwrap()).whole_nanoseconds() < 1000);
        }
    }

    #[test]
    fn a_number_that_is_none_of_ours_is_an_error() {
        assert!(from_microseconds(i64::MAX).is_err());
    }
}
