//! What a store answered, in the form in which two answers are compared.
//!
//! A message's place in the store is its rank among all that were written; an error is its kind and
//! the values it names.

use std::collections::BTreeMap;

use evenfold_core::error::{Conflict, DuplicateId};
use evenfold_core::message::Recorded;
use evenfold_core::store::MessageStore;
use evenfold_core::{Error, GlobalPosition, Position};
use serde_json::Value;
use uuid::Uuid;

use super::operation::{From, Operation};
use crate::json::json;

/// The place of a message among all that were written; none when it was never told of.
type Rank = Option<usize>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Written { last: Position, repetition: bool },
    Recorded { at: Option<Position> },
    Messages(Vec<Seen>),
    Message(Option<Box<Seen>>),
    Version(Option<Position>),
    Categories(Vec<(String, u64, Rank)>),
    Streams(Vec<(String, Position, Rank)>),
    Progress(Option<i64>),
    Conflict(Conflict),
    DuplicateId(DuplicateId),
    Invalid(String),
    UnreadableProgress,
    Failed(String),
}

/// A message as it was read, without its time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    id: Uuid,
    stream: String,
    message_type: Box<str>,
    position: Position,
    rank: Rank,
    data: Value,
    stored: bool,
    metadata: Value,
}

impl Answer {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Written { repetition: true, .. } | Self::Recorded { at: None } => "repetition",
            Self::Written { .. } | Self::Recorded { .. } => "written",
            Self::Messages(messages) if messages.is_empty() => "empty page",
            Self::Messages(_) => "page",
            Self::Message(None) | Self::Version(None) | Self::Progress(None) => "none",
            Self::Message(_) | Self::Version(_) | Self::Progress(_) => "found",
            Self::Categories(_) | Self::Streams(_) => "listing",
            Self::Conflict(_) => "conflict",
            Self::DuplicateId(_) => "duplicate id",
            Self::Invalid(_) => "invalid",
            Self::UnreadableProgress => "unreadable progress",
            Self::Failed(_) => "failed",
        }
    }

    fn error(error: &Error) -> Self {
        if let Some(conflict) = error.conflict() {
            Self::Conflict(conflict.clone())
        } else if let Some(duplicate) = error.duplicate_id() {
            Self::DuplicateId(duplicate.clone())
        } else if error.is_invalid() {
            Self::Invalid(error.to_string())
        } else if error.is_unreadable_progress() {
            Self::UnreadableProgress
        } else {
            Self::Failed(format!("{error:?}"))
        }
    }
}

/// One of the two stores, and where it put what was written.
pub(super) struct Side<'a> {
    store: &'a dyn MessageStore,
    ranks: BTreeMap<GlobalPosition, usize>,
}

impl<'a> Side<'a> {
    pub(super) fn new(store: &'a dyn MessageStore) -> Self {
        Self { store, ranks: BTreeMap::new() }
    }

    pub(super) fn name(&self) -> &'static str {
        self.store.name()
    }

    pub(super) async fn ask(&mut self, operation: &Operation) -> Answer {
        match self.answer(operation).await {
            Ok(answer) => answer,
            Err(error) => Answer::error(&error),
        }
    }

    async fn answer(&mut self, operation: &Operation) -> Result<Answer, Error> {
        let store = self.store;
        Ok(match operation {
            Operation::Write { stream, messages, expected } => {
                let written = store.write(stream, messages, *expected).await?;
                for message in messages.iter().filter(|_| !written.is_repetition()) {
                    self.learn(message.id()).await?;
                }
                Answer::Written { last: written.last(), repetition: written.is_repetition() }
            }
            Operation::RecordProgress { of, place, id } => {
                let known = store.message(*id).await?.is_some();
                store.record_progress(of, *place, *id).await?;
                let at = if known { None } else { Some(self.learn(*id).await?) };
                Answer::Recorded { at }
            }
            Operation::ReadStream { stream, from, limit } => {
                self.seen_all(&store.read_stream(stream, *from, *limit).await?)?
            }
            Operation::ReadCategory { query, from, limit } => {
                let from = self.place(*from)?;
                self.seen_all(&store.read_category(query, from, *limit).await?)?
            }
            Operation::LastMessage { stream, message_type } => {
                self.seen_one(store.last_message(stream, *message_type).await?.as_ref())?
            }
            Operation::Message { id } => self.seen_one(store.message(*id).await?.as_ref())?,
            Operation::StreamVersion { stream } => {
                Answer::Version(store.stream_version(stream).await?)
            }
            Operation::Categories { after, limit } => {
                let listed = store.categories(after.as_ref(), *limit).await?;
                let listed = listed.iter();
                let rank = |it| self.ranks.get(it).copied();
                Answer::Categories(
                    listed
                        .map(|it| (it.category.to_string(), it.messages, rank(&it.last)))
                        .collect(),
                )
            }
            Operation::Streams { category, after, limit } => {
                let listed = store.streams(category, after.as_ref(), *limit).await?;
                let listed = listed.iter();
                let rank = |it| self.ranks.get(it).copied();
                Answer::Streams(
                    listed.map(|it| (it.stream.to_string(), it.version, rank(&it.last))).collect(),
                )
            }
            Operation::ReadProgress { of } => Answer::Progress(store.read_progress(of).await?),
        })
    }

    /// Gives the message that was just written the next rank; it must stand behind all others.
    async fn learn(&mut self, id: Uuid) -> Result<Position, Error> {
        let Some(message) = self.store.message(id).await? else {
            return Err(Error::failed(
                "looking for what was written",
                format!("{id} is not there"),
            ));
        };
        let last = self.ranks.last_key_value().map(|(last, _)| *last);
        if last >= Some(message.global_position) {
            let stands = format!("{id} stands at {} and {last:?} before", message.global_position);
            return Err(Error::failed("the global positions do not rise", stands));
        }
        let rank = self.ranks.len();
        self.ranks.insert(message.global_position, rank);
        Ok(message.position)
    }

    fn place(&self, from: From) -> Result<GlobalPosition, Error> {
        let of = |rank| {
            self.ranks
                .iter()
                .find(|(_, known)| **known == rank)
                .map_or(GlobalPosition::START, |it| *it.0)
        };
        Ok(match from {
            From::Start => GlobalPosition::START,
            From::At(rank) => of(rank),
            From::Behind(rank) => of(rank).next(),
            From::End => GlobalPosition::new(i64::MAX)?,
        })
    }

    fn seen_all(&self, messages: &[Recorded]) -> Result<Answer, Error> {
        let seen = messages.iter().map(|message| self.seen(message)).collect::<Result<_, _>>()?;
        Ok(Answer::Messages(seen))
    }

    fn seen_one(&self, message: Option<&Recorded>) -> Result<Answer, Error> {
        let seen = message.map(|message| self.seen(message)).transpose()?;
        Ok(Answer::Message(seen.map(Box::new)))
    }

    fn seen(&self, message: &Recorded) -> Result<Seen, Error> {
        Ok(Seen {
            id: message.id,
            stream: message.stream_name.to_string(),
            message_type: message.message_type.clone(),
            position: message.position,
            rank: self.ranks.get(&message.global_position).copied(),
            data: json(message.data())?,
            stored: message.data_json.is_some(),
            metadata: json(message.metadata_json.as_deref().unwrap_or("null"))?,
        })
    }
}
