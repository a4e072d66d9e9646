//! How much memory projecting a stream takes at its peak: 100,000 messages against one page.
//!
//! By itself, because counting each allocation would slow down what `main.rs` measures.

use std::process::ExitCode;

use evenfold::prelude::*;
use evenfold_tests::asked::{self, say};
use evenfold_tests::{Outcome, peak};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[tokio::main]
async fn main() -> Outcome<ExitCode> {
    const NAME: &str = "projecting a stream, bytes at the peak";
    if !asked::to_measure() || !asked::for_this(NAME) {
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("long.db").display());
    let store = evenfold::connect(&url).await?;
    let (short, long) = (StreamName::new("account-short")?, StreamName::new("account-long")?);
    peak::fill(&store, &short, 1000).await?;
    peak::fill(&store, &long, 100_000).await?;
    peak::projecting(&store, &short, 1000).await?;

    say(format_args!("\n| {NAME} | 1,000 messages, one page | 100,000 messages |"))?;
    say("|---|---:|---:|")?;
    let (one, all) = (
        peak::projecting(&store, &short, 1000).await?,
        peak::projecting(&store, &long, 100_000).await?,
    );
    say(format_args!("| SQLite | {one} | {all} |"))?;
    Ok(ExitCode::SUCCESS)
}
