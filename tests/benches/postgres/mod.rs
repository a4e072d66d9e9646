//! The Postgres store and our schema's functions against the genuine Message DB, on one server.
//!
//! The server is that of `$DATABASE_URL`, which `cargo xtask bench` makes. Whole calls are timed by
//! the clock, with the server on our core; functions by the processor time of the server alone.

mod append;
mod functions;
mod pgbench;
mod server;

use evenfold_tests::Outcome;
use evenfold_tests::asked::{self, say};

pub(crate) async fn all() -> Outcome {
    let (append, functions) = (append::NAMES, functions::NAMES);
    if !append.iter().chain(&functions).any(|name| asked::for_this(name)) {
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
    Ok(())
}
