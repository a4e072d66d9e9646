//! Message ids that a test can tell beforehand.
//!
//! The double of `evenfold_core::TimeOrderedIds`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenfold_core::Ids;
use uuid::Uuid;

use crate::controls::numbered;

/// Ids that count up from 1; clones count together. They are none of [`crate::controls::id`]'s.
///
/// # Examples
///
/// ```
/// use evenfold_core::Ids;
/// use evenfold_testkit::CountedIds;
///
/// let ids = CountedIds::default();
/// assert_eq!(ids.next(), CountedIds::nth(1));
/// assert_eq!(ids.made(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CountedIds(Arc<AtomicU64>);

impl CountedIds {
    /// The id that is made as the `number`th, counted from 1.
    pub fn nth(number: u64) -> Uuid {
        numbered(1, number)
    }

    /// How many were made.
    pub fn made(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Ids for CountedIds {
    fn next(&self) -> Uuid {
        Self::nth(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
