//! A value from outside that was refused before anything was done with it.

use std::borrow::Cow;
use std::fmt;

/// A refused value: what it was to be, its text, and the rule it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    what: &'static str,
    value: String,
    rule: Cow<'static, str>,
}

impl Invalid {
    /// Names what the value was to be, the value, and the rule; all three are shown.
    pub fn new(
        what: &'static str,
        value: impl fmt::Display,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { what, value: value.to_string(), rule: rule.into() }
    }

    /// What the value was to be, as in `stream name`.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The value as it was given.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.what, self.value, self.rule)
    }
}

impl std::error::Error for Invalid {}
