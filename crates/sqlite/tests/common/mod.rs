//! What the tests of a file share: its URL, a connection beside the store, messages to write.

use std::ops::Range;
use std::path::Path;

use evenfold_core::message::NewMessage;
use serde_json::value::RawValue;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use uuid::Uuid;

pub(crate) type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> =
    std::result::Result<T, E>;

pub(crate) fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// A connection to the file that knows nothing of evenfold.
pub(crate) async fn raw(file: &Path) -> Result<SqliteConnection> {
    Ok(SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await?)
}

/// Messages with these numbers as their ids.
pub(crate) fn messages(ids: Range<u128>) -> Result<Vec<NewMessage>> {
    let data = RawValue::from_string(r#"{"amount":5}"#.into())?;
    ids.map(|id| Ok(NewMessage::new(Uuid::from_u128(id), "Deposited", &data)?)).collect()
}
