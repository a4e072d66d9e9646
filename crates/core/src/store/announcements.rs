//! What the processes that share a store tell each other of it.
//!
//! Owns [`Announcement`]. How a store sends and hears them are methods of
//! [`MessageStore`](super::MessageStore); who is woken by them is the `evenfold` crate's.

use crate::Category;

/// What a store heard from other processes that use it, or of its own hearing.
///
/// It is a hint: it may come late, twice or not at all, and who waits for it reads at times
/// all the same.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{Announcement, MessageStore};
/// use futures::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // A store in memory is of one process alone, so there is nothing to hear.
/// let nothing: Vec<Announcement> = evenfold_core::Memory::new().announcements().collect().await;
/// assert!(nothing.is_empty());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Announcement {
    /// Messages were committed to this category, by this process or another one.
    Heard(Category),
    /// What the store announced to itself as a probe came back: announcements arrive.
    Alive,
    /// Announcements do not arrive, or did not for a while: some may have been missed.
    Deaf,
}
