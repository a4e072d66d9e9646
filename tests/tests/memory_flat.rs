//! However long a stream is, projecting it holds one page of it in memory.
//!
//! The allocator counts every byte of the program, so this file has one test and no other.

use evenfold::prelude::*;
use evenfold_tests::{Outcome, peak};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const PAGE: u64 = 1000;
const PAGES: u64 = 100;

#[tokio::test]
async fn projecting_100_000_messages_takes_no_more_memory_than_one_page() -> Outcome {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("long.db").display());
    let store = evenfold::connect(&url).await?;
    let (short, long) = (StreamName::new("account-short")?, StreamName::new("account-long")?);
    peak::fill(&store, &short, PAGE).await?;
    peak::fill(&store, &long, PAGES * PAGE).await?;

    // The first time, connections and statements are made.
    peak::projecting(&store, &short, PAGE).await?;
    // How many rows are under way from SQLite's thread at the peak of a page is chance, so one page is
    // read as often as the long stream has pages.
    let mut one = 0;
    for _ in 0..PAGES {
        one = one.max(peak::projecting(&store, &short, PAGE).await?);
    }
    let all = peak::projecting(&store, &long, PAGES * PAGE).await?;
    println!("{one} bytes for one page, {all} bytes for {PAGES} pages");
    assert!(one > 100_000, "the allocator counts: {one} bytes for one page");
    assert!(all < one + one / 4, "{all} bytes for {PAGES} pages, {one} bytes for one");
    Ok(())
}
