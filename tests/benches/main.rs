//! The framework against the same statements by hand, subscribers against reading alone, the memory
//! store against its own size, and the Postgres store and schema against the genuine Message DB.
//!
//! `cargo xtask bench` runs it; words behind it choose comparisons by a part of their name. Goals
//! are of the issue that asked for them; one that is missed is said and fails nothing, for the
//! weather of a machine is no fault of a change. `docs/benchmarks.md` explains the table.

mod append;
mod bare;
mod harness;
mod memory;
mod postgres;
mod replay;
mod subscriber;

use std::process::ExitCode;

use evenfold_tests::Outcome;
use evenfold_tests::asked::{self, say};

use tempfile::TempDir;

fn main() -> Outcome<ExitCode> {
    if !asked::to_measure() {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(done) = harness::pinned()? {
        return Ok(done);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(all())?;
    // As in a task of an application: the thread that hears the server's answer goes on with it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(postgres::all())?;
    Ok(ExitCode::SUCCESS)
}

async fn all() -> Outcome {
    bare::are_current()?;
    harness::head()?;
    for name in append::NAMES {
        if asked::for_this(name) {
            say(append::compare(name, &tempfile::tempdir()?).await?)?;
        }
    }
    if replay::NAMES.into_iter().any(asked::for_this) {
        let folder = tempfile::tempdir()?;
        let replay = replay::Replay::prepare(&folder).await?;
        for name in replay::NAMES {
            if asked::for_this(name) {
                say(replay.compare(name).await?)?;
            }
        }
    }
    if asked::for_this(subscriber::SQLITE) {
        let folder = tempfile::tempdir()?;
        let store = evenfold::connect(&url(&folder, "subscriber.db")).await?;
        subscriber::fill(&store).await?;
        say(subscriber::compare(subscriber::SQLITE, &store).await?)?;
    }
    if asked::for_this(subscriber::PARALLEL) {
        say(subscriber::parallel().await?)?;
    }
    for name in memory::NAMES {
        if asked::for_this(name) {
            say(memory::compare(name).await?)?;
        }
    }
    Ok(())
}

/// The URL of a file in this folder.
fn url(folder: &TempDir, file: &str) -> String {
    format!("sqlite://{}", folder.path().join(file).display())
}
