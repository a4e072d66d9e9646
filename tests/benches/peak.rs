//! How much memory reading and handling take at their peak: a long stream and a large category against
//! one page.
//!
//! By itself, because counting each allocation would slow down what `main.rs` measures.

use std::process::ExitCode;

use evenfold::GlobalPosition;
use evenfold::prelude::*;
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::asked::{self, say};
use evenfold_tests::{Outcome, peak};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const STREAM: &str = "projecting a stream, bytes at the peak";
const CATEGORY: &str = "postgres, reading a category, bytes at the peak";

const SUBSCRIBER: &str = "postgres, a subscriber that handles 16 at a time, bytes at the peak";

#[tokio::main]
async fn main() -> Outcome<ExitCode> {
    if asked::to_measure() && asked::for_this(STREAM) {
        stream().await?;
    }
    if asked::to_measure() && asked::for_this(CATEGORY) {
        category().await?;
    }
    if asked::to_measure() && asked::for_this(SUBSCRIBER) {
        subscriber().await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn stream() -> Outcome {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("long.db").display());
    let store = evenfold::connect(&url).await?;
    let (short, long) = (StreamName::new("account-short")?, StreamName::new("account-long")?);
    peak::fill(&store, &short, 1000).await?;
    peak::fill(&store, &long, 100_000).await?;
    peak::projecting(&store, &short, 1000).await?;

    say(format_args!("\n| {STREAM} | 1,000 messages, one page | 100,000 messages |"))?;
    say("|---|---:|---:|")?;
    let (one, all) = (
        peak::projecting(&store, &short, 1000).await?,
        peak::projecting(&store, &long, 100_000).await?,
    );
    say(format_args!("| SQLite | {one} | {all} |"))?;
    Ok(())
}

async fn category() -> Outcome {
    let database = TestDatabase::new().await?;
    // One connection, so that no more are made while reading.
    let store = evenfold::connect(&format!("{}&connections=1", database.url())).await?;
    peak::generate(&database.url(), "few", 1000).await?;
    peak::generate(&database.url(), "many", 1_000_000).await?;
    peak::reading(&store, "few", 1000).await?;

    say(format_args!("\n| {CATEGORY} | 1,000 messages, one page | 1,000,000 messages |"))?;
    say("|---|---:|---:|")?;
    let (one, all) = (
        peak::reading(&store, "few", 1000).await?,
        peak::reading(&store, "many", 1_000_000).await?,
    );
    say(format_args!("| Postgres | {one} | {all} |"))?;
    Ok(())
}

async fn subscriber() -> Outcome {
    let mut peaks = Vec::new();
    // What is read ahead, and much more.
    for messages in [2000, 1_000_000] {
        let database = TestDatabase::new().await?;
        peak::generate(&database.url(), "account", messages).await?;
        let store = evenfold::connect(&database.url()).await?;
        let end = GlobalPosition::new(messages.try_into()?)?;
        peak::subscribing(peak::idler(&store, "first").start_at(end)).await?;
        let (handled, peak) = peak::subscribing(peak::idler(&store, "all")).await?;
        if handled != messages {
            return Err(format!("{handled} of {messages} messages").into());
        }
        peaks.push(peak.to_string());
    }
    say(format_args!("\n| {SUBSCRIBER} | 2,000 messages, read ahead | 1,000,000 messages |"))?;
    say("|---|---:|---:|")?;
    say(format_args!("| Postgres | {} |", peaks.join(" | ")))?;
    Ok(())
}
