//! Reading several categories, or all of them, by one cursor.
//!
//! Owns what such a read asks and answers. One category has no need of it: see `read.rs`. Pages as a
//! stream of messages are in `pages.rs`.

use std::collections::BTreeSet;
use std::fmt;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use time::OffsetDateTime;

use super::BatchSize;
use crate::error::{Error, Invalid};
use crate::message::Recorded;
use crate::{Category, GlobalPosition};

/// Reads the messages of several categories by global position, and misses none.
///
/// Over several categories a lower position may become visible after a higher one, where writers of
/// different categories commit side by side. So a store says how far it is decided what there is,
/// and a reader goes on from there, not from the last message.
///
/// Laws:
/// - *Merged order.* A page rises by global position and holds at most the limit. None of the
///   categories' messages from the position asked for to [`scanned`](Merged::scanned) is missing
///   from it, now or ever, and none stands behind that.
/// - *Merged cursor.* Who goes on behind [`scanned`](Merged::scanned) comes to every message that
///   was there before, in a bounded number of pages, however few of them the categories hold.
/// - *Bookkeeping left out.* All categories are all but those in which subscribers keep their own
///   books; one of these is read where it is named.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read several categories by one cursor",
    note = "`MergedStore` is one of the topics of a `MessageStore`; a transaction has none, for it \
            cannot see others end"
)]
pub trait MergedStore: Send + Sync {
    /// Reads a page of several categories, from a global position on (that one too).
    ///
    /// Where something may still appear below what is visible, the page ends before it. Where it
    /// would be empty for that, the store waits for a moment, and then says who
    /// [holds it up](Merged::held).
    ///
    /// # Errors
    ///
    /// When the store fails, or [cannot read so](Self::check_merged).
    fn read_merged<'a>(
        &'a self,
        of: &'a Categories,
        from: GlobalPosition,
        limit: BatchSize,
    ) -> BoxFuture<'a, Result<Merged, Error>>;

    /// Whether several categories can be read by one cursor here, to be asked once at the start.
    ///
    /// # Errors
    ///
    /// When something about the store would make such a reader miss messages; it says what.
    fn check_merged(&self) -> BoxFuture<'_, Result<(), Error>> {
        ready(Ok(())).boxed()
    }
}

/// A page of several categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The messages, in the order of their global positions.
    pub messages: Vec<Recorded>,
    /// Up to here, this one too, every position from the one asked for is decided: its message is in
    /// the page, or of no interest, or there will never be one. The next page begins behind it. It
    /// may rise though no message matched; where nothing is decided it is the position before the one
    /// asked for.
    pub scanned: GlobalPosition,
    /// Who keeps the next position from being decided, where that was waited for in vain.
    pub held: Option<HeldUp>,
}

/// A writer that others wait for, because it has not ended. `Display` says who and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldUp {
    /// Who it is, as a person would look for it.
    pub by: String,
    /// Since when it is at it, where that is known.
    pub since: Option<OffsetDateTime>,
}

impl fmt::Display for HeldUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}", self.by)?;
        match self.since {
            Some(since) => write!(f, " since {since}"),
            None => Ok(()),
        }
    }
}

/// Several categories, or all of them.
///
/// # Examples
///
/// ```
/// use evenfold_core::Category;
/// use evenfold_core::store::Categories;
///
/// let [account, transfer] = [Category::new("account")?, Category::new("transfer")?];
/// let both = Categories::of([account.clone(), transfer])?;
/// assert!(both.holds(&account) && !both.holds(&account.command()));
///
/// let all = Categories::all();
/// assert!(all.holds(&account.command()));
/// assert!(!all.holds(&account.with_type("position")?)); // a subscriber's progress
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories(Option<Box<[Category]>>);

impl Categories {
    /// The types of categories in which subscribers keep their own books. One that reads all would
    /// be woken by each record of its own progress, for ever.
    pub const BOOKKEEPING: [&'static str; 3] = ["position", "streamPosition", "parked"];

    /// These categories; in which order they are named makes no difference.
    ///
    /// # Errors
    ///
    /// When there is none, or one is named twice.
    pub fn of(categories: impl IntoIterator<Item = Category>) -> Result<Self, Invalid> {
        let mut sorted = BTreeSet::new();
        for category in categories {
            if let Some(twice) = sorted.replace(category) {
                return Err(Invalid::new("categories", twice, "a category is named twice"));
            }
        }
        if sorted.is_empty() {
            return Err(Invalid::new("categories", "", "name at least one, or read all"));
        }
        Ok(Self(Some(sorted.into_iter().collect())))
    }

    /// All categories but those of [bookkeeping](Self::BOOKKEEPING).
    pub const fn all() -> Self {
        Self(None)
    }

    /// Those that were named; none where all are meant.
    pub fn named(&self) -> Option<&[Category]> {
        self.0.as_deref()
    }

    /// Whether a category is one of them.
    pub fn holds(&self, category: &Category) -> bool {
        match &self.0 {
            Some(named) => named.contains(category),
            None => !category.types().any(|kind| Self::BOOKKEEPING.contains(&kind)),
        }
    }
}

impl fmt::Display for Categories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(named) = &self.0 else { return f.write_str("all categories") };
        for (number, category) in named.iter().enumerate() {
            write!(f, "{}{category}", if number == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(names: &[&str]) -> Result<Categories, Invalid> {
        Categories::of(names.iter().map(|name| Category::stored(name)))
    }

    #[test]
    fn no_category_and_one_named_twice_are_refused() {
        for (names, said) in [
            (&[][..], "categories ``: name at least one, or read all"),
            (&["a", "b", "a"], "categories `a`: a category is named twice"),
        ] {
            assert_eq!(categories(names).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn the_order_of_names_makes_no_difference() {
        let one = categories(&["b", "a:command", "a"]).unwrap();
        assert_eq!(one, categories(&["a", "b", "a:command"]).unwrap());
    }

    #[test]
    fn all_are_all_but_those_with_a_type_of_bookkeeping() {
        for (name, held) in [
            ("account", true),
            ("position", true),
            ("account:command", true),
            ("account:positions", true),
            ("account:Position", true),
            ("account:v:position", true),
            ("account:position", false),
            ("account:command+position", false),
            ("account:position+v1", false),
            ("account:streamPosition", false),
            ("account:parked", false),
        ] {
            assert_eq!(Categories::all().holds(&Category::stored(name)), held, "{name}");
            assert!(categories(&[name]).unwrap().holds(&Category::stored(name)), "{name}");
        }
    }

    #[test]
    fn categories_are_shown_in_one_order() {
        assert_eq!(categories(&["b", "a:command"]).unwrap().to_string(), "a:command, b");
        assert_eq!(Categories::all().to_string(), "all categories");
    }
}
