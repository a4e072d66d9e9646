//! Where a message stands: in its stream, and in the store.
//!
//! Owns the two kinds of position, which cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Invalid;

macro_rules! position {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The first place there can be: zero.
            pub const START: Self = Self(0);

            /// Checks a number and takes it as a position.
            ///
            /// # Errors
            ///
            /// When the number is negative.
            pub fn new(number: i64) -> Result<Self, Invalid> {
                if number < 0 {
                    return Err(Invalid::new($what, number, "a position cannot be negative"));
                }
                Ok(Self(number))
            }

            /// The number.
            pub const fn get(self) -> i64 {
                self.0
            }

            /// The place after this one; the last one there can be is its own next.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The place before this one; the first one is its own previous.
            #[must_use]
            pub const fn previous(self) -> Self {
                if self.0 > 0 { Self(self.0 - 1) } else { self }
            }
        }

        impl TryFrom<i64> for $name {
            type Error = Invalid;

            fn try_from(number: i64) -> Result<Self, Invalid> {
                Self::new(number)
            }
        }

        impl From<$name> for i64 {
            fn from(position: $name) -> Self {
                position.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

position! {
    /// The place of a message in its stream, counted from 0 without gaps.
    ///
    /// # Examples
    ///
    /// ```
    /// use evenfold_core::Position;
    ///
    /// assert_eq!(Position::new(41)?.next().get(), 42);
    /// assert_eq!(
    ///     Position::new(-1).unwrap_err().to_string(),
    ///     "position `-1`: a position cannot be negative",
    /// );
    /// # Ok::<(), evenfold_core::error::Invalid>(())
    /// ```
    Position,
    "position"
}

position! {
    /// The place of a message in the whole store: rising, from 1, and not without gaps.
    ///
    /// Law: in one category it rises in commit order, so it is a safe cursor there. Over several
    /// categories it is not one: a lower number may appear after a higher.
    GlobalPosition,
    "global position"
}
