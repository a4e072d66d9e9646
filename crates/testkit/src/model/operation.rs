//! What the model test asks: everything a store can do, with few names so that they meet often.
//!
//! The numbers come from a small generator of its own: the same seed asks the same for ever.

use std::collections::BTreeMap;

use evenfold_core::message::{Metadata, NewMessage};
use evenfold_core::store::{
    BatchSize, CategoryQuery, ConsumerGroup, Place, ProgressStream, SubscriberId,
};
use evenfold_core::{Category, Error, ExpectedVersion, Position, StreamName};
use uuid::Uuid;

use super::answer::Answer;
use crate::controls::message::{awkward_data, raw};
use crate::controls::{id, metadata};
use crate::random::Random;

/// One thing asked of both stores.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Write { stream: StreamName, messages: Vec<NewMessage>, expected: ExpectedVersion },
    ReadStream { stream: StreamName, from: Position, limit: BatchSize },
    ReadCategory { query: CategoryQuery, from: From, limit: BatchSize },
    LastMessage { stream: StreamName, message_type: Option<&'static str> },
    StreamVersion { stream: StreamName },
    Categories { after: Option<Category>, limit: BatchSize },
    Streams { category: Category, after: Option<StreamName>, limit: BatchSize },
    Message { id: Uuid },
    ReadProgress { of: ProgressStream },
    RecordProgress { of: ProgressStream, place: Place, id: Uuid },
}

/// Where a page of a category begins; the message of a rank may stand elsewhere in each store.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Start,
    At(usize),
    Behind(usize),
    End,
}

impl Operation {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Write { .. } => "write",
            Self::ReadStream { .. } => "read stream",
            Self::ReadCategory { .. } => "read category",
            Self::LastMessage { .. } => "last message",
            Self::StreamVersion { .. } => "stream version",
            Self::Categories { .. } => "categories",
            Self::Streams { .. } => "streams",
            Self::Message { .. } => "message",
            Self::ReadProgress { .. } => "read progress",
            Self::RecordProgress { .. } => "record progress",
        }
    }
}

const STREAMS: [&str; 10] = [
    "account-1",
    "account-2",
    "account-1+x",
    "account",
    "account:command-1",
    "Account-1",
    "transfer-1",
    "transfer-ü",
    "account:position-teller",
    "account:streamPosition-teller+1",
];
const CATEGORIES: [&str; 6] =
    ["account", "transfer", "account:command", "account:position", "Account", "nothing"];
const TYPES: [&str; 4] = ["Deposited", "Withdrawn", "Recorded", "deposited"];
const CORRELATIONS: [&str; 4] = ["transfer-1", "transfer:v1-2", "transfer", "account-1"];

pub(super) struct Generator {
    random: Random,
    data: Vec<String>,
    batches: Vec<(StreamName, Vec<NewMessage>)>,
    versions: BTreeMap<StreamName, Position>,
    ids: u32,
    messages: usize,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let mut data: Vec<_> = awkward_data().into_iter().map(|(_, json)| json).collect();
        data.retain(|json| json.len() < 1_000);
        data.extend(
            ["{}", r#"{"amount":1}"#, r#"{"position":3}"#, r#"{"streamPosition":4}"#]
                .map(Into::into),
        );
        Self {
            random: Random::new(seed),
            data,
            batches: Vec::new(),
            versions: BTreeMap::new(),
            ids: 0,
            messages: 0,
        }
    }

    /// The next thing to ask; what cannot be made is a question for nothing.
    pub(super) fn next(&mut self) -> Operation {
        let none = Operation::Message { id: Uuid::nil() };
        self.choose().unwrap_or(none)
    }

    /// Remembers what was written, so that it can be written again and expected.
    pub(super) fn learn(&mut self, operation: &Operation, answer: &Answer) {
        match (operation, answer) {
            (
                Operation::Write { stream, messages, .. },
                Answer::Written { last, repetition: false },
            ) => {
                self.batches.push((stream.clone(), messages.clone()));
                self.versions.insert(stream.clone(), *last);
                self.messages += messages.len();
            }
            (Operation::RecordProgress { of, .. }, Answer::Recorded { at: Some(at), .. }) => {
                self.versions.insert(of.stream().clone(), *at);
                self.messages += 1;
            }
            _ => {}
        }
    }

    /// What reads all that there is.
    pub(super) fn everything(&self) -> Vec<Operation> {
        let limit = BatchSize::new(1_000_000).unwrap_or_default();
        let mut all = vec![Operation::Categories { after: None, limit }];
        for category in CATEGORIES.into_iter().filter_map(|text| Category::new(text).ok()) {
            all.push(Operation::Streams { category: category.clone(), after: None, limit });
            let query = CategoryQuery::new(category);
            all.push(Operation::ReadCategory { query, from: From::Start, limit });
        }
        for stream in self.versions.keys().cloned() {
            all.push(Operation::ReadStream { stream, from: Position::START, limit });
        }
        all
    }

    fn choose(&mut self) -> Result<Operation, Error> {
        Ok(match self.random.below(20) {
            0..=7 => self.write()?,
            8..=9 => {
                let stream = self.read_stream()?;
                let from = self.position(&stream)?;
                Operation::ReadStream { stream, from, limit: self.limit()? }
            }
            10..=13 => Operation::ReadCategory {
                query: self.query()?,
                from: self.from(),
                limit: self.limit()?,
            },
            14 => {
                let asked = self.random.one_of(&["Deposited", "recorded", "Recorded"]).copied();
                let message_type = asked.filter(|_| self.random.below(2) == 0);
                Operation::LastMessage { stream: self.read_stream()?, message_type }
            }
            15 => Operation::StreamVersion { stream: self.read_stream()? },
            16 => match self.random.below(2) {
                0 => Operation::Categories {
                    after: self.after(Self::category)?,
                    limit: self.limit()?,
                },
                _ => Operation::Streams {
                    category: self.category()?,
                    after: self.after(Self::stream)?,
                    limit: self.limit()?,
                },
            },
            17 => Operation::Message { id: self.some_id() },
            18 => Operation::ReadProgress { of: self.progress()? },
            _ => {
                let place = [0, 1, i64::MAX, i64::from(self.random.number_below(1_000))];
                let place = self.random.one_of(&place).copied().unwrap_or_default();
                let id = if self.random.below(5) == 0 { self.some_id() } else { self.new_id() };
                Operation::RecordProgress { of: self.progress()?, place, id }
            }
        })
    }

    fn write(&mut self) -> Result<Operation, Error> {
        let (of, known) = self.random.one_of(&self.batches).cloned().unzip();
        let (stream, mut messages) =
            (of.map_or_else(|| self.stream(), Ok)?, known.unwrap_or_default());
        let (stream, messages) = match self.random.below(20) {
            0..=1 => (stream, messages),
            2 => {
                messages.truncate(1 + self.random.below(messages.len()));
                (stream, messages)
            }
            3 => {
                messages.reverse();
                (stream, messages)
            }
            4 => (self.stream()?, messages),
            5 => {
                let taken = messages.iter().map(|message| self.changed(message));
                let taken: Vec<_> = taken.collect::<Result<_, _>>()?;
                (stream, taken)
            }
            6 => {
                let at = self.random.below(messages.len() + 1);
                messages.insert(at, self.message()?);
                (stream, messages)
            }
            7 => {
                let more = self.random.one_of(&self.batches).cloned();
                messages.extend(more.map(|(_, more)| more).unwrap_or_default());
                (stream, messages)
            }
            8 => {
                messages.extend(messages.first().cloned());
                (stream, messages)
            }
            _ => {
                let count = [0, 1, 1, 1, 2, 3, 5, 20];
                let count = self.random.one_of(&count).copied().unwrap_or_default();
                let fresh: Result<_, _> = (0..count).map(|_| self.message()).collect();
                (self.stream()?, fresh?)
            }
        };
        let expected = self.expected(&stream)?;
        Ok(Operation::Write { stream, messages, expected })
    }

    fn message(&mut self) -> Result<NewMessage, Error> {
        let number = self.new_number();
        self.numbered(number)
    }

    fn numbered(&mut self, number: u32) -> Result<NewMessage, Error> {
        let data = self.random.one_of(&self.data).cloned().unwrap_or_default();
        let message_type = self.random.one_of(&TYPES).copied().unwrap_or_default();
        Ok(raw(number, message_type, data)?.with_metadata(self.metadata()?))
    }

    /// Another message, as a rule, under the id of this one.
    fn changed(&mut self, message: &NewMessage) -> Result<NewMessage, Error> {
        let number = u32::try_from(message.id().as_u128() & 0xffff_ffff).unwrap_or_default();
        self.numbered(number)
    }

    fn metadata(&mut self) -> Result<Metadata, Error> {
        Ok(match self.random.below(8) {
            0 => metadata::complete()?,
            1 => metadata::unknown_keys(),
            2..=4 => {
                let stream = self.random.one_of(&CORRELATIONS).copied().unwrap_or_default();
                metadata::correlated_with(stream)?
            }
            _ => Metadata::default(),
        })
    }

    fn expected(&mut self, stream: &StreamName) -> Result<ExpectedVersion, Error> {
        let version = self.versions.get(stream).copied();
        Ok(match self.random.below(8) {
            0 => ExpectedVersion::NoStream,
            1 => ExpectedVersion::At(self.position(stream)?),
            2..=3 => ExpectedVersion::from(version),
            _ => ExpectedVersion::Any,
        })
    }

    /// A position in the stream or not far behind its end.
    fn position(&mut self, stream: &StreamName) -> Result<Position, Error> {
        if self.random.below(20) == 0 {
            return Ok(Position::new(i64::MAX)?);
        }
        let version = self.versions.get(stream).map_or(0, |version| version.get());
        let end = u32::try_from(version).unwrap_or_default() + 3;
        Ok(Position::new(self.random.number_below(end).into())?)
    }

    fn from(&mut self) -> From {
        match self.random.below(8) {
            0..=2 => From::Start,
            3..=4 => From::At(self.random.below(self.messages)),
            5..=6 => From::Behind(self.random.below(self.messages)),
            _ => From::End,
        }
    }

    fn limit(&mut self) -> Result<BatchSize, Error> {
        let limit = [1, 2, 7, 1_000, 1_000_000];
        Ok(BatchSize::new(self.random.one_of(&limit).copied().unwrap_or(1))?)
    }

    fn query(&mut self) -> Result<CategoryQuery, Error> {
        let mut query = CategoryQuery::new(self.category()?);
        if self.random.below(3) == 0 {
            query = query.correlated_with(self.category()?);
        }
        if self.random.below(3) == 0 {
            let size = 1 + i64::from(self.random.number_below(3));
            let member = i64::from(self.random.number_below(3)) % size;
            query = query.for_member(ConsumerGroup::new(member, size)?);
        }
        Ok(query)
    }

    fn after<T>(&mut self, one: fn(&mut Self) -> Result<T, Error>) -> Result<Option<T>, Error> {
        if self.random.below(2) == 0 { Ok(None) } else { one(self).map(Some) }
    }

    fn stream(&mut self) -> Result<StreamName, Error> {
        Ok(StreamName::new(self.random.one_of(&STREAMS).copied().unwrap_or_default())?)
    }

    /// A stream to read: now and then one that is never written.
    fn read_stream(&mut self) -> Result<StreamName, Error> {
        if self.random.below(8) == 0 { Ok(StreamName::new("account-11")?) } else { self.stream() }
    }

    fn category(&mut self) -> Result<Category, Error> {
        Ok(Category::new(self.random.one_of(&CATEGORIES).copied().unwrap_or_default())?)
    }

    fn progress(&mut self) -> Result<ProgressStream, Error> {
        let teller = SubscriberId::new("teller")?;
        Ok(match self.random.below(3) {
            0 => ProgressStream::of_stream(&StreamName::new("account-1")?, &teller)?,
            1 => {
                let group = ConsumerGroup::new(self.random.number_below(2).into(), 2)?;
                ProgressStream::of_category(&Category::new("account")?, &teller, Some(group))
            }
            _ => ProgressStream::of_category(&Category::new("account")?, &teller, None),
        })
    }

    fn new_number(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    fn new_id(&mut self) -> Uuid {
        id(self.new_number().into())
    }

    /// An id that was made before, or will be.
    fn some_id(&mut self) -> Uuid {
        id(self.random.number_below(self.ids + 3).into())
    }
}
