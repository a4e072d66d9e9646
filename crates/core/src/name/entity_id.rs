//! The id after the first hyphen of a stream name: any text, compound ids too.
//!
//! Owns entity ids, their cardinal part and its hash, by which consumer groups share a category.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::refuse_nul;
use crate::error::Invalid;

/// Which entity of a category: any text, and compound when it holds a `+`.
///
/// Law: an entity id is not empty and holds no NUL. Its *cardinal id* is the part before the first
/// `+`; every stream with the same cardinal id falls to the same member of a consumer group.
/// Source: `id` and `cardinal_id` of Message DB.
///
/// # Examples
///
/// ```
/// use evenfold_core::EntityId;
///
/// let id = EntityId::compound(["123", "2026-11"])?;
/// assert_eq!(id.as_str(), "123+2026-11");
/// assert_eq!(id.cardinal(), "123");
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
///
/// In JSON it is its text, checked when it is read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct EntityId(Box<str>);

impl EntityId {
    /// Checks a text and takes it as an entity id; a `+` in it makes the id compound.
    ///
    /// # Errors
    ///
    /// When the text is empty or holds a NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        if text.is_empty() {
            return Err(Invalid::new("entity id", "", "an entity id cannot be empty"));
        }
        refuse_nul("entity id", &text)?;
        Ok(Self(text.into()))
    }

    /// Joins parts by `+`; the first is the cardinal id.
    ///
    /// # Errors
    ///
    /// When there is no part, or a part is empty or holds a `+` or a NUL.
    pub fn compound<P: AsRef<str>>(parts: impl IntoIterator<Item = P>) -> Result<Self, Invalid> {
        let mut text = String::new();
        for (count, part) in parts.into_iter().enumerate() {
            let part = part.as_ref();
            if part.is_empty() || part.contains('+') {
                let rule = "a part of a compound id is not empty and holds no `+`";
                return Err(Invalid::new("entity id part", part, rule));
            }
            if count > 0 {
                text.push('+');
            }
            text.push_str(part);
        }
        Self::new(text)
    }

    /// What another client stored, taken as it is.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts of a compound id; a simple id is its own only part.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('+')
    }

    /// The part before the first `+`.
    pub fn cardinal(&self) -> &str {
        cardinal(&self.0)
    }

    /// The hash by which the members of a consumer group share a category.
    pub fn cardinal_hash(&self) -> i64 {
        hash_64(self.cardinal())
    }
}

/// The part of an id before its first `+`.
pub(crate) fn cardinal(id: &str) -> &str {
    id.split_once('+').map_or(id, |(first, _)| first)
}

/// The first eight bytes of the MD5 of a text, big-endian: `hash_64` of Message DB.
pub(crate) fn hash_64(text: &str) -> i64 {
    let digest = Md5::digest(text.as_bytes());
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    i64::from_be_bytes(first)
}

impl FromStr for EntityId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<&str> for EntityId {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<&String> for EntityId {
    type Error = Invalid;

    fn try_from(text: &String) -> Result<Self, Invalid> {
        Self::new(text.as_str())
    }
}

impl TryFrom<String> for EntityId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<Uuid> for EntityId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl From<u64> for EntityId {
    fn from(id: u64) -> Self {
        Self(id.to_string().into())
    }
}

impl From<&Self> for EntityId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl Serialize for EntityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_json_it_is_its_text() {
        let json = r#""123+2026-11""#;
        let read: EntityId = serde_json::from_str(json).unwrap();
        assert_eq!(read.as_str(), "123+2026-11");
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(serde_json::from_str::<EntityId>(r#""""#).is_err());
    }

    /// Golden values measured on Message DB 1.3.0.
    #[test]
    fn the_hash_is_the_one_of_message_db() {
        for (text, hash) in [
            ("account", -2_132_379_389_342_958_165),
            ("account:command", 4_331_363_904_667_975_395),
            ("123", 2_318_431_741_638_412_123),
            ("", -3_162_216_497_309_240_828),
            ("a11e9022-e741-4450-bf9c-c4cc5ddb6ea3", -4_661_339_855_201_839_664),
            ("1", -4_266_524_885_998_034_046),
        ] {
            assert_eq!(hash_64(text), hash, "{text}");
        }
    }

    #[test]
    fn the_parts_of_a_compound_id_hold_no_plus() {
        assert!(EntityId::compound(["a", "b+c"]).is_err());
        assert!(EntityId::compound(["a", ""]).is_err());
        assert!(EntityId::compound::<&str>([]).is_err());
        let id = EntityId::new("1-2+3+4").unwrap();
        assert_eq!(id.parts().collect::<Vec<_>>(), ["1-2", "3", "4"]);
        assert_eq!(id.cardinal(), "1-2");
    }
}
