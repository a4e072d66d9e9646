//! However much there is to handle, a subscriber holds what it reads ahead in memory, also when it
//! handles messages side by side, and also when most of them are others'.
//!
//! The allocator counts every byte of the program, so this file has one test and no other. It goes
//! through 20,000 messages, or as many as there is time for in `$EVENFOLD_SOAK_SECONDS`; a million are in
//! `benches/peak.rs`.

use std::fmt;
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::stores::{LeaseGroup, Member};
use evenfold::{GlobalPosition, Ids, TimeOrderedIds};
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{Outcome, figures, peak};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Twice what is read ahead, two pages: so that there is always as much to read as it holds.
const FEW: u64 = 4000;
const BUCKETS: u16 = 16;

#[tokio::test]
async fn a_backlog_takes_no_more_memory_than_what_is_read_ahead() -> Outcome {
    let time = figures::soak(Duration::from_secs(10))?;
    // At the peak there is one page beside the one in hand, or almost two.
    let mut few = measure(FEW).await?;
    for _ in 0..2 {
        let again = measure(FEW).await?;
        few.alone = few.alone.max(again.alone);
    }
    let many = measure(FEW / 2 * time.as_secs().max(10)).await?;
    let figures = format!("few: {few}; many: {many}");
    figures::tell("memory-subscriber", &figures)?;
    assert!(few.alone > 100_000, "the allocator counts: {figures}");
    assert!(many.alone < few.alone * 2, "{figures}");
    assert!(many.sharing < few.alone * 2, "{figures}");
    Ok(())
}

/// Bytes at the peak.
struct Peaks {
    messages: u64,
    alone: usize,
    /// Where half of what it reads is another member's.
    sharing: usize,
}

impl fmt::Display for Peaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, alone, sharing } = self;
        write!(f, "{alone} bytes for {messages} messages, {sharing} where half are another's")
    }
}

async fn measure(messages: u64) -> Outcome<Peaks> {
    let database = TestDatabase::new().await?;
    peak::generate(&database.url(), "account", messages).await?;
    let store = evenfold::connect(&database.url()).await?;
    // The first time, connections and statements are made.
    peak::subscribing(peak::idler(&store, "first").start_at(last(messages)?)).await?;

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
    Ok(Peaks { messages, alone, sharing })
}

fn last(messages: u64) -> Outcome<GlobalPosition> {
    Ok(GlobalPosition::new(messages.try_into()?)?)
}
