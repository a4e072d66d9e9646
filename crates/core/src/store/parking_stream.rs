//! The stream in which a subscriber parks the messages of another.
//!
//! Owns its name, which tells whose it is and of what. What is noted in it is in `parking.rs`.

use super::SubscriberId;
use super::position_stream::MERGED;
use crate::{Category, StreamName};

/// The type that a category gets for what is parked of it.
const PARKED: &str = "parked";

/// The stream in which one subscriber parks the messages of one stream.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{ParkingStream, SubscriberId};
///
/// let teller = SubscriberId::new("teller")?;
/// let parking = ParkingStream::of(&teller, &"account:command-123".parse()?);
/// assert_eq!(parking.stream().as_str(), "account:command+parked-teller+123");
/// assert_eq!(ParkingStream::source_of(&teller, parking.stream()), Some(parking.source().clone()));
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParkingStream {
    stream: StreamName,
    source: StreamName,
}

impl ParkingStream {
    /// Where a subscriber parks the messages of this stream.
    pub fn of(subscriber: &SubscriberId, source: &StreamName) -> Self {
        let category = Self::category(&source.category());
        let stream = match source.entity_id() {
            Some(id) => StreamName::stored(format!("{category}-{subscriber}+{id}")),
            None => StreamName::stored(format!("{category}-{subscriber}")),
        };
        Self { stream, source: source.clone() }
    }

    /// Where a subscriber of several categories parks the messages of this stream: in one category for
    /// all of them.
    pub fn of_merged(subscriber: &SubscriberId, source: &StreamName) -> Self {
        let stream = StreamName::stored(format!("{MERGED}:{PARKED}-{subscriber}+{source}"));
        Self { stream, source: source.clone() }
    }

    /// Where subscribers of several categories park the messages of all of them.
    pub fn merged_category() -> Category {
        Category::stored(MERGED).typed(PARKED)
    }

    /// Where the messages of a category are parked, by all its subscribers.
    pub fn category(source: &Category) -> Category {
        source.typed(PARKED)
    }

    /// The stream whose messages are parked in the one of this name; none when that is another
    /// subscriber's, or no parking stream at all.
    pub fn source_of(subscriber: &SubscriberId, parking: &StreamName) -> Option<StreamName> {
        let category = parking.category_str();
        let source = category
            .strip_suffix(PARKED)
            .and_then(|rest| rest.strip_suffix(['+', ':']))
            .filter(|source| !source.is_empty())?;
        let behind = parking.as_str().get(category.len() + 1..)?;
        if source == MERGED {
            let source = behind.strip_prefix(subscriber.as_str())?.strip_prefix('+')?;
            return Some(StreamName::stored(source));
        }
        match behind.strip_prefix(subscriber.as_str())? {
            "" => Some(StreamName::stored(source)),
            rest => Some(StreamName::stored(format!("{source}-{}", rest.strip_prefix('+')?))),
        }
    }

    /// The subscriber that a parking stream is of, by its name.
    pub fn subscriber_of(parking: &StreamName) -> Option<SubscriberId> {
        let category = parking.category_str();
        if !category.ends_with(PARKED) {
            return None;
        }
        let behind = parking.as_str().get(category.len() + 1..)?;
        SubscriberId::new(behind.split('+').next()?).ok()
    }

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
    use super::*;

    #[test]
    fn a_parking_stream_tells_whose_it_is_and_of_what() {
        let teller = SubscriberId::new("teller").unwrap();
        for source in ["account-1", "account:command-1+2", "account", "a-b-c", "account:command"] {
            let source = StreamName::stored(source);
            let parking = ParkingStream::of(&teller, &source);
            assert_eq!(ParkingStream::source_of(&teller, parking.stream()), Some(source));
            assert_eq!(ParkingStream::subscriber_of(parking.stream()), Some(teller.clone()));
            let other = SubscriberId::new("tell").unwrap();
            assert_eq!(ParkingStream::source_of(&other, parking.stream()), None);
        }
        assert_eq!(ParkingStream::source_of(&teller, &StreamName::stored("account-teller")), None);
    }
}
