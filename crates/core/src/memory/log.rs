//! What the memory store holds: the messages in order, and an index for each way to read them.
//!
//! An index is a list of places in the log, so a write adds to its end and a read begins by binary
//! search: neither depends on how much is held.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Conflict, Error};
use crate::message::{NewMessage, Recorded};
use crate::store::{
    Backlog, BatchSize, Categories, CategoryQuery, CategorySummary, Merged, StreamSummary, Written,
    check_batch,
};
use crate::{Category, ExpectedVersion, GlobalPosition, Position, StreamName};

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    messages: Vec<Recorded>,
    by_id: HashMap<Uuid, usize>,
    streams: HashMap<StreamName, Vec<usize>>,
    /// The names of the streams once more, and the categories: sorted, so that they can be listed
    /// in order.
    names: BTreeSet<StreamName>,
    categories: BTreeMap<Category, Vec<usize>>,
}

impl Log {
    pub(super) fn write(
        &mut self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
        now: OffsetDateTime,
    ) -> Result<Written, Error> {
        check_batch(messages)?;
        if let Some(written) = self.written_before(stream, messages)? {
            return Ok(written);
        }
        let version = self.version(stream);
        if !expected.holds(version) {
            return Err(Conflict::new(stream.clone(), expected, version).into());
        }
        let batch = Self::batch(stream, messages, version, now);
        let last = batch.last().map_or(Position::START, |last| last.position);
        for message in batch {
            self.add(message);
        }
        Ok(Written::now(last))
    }

    /// The messages as they come to stand in a stream behind this version.
    pub(super) fn batch(
        stream: &StreamName,
        messages: &[NewMessage],
        version: Option<Position>,
        now: OffsetDateTime,
    ) -> Vec<Recorded> {
        let first = version.map_or(Position::START, Position::next);
        let positions = std::iter::successors(Some(first), |position| Some(position.next()));
        let recorded = positions.zip(messages).map(|(position, new)| Recorded {
            id: new.id(),
            stream_name: stream.clone(),
            message_type: new.message_type().into(),
            position,
            global_position: GlobalPosition::START,
            time: now,
            data_json: new.stored_data().map(Into::into),
            metadata_json: new.stored_metadata().map(Into::into),
        });
        recorded.collect()
    }

    /// The law of the idempotent id: all of them here with the same content, one after another.
    fn written_before(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
    ) -> Result<Option<Written>, Error> {
        let found: Vec<_> =
            messages.iter().filter_map(|message| self.by_id(message.id())).collect();
        Written::by_ids(stream, messages, &found)
    }

    /// Adds a message to the end, which gives it its global position.
    pub(super) fn add(&mut self, message: Recorded) {
        let place = self.messages.len();
        let stream = message.stream_name.clone();
        self.by_id.insert(message.id, place);
        self.messages.push(Recorded { global_position: global_position(place), ..message });
        self.categories.entry(stream.category()).or_default().push(place);
        if let Some(places) = self.streams.get_mut(&stream) {
            places.push(place);
        } else {
            self.names.insert(stream.clone());
            self.streams.insert(stream, vec![place]);
        }
    }

    fn at(&self, places: &[usize]) -> impl Iterator<Item = &Recorded> {
        places.iter().filter_map(|place| self.messages.get(*place))
    }

    fn stream(&self, stream: &StreamName) -> &[usize] {
        self.streams.get(stream).map_or(&[], Vec::as_slice)
    }

    pub(super) fn by_id(&self, id: Uuid) -> Option<&Recorded> {
        self.by_id.get(&id).and_then(|place| self.messages.get(*place))
    }

    pub(super) fn version(&self, stream: &StreamName) -> Option<Position> {
        // A stream is gapless from 0, so its length says it without looking at a message.
        let last = self.stream(stream).len().checked_sub(1)?;
        Position::new(i64::try_from(last).ok()?).ok()
    }

    pub(super) fn last(&self, stream: &StreamName, of_type: Option<&str>) -> Option<&Recorded> {
        self.stream(stream)
            .iter()
            .rev()
            .filter_map(|place| self.messages.get(*place))
            .find(|message| of_type.is_none_or(|of_type| *message.message_type == *of_type))
    }

    pub(super) fn stream_page(
        &self,
        stream: &StreamName,
        from: Position,
        limit: BatchSize,
    ) -> Vec<Recorded> {
        // A stream is gapless from 0, so a position is a place in its index.
        let from = usize::try_from(from.get()).unwrap_or(usize::MAX);
        let rest = self.stream(stream).get(from..).unwrap_or(&[]);
        self.at(rest).take(limit.as_len()).cloned().collect()
    }

    pub(super) fn category_page(
        &self,
        query: &CategoryQuery,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Vec<Recorded> {
        let page = self.category_from(query, from).take(limit.as_len()).cloned();
        if query.has_metadata() {
            return page.collect();
        }
        page.map(Recorded::without_metadata).collect()
    }

    fn category_from<'a>(
        &'a self,
        query: &'a CategoryQuery,
        from: GlobalPosition,
    ) -> impl Iterator<Item = &'a Recorded> {
        let places = self.category(query.category());
        let first = places.partition_point(|place| global_position(*place) < from);
        self.at(places.get(first..).unwrap_or(&[])).filter(|message| is_wanted(query, message))
    }

    fn category(&self, category: &Category) -> &[usize] {
        self.categories.get(category).map_or(&[], Vec::as_slice)
    }

    pub(super) fn category_head(&self, category: &Category) -> Option<GlobalPosition> {
        self.category(category).last().copied().map(global_position)
    }

    /// There is one writer at a time, so whatever is below the last message is there.
    pub(super) fn merged_page(
        &self,
        of: &Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> Merged {
        // Global positions are gapless from 1 here, so one is a place in the log.
        let from = from.max(GlobalPosition::START.next());
        let first = usize::try_from(from.get() - 1).unwrap_or(usize::MAX);
        let rest = self.messages.get(first..).unwrap_or(&[]);
        let wanted = rest.iter().filter(|message| of.holds(&message.stream_name.category()));
        let messages: Vec<_> = wanted.take(limit.as_len()).cloned().collect();
        let is_full = messages.len() == limit.as_len();
        let end = messages.last().filter(|_| is_full).or(rest.last());
        let scanned = end.map_or(from.previous(), |message| message.global_position);
        Merged { messages, scanned, held: None }
    }

    pub(super) fn backlog(&self, query: &CategoryQuery, after: Option<GlobalPosition>) -> Backlog {
        let from = after.map_or(GlobalPosition::START, GlobalPosition::next);
        let before = self.category_from(query, from);
        let (messages, oldest) = before.fold((0, None), |(count, oldest), message| {
            (count + 1, oldest.min(Some(message.time)).or(Some(message.time)))
        });
        Backlog { messages, oldest, head: self.category_head(query.category()) }
    }

    pub(super) fn categories(
        &self,
        after: Option<&Category>,
        limit: BatchSize,
    ) -> Vec<CategorySummary> {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.categories
            .range::<Category, _>(range)
            .take(limit.as_len())
            .filter_map(|(category, places)| {
                Some(CategorySummary {
                    category: category.clone(),
                    messages: u64::try_from(places.len()).ok()?,
                    last: global_position(*places.last()?),
                })
            })
            .collect()
    }

    pub(super) fn streams(
        &self,
        category: &Category,
        after: Option<&StreamName>,
        limit: BatchSize,
    ) -> Vec<StreamSummary> {
        // Every name of the category begins with it, so the first candidate is the category alone.
        let first = StreamName::from(category.clone());
        let from = match after {
            Some(after) if *after >= first => Bound::Excluded(after),
            _ => Bound::Included(&first),
        };
        self.names
            .range::<StreamName, _>((from, Bound::Unbounded))
            .take_while(|stream| stream.as_str().starts_with(category.as_str()))
            .filter(|stream| stream.category_str() == category.as_str())
            .take(limit.as_len())
            .filter_map(|stream| {
                let last = self.last(stream, None)?;
                Some(StreamSummary {
                    stream: stream.clone(),
                    version: last.position,
                    last: last.global_position,
                })
            })
            .collect()
    }
}

/// The global position of the message at a place of the log: counted from 1, without gaps here.
fn global_position(place: usize) -> GlobalPosition {
    let number = i64::try_from(place).unwrap_or(i64::MAX - 1) + 1;
    GlobalPosition::new(number).unwrap_or(GlobalPosition::START)
}

fn is_wanted(query: &CategoryQuery, message: &Recorded) -> bool {
    query.types().is_none_or(|types| types.contains(&message.message_type))
        && query.group().is_none_or(|group| group.holds(&message.stream_name))
        && query.correlation().is_none_or(|category| {
            correlation_of(message).is_some_and(|stream| stream.category_str() == category.as_str())
        })
}

/// The correlation alone, whatever else the metadata holds: as a store that looks for it in SQL.
fn correlation_of(message: &Recorded) -> Option<StreamName> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Correlation {
        correlation_stream_name: Option<StreamName>,
    }
    let metadata: Correlation = serde_json::from_str(message.metadata_json.as_deref()?).ok()?;
    metadata.correlation_stream_name
}
