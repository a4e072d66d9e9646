//! Commands as JSON lines: read, checked, and written to the command category.
//!
//! A line is `{"type": "Deposit", "account": "ann", "data": {"amount": 50}}`, and may have an `id`.
//! What cannot be read is reported with its number and left out; a type that the bank does not know
//! is written all the same, for another service may know it.

use std::collections::HashMap;

use evenfold::error::Invalid;
use evenfold::message::NewMessage;
use evenfold::prelude::*;
use evenfold::{Store, error::BoxError};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use uuid::Uuid;

use crate::messages::AccountCommand;

#[derive(Deserialize)]
struct Line {
    id: Option<Uuid>,
    r#type: String,
    account: String,
    data: Option<Box<RawValue>>,
}

/// What became of the lines.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) written: u64,
    pub(crate) known: u64,
    pub(crate) unknown_types: u64,
    /// The number of the line, and what is wrong with it.
    pub(crate) broken: Vec<(usize, String)>,
}

/// Writes the command of each line once, however often it is read.
pub(crate) async fn take(
    store: &Store,
    mut lines: impl AsyncBufRead + Unpin,
) -> Result<Taken, BoxError> {
    let mut taken = Taken::default();
    let mut seen = HashMap::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if lines.read_until(b'\n', &mut line).await? == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match parse(text, &mut seen) {
            Ok(command) => write(store, command, number, &mut taken).await?,
            Err(reason) => taken.broken.push((number, reason)),
        }
    }
    Ok(taken)
}

struct Command {
    stream: StreamName,
    message: NewMessage,
    is_known: bool,
}

fn parse(text: &[u8], seen: &mut HashMap<Vec<u8>, u64>) -> Result<Command, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let id = line.id.unwrap_or_else(|| id_of(text, seen));
    let data = match line.data {
        Some(data) => data,
        None => RawValue::from_string("{}".into()).map_err(|error| error.to_string())?,
    };
    let invalid = |invalid: Invalid| invalid.to_string();
    let stream = AccountCommand::category().stream(&EntityId::new(line.account).map_err(invalid)?);
    let message = NewMessage::new(id, line.r#type, &data).map_err(invalid)?;
    let known = message.read::<AccountCommand>(&stream).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("`{}`: {}", error.path(), cause.unwrap_or_default())
    })?;
    Ok(Command { stream, message, is_known: known.is_some() })
}

/// The id of a line without one: made of its text, and of how often that text came before, so that
/// reading the same file again makes the same ids and two equal lines are still two commands.
fn id_of(text: &[u8], seen: &mut HashMap<Vec<u8>, u64>) -> Uuid {
    let times = seen.entry(text.to_vec()).or_default();
    *times += 1;
    Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_OID, text), &times.to_be_bytes())
}

async fn write(
    store: &Store,
    command: Command,
    number: usize,
    taken: &mut Taken,
) -> Result<(), BoxError> {
    match store.write(command.stream, command.message).await {
        Ok(written) if written.is_repetition() => taken.known += 1,
        Ok(_) => {
            taken.written += 1;
            taken.unknown_types += u64::from(!command.is_known);
        }
        Err(error) if error.is_duplicate_id() => taken.broken.push((number, error.to_string())),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
