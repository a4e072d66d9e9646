//! Controls: canonical examples of messages, streams, metadata and batches, the awkward ones too.
//!
//! The conformance suite writes them to every backend, and your own tests may. Nothing here is
//! random: the same call makes the same value.

pub mod batch;
pub mod message;
pub mod metadata;
pub mod stream;

use uuid::Uuid;

/// The message id that has this number: the same number is the same id.
///
/// # Examples
///
/// ```
/// let id = evenfold_testkit::controls::id(42);
/// assert_eq!(id.to_string(), "00000000-0000-4000-8000-00000000002a");
/// ```
pub fn id(number: u64) -> Uuid {
    numbered(0, number)
}

/// An id of version 4 in form; families of ids are told apart by its first part.
pub(crate) fn numbered(family: u32, number: u64) -> Uuid {
    let form = (0x4 << 76) | (0x8 << 60);
    Uuid::from_u128((u128::from(family) << 96) | form | u128::from(number))
}
