//! A bank: commands come in as JSON lines, are handled one after another, and end in balances.
//!
//! It shows the whole of evenfold in one application: messages (`messages.rs`), the state of an
//! account and its decisions (`account.rs`), handlers and a process over two streams (`teller.rs`),
//! reading commands (`input.rs`), a projection of the whole category (`summary.rs`), and the wiring
//! below.
//!
//! ```text
//! cargo run -p bank                                   # a thousand commands, into ./bank.db
//! cargo run -p bank                                   # again: 0 new effects
//! cargo run -p bank -- my.jsonl --store sqlite://my.db
//! cargo run -p bank -- --store 'postgres://me@localhost/bank?install=yes'
//! echo '{"type":"Open","account":"zoe","data":{"owner":"Zoe"}}' | cargo run -p bank -- -
//! ```
//!
//! It prints what it took in, each account with its balance, and what was refused and why. Killed
//! at any moment and started again, it goes on where it was and counts nothing twice.

#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "messages are the vocabulary, taken as a whole")
)]

mod account;
mod input;
#[rustfmt::skip]
mod messages;
mod summary;
mod teller;

use std::io::Write;

use evenfold::Host;
use evenfold::error::BoxError;
use tokio::io::{AsyncBufRead, BufReader};

use crate::input::Taken;
use crate::summary::Ledger;
use crate::teller::{Courier, Teller};

const COMMANDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/commands.jsonl");

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let Some(args) = Args::parse(std::env::args().skip(1))? else {
        return Ok(writeln!(std::io::stdout(), "usage: bank [FILE | -] [--store URL]")?);
    };
    let store = evenfold::connect(&args.store).await?;

    let before = Ledger::read(&store).await?.events();
    let taken = input::take(&store, args.open().await?).await?;
    let stops = Host::new()
        .subscriber(store.subscriber("teller", Teller(store.entities())))
        .subscriber(store.subscriber("courier", Courier(store.entities())))
        .run_until_caught_up()
        .await?;
    stops.into_result()?;

    let ledger = Ledger::read(&store).await?;
    let effects = taken.written + (ledger.events() - before);
    print(store.messages().name(), &taken, &ledger, effects)?;
    Ok(())
}

fn print(backend: &str, taken: &Taken, ledger: &Ledger, effects: u64) -> std::io::Result<()> {
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
    write!(out, "{ledger}")?;
    writeln!(out, "\n{effects} new effects")
}

/// Where commands come from, and where the bank is kept.
struct Args {
    commands: String,
    store: String,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, BoxError> {
        let mut parsed = Self { commands: COMMANDS.into(), store: "sqlite://bank.db".into() };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--store" => parsed.store = args.next().ok_or("--store needs a URL behind it")?,
                "--help" => return Ok(None),
                option if option.starts_with("--") => {
                    return Err(format!("unknown option `{option}`; there is `--store URL`").into());
                }
                _ => parsed.commands = arg,
            }
        }
        Ok(Some(parsed))
    }

    async fn open(&self) -> Result<Box<dyn AsyncBufRead + Unpin>, BoxError> {
        if self.commands == "-" {
            return Ok(Box::new(BufReader::new(tokio::io::stdin())));
        }
        let file = tokio::fs::File::open(&self.commands).await;
        let file = file.map_err(|error| format!("cannot open `{}`: {error}", self.commands))?;
        Ok(Box::new(BufReader::new(file)))
    }
}
