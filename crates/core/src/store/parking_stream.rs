//! The stream in which a subscriber parks the messages of another.
//!
//! Owns its name, which tells whose it is and of what. What is noted in it is in `parking.rs`.

use super::position_stream::MERGED;
use super::{Categories, ProgressName, Reads, SubscriberId};
use crate::{Category, StreamName};

/// The type that a category gets for what is parked of it.
const PARKED: &str = "parked";

/// Where a subscriber parks: a category with a stream for each stream of which something is parked.
///
/// Who keeps his progress apart parks apart: the versions of a subscriber, those with other filters by
/// correlation, those of one stream, those of other categories by one cursor. What one has handled
/// another may not have, so neither waits behind what the other has parked. The members of a group and
/// the buckets of leases park together, for a stream goes from one of them to the next.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{ParkingLot, SubscriberId};
///
/// let teller = SubscriberId::new("teller")?;
/// let lot = ParkingLot::of_category(&"account:command".parse()?, &teller);
/// let parking = lot.parking(&"account:command-123".parse()?);
/// assert_eq!(parking.stream().as_str(), "account:command+parked-teller+123");
/// assert_eq!(lot.source_of(parking.stream()).as_ref(), Some(parking.source()));
///
/// let second = lot.version(2).parking(parking.source());
/// assert_eq!(second.stream().as_str(), "account:command+parked+v2-teller+123");
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkingLot {
    subscriber: SubscriberId,
    reads: Parks,
    correlation: Option<Category>,
    version: u32,
}

/// Of what a subscriber parks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Parks {
    Category(Category),
    /// One stream of a category.
    Stream(Category),
    Merged(Categories),
}

impl ParkingLot {
    /// Of a subscriber of a category, alone or as a group.
    pub fn of_category(category: &Category, subscriber: &SubscriberId) -> Self {
        Self::new(Parks::Category(category.clone()), subscriber)
    }

    /// Of a subscriber of several categories, or of all, by one cursor.
    pub fn of_merged(categories: &Categories, subscriber: &SubscriberId) -> Self {
        Self::new(Parks::Merged(categories.clone()), subscriber)
    }

    /// Of the subscriber that keeps its progress under this name.
    pub fn of(name: &ProgressName) -> Self {
        let ProgressName { subscriber, reads, member: _, correlation, version } = name;
        let lot = match reads {
            Reads::Category(category) => Self::of_category(category, subscriber),
            Reads::Stream(stream) => Self::of_category(&stream.category(), subscriber).by_stream(),
            Reads::Merged(categories) => Self::of_merged(categories, subscriber),
        };
        Self { correlation: correlation.clone(), ..lot }.version(*version)
    }

    fn new(reads: Parks, subscriber: &SubscriberId) -> Self {
        Self { subscriber: subscriber.clone(), reads, correlation: None, version: 1 }
    }

    /// The same for the subscribers of this id that read one stream of the category each.
    #[must_use]
    pub fn by_stream(self) -> Self {
        match self.reads {
            Parks::Category(category) => Self { reads: Parks::Stream(category), ..self },
            Parks::Stream(_) | Parks::Merged(_) => self,
        }
    }

    /// The same for a subscriber that reads only what is correlated with a category.
    #[must_use]
    pub fn correlated_with(self, category: &Category) -> Self {
        Self { correlation: Some(category.clone()), ..self }
    }

    /// The same for a version of the subscriber; up to 1 it is the first.
    #[must_use]
    pub fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// Whose it is.
    pub fn subscriber(&self) -> &SubscriberId {
        &self.subscriber
    }

    /// The category of its streams. Other subscribers of the same may park there too.
    pub fn category(&self) -> Category {
        let mut name = match &self.reads {
            Parks::Category(category) => category.typed(PARKED).to_string(),
            Parks::Stream(category) => format!("{}+stream", category.typed(PARKED)),
            Parks::Merged(categories) => {
                let named: Vec<_> =
                    categories.named().unwrap_or_default().iter().map(Category::as_str).collect();
                let joint = if named.is_empty() { "" } else { "+" };
                format!("{MERGED}:{PARKED}{joint}{}", named.join(","))
            }
        };
        if let Some(correlation) = &self.correlation {
            name.push_str("+correlation:");
            name.push_str(correlation.as_str());
        }
        if self.version > 1 {
            name.push_str("+v");
            name.push_str(&self.version.to_string());
        }
        Category::stored(&name)
    }

    /// Whether the messages of a category are notes on what is parked: who reads that parks nothing, or
    /// he would read his own notes.
    pub fn is_of(category: &Category) -> bool {
        category.types().any(|kind| kind == PARKED)
    }

    /// Where the messages of this stream are parked.
    pub fn parking(&self, source: &StreamName) -> ParkingStream {
        let (category, subscriber) = (self.category(), &self.subscriber);
        let behind = match (&self.reads, source.entity_id()) {
            (Parks::Merged(_), _) => Some(source.to_string()),
            (Parks::Category(_) | Parks::Stream(_), id) => id.map(|id| id.to_string()),
        };
        let stream = match behind {
            Some(behind) => StreamName::stored(format!("{category}-{subscriber}+{behind}")),
            None => StreamName::stored(format!("{category}-{subscriber}")),
        };
        ParkingStream { stream, source: source.clone() }
    }

    /// The stream whose messages are parked in the one of this name; none when that is another
    /// subscriber's, or no parking stream at all.
    pub fn source_of(&self, parking: &StreamName) -> Option<StreamName> {
        if parking.category_str() != self.category().as_str() {
            return None;
        }
        let behind = parking.as_str().get(parking.category_str().len() + 1..)?;
        let behind = behind.strip_prefix(self.subscriber.as_str())?;
        let behind = match behind {
            "" => None,
            id => Some(id.strip_prefix('+')?),
        };
        match (&self.reads, behind) {
            (Parks::Merged(_), source) => source.map(StreamName::stored),
            (Parks::Category(of) | Parks::Stream(of), Some(id)) => {
                Some(StreamName::stored(format!("{of}-{id}")))
            }
            (Parks::Category(of) | Parks::Stream(of), None) => {
                Some(StreamName::stored(of.as_str()))
            }
        }
    }
}

/// The stream in which one subscriber parks the messages of one stream; a [`ParkingLot`] makes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParkingStream {
    stream: StreamName,
    source: StreamName,
}

impl ParkingStream {
    /// The stream that the notes are written to.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The stream whose messages are parked.
    pub fn source(&self) -> &StreamName {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{ConsumerGroup, ProgressStream};
    use super::*;

    fn category(text: &str) -> Category {
        Category::stored(text)
    }

    fn teller() -> SubscriberId {
        SubscriberId::new("teller").unwrap()
    }

    /// Everything that a subscriber of one id may read.
    fn names() -> Vec<ProgressName> {
        let both = || Categories::of([category("account"), category("transfer")]).unwrap();
        let other = Categories::of([category("account"), category("loan:command")]).unwrap();
        let reads = [
            Reads::Category(category("account")),
            Reads::Category(category("account:command")),
            Reads::Stream(StreamName::stored("account-1")),
            Reads::Merged(both()),
            Reads::Merged(other),
            Reads::Merged(Categories::all()),
        ];
        let whole = reads.map(|reads| ProgressName {
            subscriber: teller(),
            reads,
            member: None,
            correlation: None,
            version: 1,
        });
        let correlated = whole.iter().filter(|name| matches!(name.reads, Reads::Category(_)));
        let correlated = correlated.map(|name| {
            let correlation = Some(category("transfer:command"));
            ProgressName { correlation, ..name.clone() }
        });
        let first: Vec<_> = correlated.chain(whole.iter().cloned()).collect();
        let second = first.iter().map(|name| ProgressName { version: 2, ..name.clone() });
        second.chain(first.iter().cloned()).collect()
    }

    #[test]
    fn a_lot_tells_of_what_stream_the_messages_are_and_knows_its_own_streams_alone() {
        let lots: Vec<_> = names().iter().map(ParkingLot::of).collect();
        for source in ["account-1", "account-1+2", "account-a-b", "account-v2", "account"] {
            let source = StreamName::stored(source);
            let of_account = |lot: &&ParkingLot| match &lot.reads {
                Parks::Category(of) | Parks::Stream(of) => of.as_str() == "account",
                Parks::Merged(_) => true,
            };
            for lot in lots.iter().filter(of_account) {
                let parking = lot.parking(&source);
                let knows = |lot: &&ParkingLot| lot.source_of(parking.stream()).is_some();
                assert_eq!(lot.source_of(parking.stream()).as_ref(), Some(&source));
                assert_eq!(lots.iter().filter(knows).count(), 1, "{parking:?}");
                let other = SubscriberId::new("tell").unwrap();
                let other = ParkingLot { subscriber: other, ..lot.clone() };
                assert_eq!(other.source_of(parking.stream()), None);
            }
        }
    }

    #[test]
    fn what_keeps_its_progress_apart_parks_apart() {
        let names = names();
        let progress: HashSet<_> =
            names.iter().map(|name| name.stream().unwrap().stream().clone()).collect();
        let lots: HashSet<_> = names.iter().map(|name| ParkingLot::of(name).category()).collect();
        assert_eq!((progress.len(), lots.len()), (names.len(), names.len()), "{lots:?}");
    }

    #[test]
    fn the_members_of_a_group_park_together_and_with_the_subscriber_that_is_alone() {
        let account = category("account");
        let group = |member, size| Some(ConsumerGroup::new(member, size).unwrap());
        let lots = [None, group(0, 4), group(3, 4), group(1, 8)].map(|group| {
            let progress = ProgressStream::of_category(&account, &teller(), group);
            ParkingLot::of(&ProgressName::of(progress.stream()).unwrap())
        });
        assert!(lots.iter().all(|lot| *lot == ParkingLot::of_category(&account, &teller())));
    }

    #[test]
    fn the_categories_of_lots_are_read_by_nobody_who_reads_all() {
        for name in names() {
            let lot = ParkingLot::of(&name).category();
            assert!(ParkingLot::is_of(&lot) && !Categories::all().holds(&lot), "{lot}");
        }
        assert!(!ParkingLot::is_of(&category("account:command")));
        assert!(!ParkingLot::is_of(&category("parked")));
    }
}
