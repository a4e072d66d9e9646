//! However large a category is, reading it from Postgres holds two pages of it in memory: one that is
//! looked at, and one that is on its way.
//!
//! The allocator counts every byte of the program, so this file has one test and no other.

use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{Outcome, peak};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const PAGE: u64 = 1000;
const PAGES: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_a_category_of_50_000_messages_takes_no_more_memory_than_two_pages() -> Outcome {
    let database = TestDatabase::new().await?;
    // One connection, so that no more are made while reading.
    let store = evenfold::connect(&format!("{}&connections=1", database.url())).await?;
    peak::generate(&database.url(), "few", PAGE).await?;
    peak::generate(&database.url(), "many", PAGES * PAGE).await?;

    // The first time, connections and statements are made.
    peak::reading(&store, "few", PAGE).await?;
    let one = peak::reading(&store, "few", PAGE).await?;
    let all = peak::reading(&store, "many", PAGES * PAGE).await?;
    println!("{one} bytes for one page, {all} bytes for {PAGES} pages");
    assert!(one > 100_000, "the allocator counts: {one} bytes for one page");
    assert!(all < 2 * one + one / 4, "{all} bytes for {PAGES} pages, {one} bytes for one");
    Ok(())
}
