//! Message ids, as a seam that a test can drive.

use std::fmt;

use uuid::Uuid;

/// Makes the ids of messages that were not given one.
///
/// Law: an id is never made twice.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make message ids",
    note = "use `TimeOrderedIds`, or `CountedIds` of evenfold-testkit in a test"
)]
pub trait Ids: fmt::Debug + Send + Sync + 'static {
    /// The next id.
    fn next(&self) -> Uuid;
}

/// Ids of UUID version 7: random, and sorted by the time they were made, which keeps an index warm.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeOrderedIds;

impl Ids for TimeOrderedIds {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that others are sent to")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
