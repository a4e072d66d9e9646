//! A bank: commands come in as JSON lines, are handled one after another, and end in balances.
//!
//! It shows the whole of evenfold in one application: messages (`messages.rs`), the state of an
//! account and its decisions (`account.rs`), handlers and a process over two streams (`teller.rs`),
//! reading commands (`input.rs`), a projection of the whole category (`summary.rs`), what operators
//! do (`operate.rs`), and the wiring below.
//!
//! ```text
//! cargo run -p bank                                   # a thousand commands, into ./bank.db
//! cargo run -p bank                                   # again: 0 new effects
//! cargo run -p bank -- my.jsonl --store sqlite://my.db
//! cargo run -p bank -- --store 'postgres://me@localhost/bank?install=yes'
//! echo '{"type":"Open","account":"zoe","data":{"owner":"Zoe"}}' | cargo run -p bank -- -
//! cargo run -p bank -- --strict                       # parks what it does not know: `parked`
//! cargo run -p bank -- serve --store 'postgres://…'   # twice, on one store: they share the work
//! ```
//!
//! It prints what it took in, each account with its balance, and what was refused and why. Killed
//! at any moment and started again, it goes on where it was and counts nothing twice.
//!
//! What cannot be handled is parked with its reason: its account waits, the others go on. `bank
//! parked` lists it; when the cause is mended, `bank replay` asks for it and the next run handles it.

#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "messages are the vocabulary, taken as a whole")
)]

mod account;
mod args;
mod input;
#[rustfmt::skip]
mod messages;
mod operate;
mod summary;
mod teller;

use std::io::Write;

use evenfold::error::BoxError;
use evenfold::{Host, Store};

use crate::args::{Args, Task, USAGE};
use crate::input::Taken;
use crate::summary::Ledger;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let Some(args) = Args::parse(std::env::args().skip(1))? else {
        return Ok(writeln!(std::io::stdout(), "{USAGE}")?);
    };
    let store = evenfold::connect(&args.store).await?;
    match args.task {
        Task::Run => run(&store, &args).await,
        Task::Serve => operate::serve(&store, &args).await,
        Task::Parked => operate::list_parked(&store).await,
        Task::Replay => operate::ask_for_replay(&store).await,
    }
}

async fn run(store: &Store, args: &Args) -> Result<(), BoxError> {
    let before = Ledger::read(store).await?.events();
    let taken = input::take(store, args.open().await?).await?;
    let host = operate::subscribers(store, args).into_iter().fold(Host::new(), Host::subscriber);
    host.run_until_caught_up().await?.into_result()?;

    let ledger = Ledger::read(store).await?;
    let effects = taken.written + (ledger.events() - before);
    let parked = operate::count_parked(store).await?;
    print(store.messages().name(), &taken, parked, &ledger, effects)?;
    Ok(())
}

fn print(
    backend: &str,
    taken: &Taken,
    parked: usize,
    ledger: &Ledger,
    effects: u64,
) -> std::io::Result<()> {
    let out = &mut std::io::stdout().lock();
    writeln!(out, "The bank, kept in {backend}\n\nCommands")?;
    writeln!(
        out,
        "  {:>5} new, {} of them of a type that the bank does not know",
        taken.written, taken.unknown_types
    )?;
    writeln!(out, "  {:>5} known already, by their id", taken.known)?;
    writeln!(out, "  {:>5} lines could not be read", taken.broken.len())?;
    for (number, reason) in &taken.broken {
        writeln!(out, "        line {number}: {reason}")?;
    }
    if parked > 0 {
        writeln!(out, "  {parked:>5} parked; `bank parked` says why")?;
    }
    write!(out, "{ledger}")?;
    writeln!(out, "\n{effects} new effects")
}
