//! Messages as a store would give them back, and data as it would be written.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test file is a crate of its own and uses a part of this"
)]

use evenfold::message::Encode;
use evenfold::prelude::*;
use evenfold::{GlobalPosition, Position};
use uuid::Uuid;

/// A message as a store would give it back.
pub fn recorded(message_type: &str, data: &str) -> Recorded {
    Recorded {
        id: Uuid::nil(),
        stream_name: "account-123".parse().unwrap(),
        message_type: message_type.into(),
        position: Position::START,
        global_position: GlobalPosition::START,
        time: time::OffsetDateTime::UNIX_EPOCH,
        data_json: Some(data.into()),
        metadata_json: None,
    }
}

/// The data that a message is written with.
pub fn data(message: &impl Encode) -> String {
    message.encode(Uuid::nil()).unwrap().data().to_owned()
}
