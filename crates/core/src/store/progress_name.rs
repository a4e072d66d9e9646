//! The name of a position stream, read back: whose it is, and what that one reads.
//!
//! Owns the inverse of how [`ProgressStream`] makes names. What stands in the stream is read by
//! `position_stream.rs`.

use std::fmt;

use super::position_stream::MERGED;
use super::{Categories, ConsumerGroup, ProgressStream, SubscriberId, Unit};
use crate::error::Invalid;
use crate::{Category, StreamName};

/// What the name of a position stream says.
///
/// A name that is read makes the [stream](Self::stream) of the same name again, so a text that no
/// subscriber would make is none. A name that may end in a version does: an entity id or a category
/// whose last part looks like one is taken for it.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{ProgressName, Reads};
///
/// let name = ProgressName::of(&"account:command+position-teller+1of4".parse()?).unwrap();
/// assert_eq!(name.subscriber.as_str(), "teller");
/// assert_eq!(name.reads, Reads::Category("account:command".parse()?));
/// assert_eq!(name.member.unwrap().to_string(), "1of4");
/// assert_eq!(name.version, 1);
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressName {
    /// The id of the subscriber.
    pub subscriber: SubscriberId,
    /// What it reads.
    pub reads: Reads,
    /// Which part of that, where it is shared: a member of a group, or a bucket of one that shares by
    /// leases.
    pub member: Option<ConsumerGroup>,
    /// The category that what it reads is correlated with, where it is filtered so.
    pub correlation: Option<Category>,
    /// The version of the subscriber.
    pub version: u32,
}

/// What a subscriber reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// One category.
    Category(Category),
    /// One stream.
    Stream(StreamName),
    /// Several categories, or all, by one cursor.
    Merged(Categories),
}

impl ProgressName {
    /// Reads the name of a stream; none when it is not that of a position stream.
    pub fn of(stream: &StreamName) -> Option<Self> {
        let last = version_of(stream.as_str());
        let versioned = last.and_then(|version| Self::read(stream, version));
        versioned.or_else(|| Self::read(stream, 1))
    }

    fn read(stream: &StreamName, version: u32) -> Option<Self> {
        let category = stream.category_str();
        let (source, kind) = category.rsplit_once([':', '+'])?;
        let behind = stream.as_str().get(category.len() + 1..)?;
        let behind = match version {
            1 => behind,
            _ => behind.rsplit_once("+v")?.0,
        };
        let (subscriber, rest) = match behind.split_once('+') {
            Some((subscriber, rest)) => (subscriber, Some(rest)),
            None => (behind, None),
        };
        let subscriber = SubscriberId::new(subscriber).ok()?;
        let whole = |reads| Self { subscriber, reads, member: None, correlation: None, version };
        let name = if kind == Unit::StreamPosition.key() {
            whole(Reads::Stream(StreamName::stored(format!("{source}-{}", rest?))))
        } else if kind != Unit::GlobalPosition.key() || source.is_empty() {
            return None;
        } else if source == MERGED {
            let named = |rest: &str| Categories::of(rest.split(',').map(Category::stored)).ok();
            whole(Reads::Merged(rest.map_or(Some(Categories::all()), named)?))
        } else {
            let (member, rest) = member_of(rest);
            let correlation = match rest {
                Some(rest) => Some(Category::stored(rest.strip_prefix("correlation:")?)),
                None => None,
            };
            let reads = Reads::Category(Category::stored(source));
            Self { member, correlation, ..whole(reads) }
        };
        let again = name.stream().ok()?;
        (again.stream() == stream).then_some(name)
    }

    /// The position stream of this name.
    ///
    /// # Errors
    ///
    /// When it is of one stream, and that is named by its category alone.
    pub fn stream(&self) -> Result<ProgressStream, Invalid> {
        let mut stream = match &self.reads {
            Reads::Category(category) => {
                ProgressStream::of_category(category, &self.subscriber, self.member)
            }
            Reads::Stream(stream) => ProgressStream::of_stream(stream, &self.subscriber)?,
            Reads::Merged(categories) => ProgressStream::of_merged(categories, &self.subscriber),
        };
        if let Some(correlation) = &self.correlation {
            stream = stream.correlated_with(correlation);
        }
        Ok(stream.version(self.version))
    }
}

/// `…+v2`.
fn version_of(text: &str) -> Option<u32> {
    text.rsplit_once("+v")?.1.parse().ok().filter(|version| *version > 1)
}

/// `1of4`, or `1of4+…`.
fn member_of(rest: Option<&str>) -> (Option<ConsumerGroup>, Option<&str>) {
    let read = |rest: &'_ str| {
        let (member, size) = rest.split('+').next()?.split_once("of")?;
        ConsumerGroup::new(member.parse().ok()?, size.parse().ok()?).ok()
    };
    match rest.and_then(read) {
        Some(member) => {
            let more = rest.and_then(|rest| rest.split_once('+')).map(|(_, more)| more);
            (Some(member), more)
        }
        None => (None, rest),
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Category(category) => category.fmt(f),
            Self::Stream(stream) => stream.fmt(f),
            Self::Merged(categories) => categories.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(text: &str) -> Category {
        Category::stored(text)
    }

    fn read(text: &str) -> Option<ProgressName> {
        ProgressName::of(&StreamName::stored(text))
    }

    #[test]
    fn what_subscribers_make_is_read_back() {
        let teller = SubscriberId::new("my-teller").unwrap();
        let reads = [
            Reads::Category(category("account")),
            Reads::Category(category("account:command+v0")),
            Reads::Category(category("a:b:c")),
            Reads::Stream(StreamName::stored("account-123")),
            Reads::Stream(StreamName::stored("account:command-123+2026-11")),
            Reads::Merged(Categories::all()),
            Reads::Merged(Categories::of([category("b"), category("a:command")]).unwrap()),
        ];
        for (reads, version) in reads.iter().flat_map(|it| [1, 2, 17].map(|version| (it, version)))
        {
            let whole = ProgressName {
                subscriber: teller.clone(),
                reads: reads.clone(),
                member: None,
                correlation: None,
                version,
            };
            let mut names = vec![whole.clone()];
            if let Reads::Category(_) = reads {
                let member = Some(ConsumerGroup::new(3, 8).unwrap());
                let correlation = Some(category("transfer:command"));
                names.push(ProgressName { member, ..whole.clone() });
                names.push(ProgressName { correlation: correlation.clone(), ..whole.clone() });
                names.push(ProgressName { member, correlation, ..whole });
            }
            for name in names {
                let stream = name.stream().unwrap();
                assert_eq!(ProgressName::of(stream.stream()), Some(name), "{stream:?}");
            }
        }
    }

    #[test]
    fn what_no_subscriber_makes_is_none() {
        for text in [
            "account-1",
            "account:position",
            ":position-teller",
            "account:command-1",
            "a:b:position-teller",
            "account:position-teller+9of4",
            "account:position-teller+1of4+",
            "account:position-teller+other",
            "account:position-+1of4",
            "account:streamPosition-teller",
            "evenfold:position-teller+a,a",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_read_makes_the_same_name_again() {
        for text in [
            "account:position-teller+v2",
            "account:position-teller+v02",
            "account:position-teller+01of4",
            "account:position-teller+correlation:a+v3",
            "account:streamPosition-teller+1+v2",
            "account:streamPosition-teller+1+v02",
            "account:streamPosition-teller+v2",
        ] {
            if let Some(name) = read(text) {
                assert_eq!(name.stream().unwrap().stream().as_str(), text);
            }
        }
    }

    #[test]
    fn what_may_be_a_version_is_one() {
        let of = |text| read(text).map(|name| (name.reads.to_string(), name.version));
        for (text, reads, version) in [
            ("account:streamPosition-teller+1+v2", "account-1", 2),
            ("account:streamPosition-teller+1+v02", "account-1+v02", 1),
            ("account:streamPosition-teller+v2", "account-v2", 1),
        ] {
            assert_eq!(of(text), Some((reads.to_owned(), version)), "{text}");
        }
    }
}
