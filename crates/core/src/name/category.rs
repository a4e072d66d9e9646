//! `account`, `account:command`: the name of a family of streams.
//!
//! Owns the category part of a stream name and its types after the colon. Not the id after the
//! first hyphen: that is `entity_id.rs`, and both together are `stream_name.rs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::{EntityId, StreamName, refuse_nul};
use crate::error::Invalid;

/// The name of a family of streams, such as `account` or `account:command`.
///
/// Law: a category is not empty and holds no hyphen, because the first hyphen of a stream name
/// begins the id. What follows the first colon are its *types*, separated by `+`.
/// Source: the stream name grammar of Message DB.
///
/// # Examples
///
/// ```
/// use evenfold_core::Category;
///
/// let account: Category = "account".parse()?;
/// assert_eq!(account.command().as_str(), "account:command");
/// assert_eq!(account.command().entity(), "account");
///
/// let refused = "funds-transfer".parse::<Category>().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "category `funds-transfer`: a hyphen begins the entity id; write `fundsTransfer`",
/// );
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
///
/// In JSON it is its text, checked when it is read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Category(Box<str>);

impl Category {
    /// Checks a text and takes it as a category.
    ///
    /// # Errors
    ///
    /// When the text is empty, holds a hyphen, or holds a NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        if text.is_empty() {
            return Err(Invalid::new("category", "", "a category cannot be empty"));
        }
        if text.contains('-') {
            let advice = format!("a hyphen begins the entity id; write `{}`", camel_case(&text));
            return Err(Invalid::new("category", text, advice));
        }
        refuse_nul("category", &text)?;
        Ok(Self(text.into()))
    }

    /// What another client stored, taken as it is.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon: `account` of `account:command`.
    pub fn entity(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(entity, _)| entity)
    }

    /// The types after the colon, in order: `command` and `position` of `account:command+position`.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.0.split_once(':').into_iter().flat_map(|(_, types)| types.split('+'))
    }

    /// The category that commands to this one are sent to: `account:command`.
    ///
    /// As in Eventide, `command` comes before other types, and a command category is its own.
    #[must_use]
    pub fn command(&self) -> Self {
        if self.types().any(|kind| kind == "command") {
            return self.clone();
        }
        match self.0.split_once(':') {
            Some((entity, types)) => Self(format!("{entity}:command+{types}").into()),
            None => Self(format!("{}:command", self.0).into()),
        }
    }

    /// This category with one more type behind the ones it has, unless it has it already.
    ///
    /// # Errors
    ///
    /// When the type is empty or holds a hyphen, a plus, a colon or a NUL.
    pub fn with_type(&self, kind: &str) -> Result<Self, Invalid> {
        if kind.is_empty() || kind.contains(['-', '+', ':']) {
            return Err(Invalid::new(
                "category type",
                kind,
                "a type is a word without `-`, `+` and `:`",
            ));
        }
        refuse_nul("category type", kind)?;
        Ok(self.typed(kind))
    }

    /// [`Category::with_type`] for a type known to be one.
    pub(crate) fn typed(&self, kind: &str) -> Self {
        if self.types().any(|own| own == kind) {
            return self.clone();
        }
        let joint = if self.0.contains(':') { '+' } else { ':' };
        Self(format!("{}{joint}{kind}", self.0).into())
    }

    /// The stream of one entity: `account` and `123` make `account-123`.
    pub fn stream(&self, id: &EntityId) -> StreamName {
        StreamName::joined(self, id)
    }
}

/// `funds-transfer` becomes `fundsTransfer`, the casing of Eventide's categories.
fn camel_case(text: &str) -> String {
    let mut words = text.split('-').filter(|word| !word.is_empty());
    let mut name = words.next().unwrap_or("category").to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
    }
    name
}

impl FromStr for Category {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Category {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<String> for Category {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<&Self> for Category {
    fn from(category: &Self) -> Self {
        category.clone()
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Category({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_json_it_is_its_text() {
        let json = r#""account:command""#;
        let read: Category = serde_json::from_str(json).unwrap();
        assert_eq!(read.as_str(), "account:command");
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(serde_json::from_str::<Category>(r#""funds-transfer""#).is_err());
    }

    fn category(text: &str) -> Category {
        text.parse().unwrap()
    }

    #[test]
    fn a_command_category_puts_command_before_other_types() {
        assert_eq!(category("account").command().as_str(), "account:command");
        assert_eq!(category("account:v0").command().as_str(), "account:command+v0");
        assert_eq!(category("account:command").command().as_str(), "account:command");
    }

    #[test]
    fn a_type_is_not_added_twice() {
        let position = category("account:command").with_type("position").unwrap();
        assert_eq!(position.as_str(), "account:command+position");
        assert_eq!(position.with_type("position").unwrap(), position);
        assert_eq!(position.types().collect::<Vec<_>>(), ["command", "position"]);
    }

    #[test]
    fn a_refused_category_names_its_text() {
        for (text, said) in [
            ("", "category ``: a category cannot be empty"),
            ("a-b-c", "category `a-b-c`: a hyphen begins the entity id; write `aBC`"),
            ("a\0", "category `a\\0`: a name cannot hold a NUL character"),
        ] {
            assert_eq!(Category::new(text).unwrap_err().to_string(), said);
        }
        assert!(category("account").with_type("a+b").is_err());
    }
}
