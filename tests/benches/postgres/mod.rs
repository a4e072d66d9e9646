//! The Postgres store and our schema's functions against the genuine Message DB, on one server.
//!
//! The server is that of `$DATABASE_URL`, which `cargo xtask bench` makes, and does not wait for its
//! disk; `durable.rs` starts one that does. Whole calls are timed by the clock, with the server on our
//! core, and what is read in pages with the server on another one; functions by the processor time of the
//! server alone.

mod append;
mod batch;
mod durable;
mod functions;
mod pgbench;
mod replay;
pub(crate) mod server;
mod wakeups;

use evenfold_tests::Outcome;
use evenfold_tests::asked;

use crate::harness::Report;
use crate::{entities, subscriber};
use server::{Both, Core, Database};

pub(crate) async fn all(report: &mut Report) -> Outcome {
    if asked::for_any(&append::NAMES) || asked::for_any(&wakeups::NAMES) {
        report.part("Postgres: evenfold / the bare statement", "postgres");
        let both = Both::prepare(Core::Ours).await?;
        for name in append::NAMES.into_iter().filter(|name| asked::for_this(name)) {
            report.add(append::compare(name, &both).await?)?;
        }
        for name in wakeups::NAMES.into_iter().filter(|name| asked::for_this(name)) {
            report.add(wakeups::compare(name, &both).await?)?;
        }
    }
    if asked::for_any(&functions::NAMES) {
        report.part("Postgres: functions of our schema / of Message DB", "functions");
        let both = Both::prepare(Core::Ours).await?;
        for name in functions::NAMES.into_iter().filter(|name| asked::for_this(name)) {
            report.add(functions::compare(name, &both).await?)?;
        }
    }
    if asked::for_any(&replay::NAMES) {
        report.part("Postgres: reading a category", "replay");
        let both = Both::prepare(Core::Another).await?;
        for name in replay::NAMES.into_iter().filter(|name| asked::for_this(name)) {
            report.add(replay::compare(name, &both).await?)?;
        }
    }
    if asked::for_any(&entities::POSTGRES) {
        report.part("Postgres: loading an entity", "entities");
        let database = Database::new(Core::Ours).await?;
        let store = database.store().await?;
        entities::fill(&store).await?;
        for name in entities::POSTGRES.into_iter().filter(|name| asked::for_this(name)) {
            report.add(entities::compare(name, &store).await?)?;
        }
    }
    if asked::for_this(subscriber::POSTGRES) {
        report.part("Postgres: a subscriber / reading alone", "subscriber-postgres");
        let database = Database::new(Core::Another).await?;
        let store = database.store().await?;
        subscriber::fill(&store).await?;
        report.add(subscriber::compare(subscriber::POSTGRES, &store).await?)?;
    }
    durable::all(report).await
}

/// An event with as much in it as a real one.
const LONG_DATA: &str = r#"{"accountId":"a3f0c2d4e5b6","depositId":"b4e1d3c5f607","amount":5,"currency":"EUR","time":"2026-11-23T14:15:16.123Z","processedTime":"2026-11-23T14:15:17.456Z","sequence":123456}"#;

/// What follows a command has this.
const METADATA: &str = r#"{"causationMessageStreamName":"account:command-a3f0c2d4e5b6","causationMessagePosition":123,"causationMessageGlobalPosition":123456,"correlationStreamName":"transfer-b4e1d3c5f607","replyStreamName":"transfer-b4e1d3c5f607","schemaVersion":"1"}"#;
