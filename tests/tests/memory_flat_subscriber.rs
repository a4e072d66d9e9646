//! However much there is to handle, a subscriber holds what it reads ahead in memory, also when it
//! handles messages side by side, and also when most of them are others'.
//!
//! The allocator counts every byte of the program, so this file has one test and no other. It goes
//! through 40,000 messages, or as many as there is time for in `$EVENFOLD_SOAK_SECONDS`; a million are in
//! `benches/peak.rs`.

use std::fmt;
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::stores::{BatchSize, CategoryQuery, LeaseGroup, Member};
use evenfold::{GlobalPosition, Ids, Store, TimeOrderedIds};
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{Outcome, figures, peak};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// In pages of what is read: two that are read ahead and the one on its way, with the books of each.
/// At the peak it is three to seven, by what is just on its way; a backlog held as a whole is forty.
const PAGES: usize = 8;

/// How many messages there are for each second.
const EACH_SECOND: u64 = 4000;
const BUCKETS: u16 = 16;

#[tokio::test]
async fn a_backlog_takes_no_more_memory_than_what_is_read_ahead() -> Outcome {
    let time = figures::soak(Duration::from_secs(10))?;
    let peaks = measure(EACH_SECOND * time.as_secs().max(10)).await?;
    let Peaks { page, alone, sharing, .. } = peaks;
    figures::tell("memory-subscriber", &peaks)?;
    assert!(page > 100_000, "the allocator counts: {peaks}");
    assert!(alone > 2 * page && alone < PAGES * page, "{peaks}");
    assert!(sharing < PAGES * page, "{peaks}");
    Ok(())
}

/// Bytes at the peak.
struct Peaks {
    messages: u64,
    /// Of one page that is read and held.
    page: usize,
    alone: usize,
    /// Where half of what it reads is another member's.
    sharing: usize,
}

impl fmt::Display for Peaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, page, alone, sharing } = self;
        write!(
            f,
            "{alone} bytes for {messages} messages, {sharing} where half are another's, {page} a page"
        )
    }
}

async fn measure(messages: u64) -> Outcome<Peaks> {
    let database = TestDatabase::new().await?;
    peak::generate(&database.url(), "account", messages).await?;
    let store = evenfold::connect(&database.url()).await?;
    // The first time, connections and statements are made.
    peak::subscribing(peak::idler(&store, "first").start_at(last(messages)?)).await?;

    let page = held_page(&store).await?;
    let (handled, alone) = peak::subscribing(peak::idler(&store, "alone")).await?;
    assert_eq!(handled, messages);
    let group = LeaseGroup::new(StreamName::new("account:position-shared")?, BUCKETS)?;
    let other = Member { id: TimeOrderedIds.next(), label: "another".into() };
    let ever = Duration::from_hours(1);
    store.messages().renew_leases(&group, &other, ever).await?;
    let half: Vec<_> = (0..BUCKETS / 2).collect();
    store.messages().release_leases(&group, other.id, &half).await?;
    let sharing = peak::idler(&store, "shared").leased(BUCKETS);
    let (handled, sharing) = peak::subscribing(sharing).await?;
    assert!(handled > messages / 3 && handled < messages * 2 / 3, "{handled} of {messages}");
    Ok(Peaks { messages, page, alone, sharing })
}

fn last(messages: u64) -> Outcome<GlobalPosition> {
    Ok(GlobalPosition::new(messages.try_into()?)?)
}

/// What a page takes that is read and held, when its statement was made before.
async fn held_page(store: &Store) -> Outcome<usize> {
    let query = CategoryQuery::new("account".parse()?);
    let read = || store.messages().read_category(&query, GlobalPosition::START, BatchSize::DEFAULT);
    read().await?;
    let before = ALLOCATOR.current_usage();
    let page = read().await?;
    assert_eq!(page.len(), BatchSize::DEFAULT.as_len());
    Ok(ALLOCATOR.current_usage().saturating_sub(before))
}
