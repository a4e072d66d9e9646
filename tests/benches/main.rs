//! The framework against the same statements by hand, subscribers against reading alone, the memory
//! store against its own size, and the Postgres store and schema against the genuine Message DB.
//!
//! `cargo xtask bench` runs it; words behind it choose comparisons by a part of their name. Goals
//! are of the issue that asked for them; one that is missed is said and fails nothing, for the
//! weather of a machine is no fault of a change. `docs/benchmarks.md` explains the table.

mod append;
mod bare;
mod entities;
mod harness;
mod memory;
mod peers;
mod postgres;
mod replay;
mod subscriber;

use std::process::ExitCode;

use evenfold_tests::Outcome;
use evenfold_tests::asked;
use tempfile::TempDir;
use tokio::runtime::Builder;

use harness::Report;

fn main() -> Outcome<ExitCode> {
    if !asked::to_measure() {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(done) = harness::pinned()? {
        return Ok(done);
    }
    let mut report = Report::default();
    let measured = all(&mut report);
    if let Err(error) = &measured {
        report.note(format!("it ended early: {error}"))?;
    }
    // What was measured before something failed took its time.
    report.write()?;
    measured.map(|()| ExitCode::SUCCESS)
}

fn all(report: &mut Report) -> Outcome {
    Builder::new_multi_thread().enable_all().build()?.block_on(in_process(report))?;
    // As in a task of an application: the thread that hears the server's answer goes on with it.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(postgres::all(report))?;
    runtime.block_on(peers::all(report))
}

async fn in_process(report: &mut Report) -> Outcome {
    bare::are_current()?;
    report.part("SQLite: evenfold / the same statements by hand", "sqlite");
    for name in append::NAMES.into_iter().filter(|name| asked::for_this(name)) {
        report.add(append::compare(name, &tempfile::tempdir()?).await?)?;
    }
    if asked::for_any(&replay::NAMES) {
        let folder = tempfile::tempdir()?;
        let replay = replay::Replay::prepare(&folder).await?;
        let _all = harness::AllCores::take();
        for name in replay::NAMES.into_iter().filter(|name| asked::for_this(name)) {
            report.add(replay.compare(name).await?)?;
        }
    }
    if asked::for_this(entities::SQLITE) {
        report.part("SQLite: loading an entity", "entities-sqlite");
        let folder = tempfile::tempdir()?;
        let store = evenfold::connect(&url(&folder, "entities.db")).await?;
        entities::fill(&store).await?;
        report.add(entities::compare(entities::SQLITE, &store).await?)?;
    }
    report.part("Subscribers / reading alone", "subscribers");
    if asked::for_this(subscriber::SQLITE) {
        let folder = tempfile::tempdir()?;
        let store = evenfold::connect(&url(&folder, "subscriber.db")).await?;
        subscriber::fill(&store).await?;
        let _all = harness::AllCores::take();
        report.add(subscriber::compare(subscriber::SQLITE, &store).await?)?;
    }
    if asked::for_this(subscriber::PARALLEL) {
        report.add(subscriber::parallel().await?)?;
    }
    report.part("The memory store / itself, with less in it", "memory");
    for name in memory::NAMES.into_iter().filter(|name| asked::for_this(name)) {
        report.add(memory::compare(name).await?)?;
    }
    Ok(())
}

/// The URL of a file in this folder.
fn url(folder: &TempDir, file: &str) -> String {
    format!("sqlite://{}", folder.path().join(file).display())
}
