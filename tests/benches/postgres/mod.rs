//! The Postgres store and our schema's functions against the genuine Message DB, on one server.
//!
//! The server is that of `$DATABASE_URL`, which `cargo xtask bench` makes. Whole calls are timed by
//! the clock, with the server on our core; functions by the processor time of the server alone.

mod append;
mod batch;
mod functions;
mod pgbench;
mod server;
mod wakeups;

use evenfold_tests::Outcome;
use evenfold_tests::asked::{self, say};

use crate::subscriber;

pub(crate) async fn all() -> Outcome {
    let (append, functions, wakeups) = (append::NAMES, functions::NAMES, wakeups::NAMES);
    let subscriber = [subscriber::POSTGRES];
    let mut all = append.iter().chain(&functions).chain(&wakeups).chain(&subscriber);
    if !all.any(|name| asked::for_this(name)) {
        return Ok(());
    }
    let both = server::Both::prepare().await?;
    for name in append {
        if asked::for_this(name) {
            say(append::compare(name, &both).await?)?;
        }
    }
    for name in functions {
        if asked::for_this(name) {
            say(functions::compare(name, &both).await?)?;
        }
    }
    for name in wakeups {
        if asked::for_this(name) {
            say(wakeups::compare(name, &both).await?)?;
        }
    }
    if asked::for_this(subscriber::POSTGRES) {
        let database = server::Database::new().await?;
        let store = database.store().await?;
        subscriber::fill(&store).await?;
        say(subscriber::compare(subscriber::POSTGRES, &store).await?)?;
    }
    Ok(())
}

/// An event with as much in it as a real one.
const LONG_DATA: &str = r#"{"accountId":"a3f0c2d4e5b6","depositId":"b4e1d3c5f607","amount":5,"currency":"EUR","time":"2026-11-23T14:15:16.123Z","processedTime":"2026-11-23T14:15:17.456Z","sequence":123456}"#;

/// What follows a command has this.
const METADATA: &str = r#"{"causationMessageStreamName":"account:command-a3f0c2d4e5b6","causationMessagePosition":123,"causationMessageGlobalPosition":123456,"correlationStreamName":"transfer-b4e1d3c5f607","replyStreamName":"transfer-b4e1d3c5f607","schemaVersion":"1"}"#;
