//! `account-123`: the name of one stream.
//!
//! Owns the joining and splitting of category and id. Not their own rules: `category.rs` and
//! `entity_id.rs`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entity_id::{cardinal, hash_64};
use super::{Category, EntityId, refuse_nul};
use crate::error::Invalid;

/// The name of one stream: a category, and as a rule the id of an entity.
///
/// Law: the first hyphen ends the category; `Display` and `FromStr` are inverses. A stream without
/// an id is named by its category alone: it can be written and its last message read, but it has no
/// place in a consumer group and is not read as a stream.
/// Source: the stream name grammar of Message DB.
///
/// # Examples
///
/// ```
/// use evenfold_core::StreamName;
///
/// let stream: StreamName = "account:command-123+2026-11".parse()?;
/// assert_eq!(stream.category().as_str(), "account:command");
/// assert_eq!(stream.entity_id().unwrap().as_str(), "123+2026-11");
/// assert_eq!(stream.to_string(), "account:command-123+2026-11");
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName {
    /// Shared, for a name goes with each of its messages through many hands.
    text: Arc<str>,
    /// The first hyphen, found once.
    hyphen: Option<usize>,
}

impl StreamName {
    /// Checks a text and takes it as a stream name.
    ///
    /// # Errors
    ///
    /// When the category is empty, when a hyphen has nothing behind it, or when there is a NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let name = Self::stored(text.into());
        let refuse = |rule| Err(Invalid::new("stream name", name.as_str(), rule));
        if name.as_str().is_empty() {
            return refuse("a stream name cannot be empty");
        }
        if name.category_str().is_empty() {
            return refuse("the category before the first hyphen is empty");
        }
        if name.entity_id_str().is_some_and(str::is_empty) {
            return refuse("the entity id behind the first hyphen is empty");
        }
        refuse_nul("stream name", name.as_str())?;
        Ok(name)
    }

    /// A name as a store holds it, taken as it is.
    ///
    /// For the authors of a store: other clients may have written names that [`StreamName::new`]
    /// refuses, and a reader must not stumble over them.
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let hyphen = text.find('-');
        Self { text, hyphen }
    }

    pub(super) fn joined(category: &Category, id: &EntityId) -> Self {
        let hyphen = category.as_str().len();
        Self { text: format!("{category}-{id}").into(), hyphen: Some(hyphen) }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the first hyphen.
    pub fn category(&self) -> Category {
        Category::stored(self.category_str())
    }

    /// The part before the first hyphen, as text.
    pub fn category_str(&self) -> &str {
        self.hyphen.and_then(|at| self.text.get(..at)).unwrap_or(&self.text)
    }

    /// The part behind the first hyphen, if there is one.
    pub fn entity_id(&self) -> Option<EntityId> {
        self.entity_id_str().map(EntityId::stored)
    }

    fn entity_id_str(&self) -> Option<&str> {
        self.hyphen.and_then(|at| self.text.get(at + 1..))
    }

    /// The hash of the cardinal id, by which consumer groups share a category; none without an id.
    pub fn cardinal_hash(&self) -> Option<i64> {
        self.entity_id_str().map(|id| hash_64(cardinal(id)))
    }

    /// Whether the name is a category alone, without an id.
    pub fn is_category(&self) -> bool {
        self.hyphen.is_none()
    }

    /// The name itself, if it has an id, as reading a stream demands.
    ///
    /// # Errors
    ///
    /// When the name is a category alone.
    pub fn require_id(&self) -> Result<&Self, Invalid> {
        if self.is_category() {
            let rule = "this is a category; a stream to be read has an id, as in `account-123`";
            return Err(Invalid::new("stream name", self.as_str(), rule));
        }
        Ok(self)
    }
}

impl FromStr for StreamName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<&str> for StreamName {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<String> for StreamName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<Category> for StreamName {
    fn from(category: Category) -> Self {
        Self::stored(category.as_str())
    }
}

impl From<&Self> for StreamName {
    fn from(name: &Self) -> Self {
        name.clone()
    }
}

impl Serialize for StreamName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Takes a name as it is stored, like [`StreamName::stored`].
impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::stored)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamName({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Golden values measured on Message DB 1.3.0.
    #[test]
    fn only_the_first_hyphen_counts() {
        let name: StreamName = "a:b+c-1+2-3".parse().unwrap();
        assert_eq!(name.category().as_str(), "a:b+c");
        assert_eq!(name.entity_id().unwrap().as_str(), "1+2-3");
        assert_eq!(name.entity_id().unwrap().cardinal(), "1");
        assert_eq!(StreamName::stored("-x").category_str(), "");
    }

    #[test]
    fn a_category_alone_is_a_name_but_is_not_read_as_a_stream() {
        let name: StreamName = "account:position".parse().unwrap();
        assert!(name.entity_id().is_none() && name.cardinal_hash().is_none());
        let refused = name.require_id().unwrap_err().to_string();
        assert!(refused.starts_with("stream name `account:position`: this is a category"));
    }

    #[test]
    fn an_illegal_stream_name_is_refused() {
        for text in ["", "-1", "account-", "account-a\0b"] {
            assert!(StreamName::new(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn display_and_from_str_are_inverses(text in "[^\\x00]{1,12}") {
            if let Ok(name) = text.parse::<StreamName>() {
                prop_assert_eq!(name.to_string(), text);
                if let Some(id) = name.entity_id() {
                    prop_assert_eq!(name.category().stream(&id), name);
                }
            }
        }
    }
}
