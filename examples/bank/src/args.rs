//! What the bank is told on its command line.
//!
//! Owns the words; what each does is in `main.rs` and `operate.rs`.

use std::time::Duration;

use evenfold::error::BoxError;
use tokio::io::{AsyncBufRead, BufReader};

pub(crate) const USAGE: &str =
    "usage: bank [FILE | - | serve | parked | replay] [--store URL] [--strict] [--lease SECONDS]";

const COMMANDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/commands.jsonl");

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Take commands in, handle them, and sum up.
    Run,
    /// Handle commands until a signal, sharing the work with whoever else does.
    Serve,
    /// List the messages that are parked.
    Parked,
    /// Ask that they be handled again.
    Replay,
}

/// What to do, where commands come from, and where the bank is kept.
pub(crate) struct Args {
    pub(crate) task: Task,
    commands: String,
    pub(crate) store: String,
    /// A command of a type that the bank does not know is parked, not passed over.
    pub(crate) strict: bool,
    /// For how long a serving bank that is not heard of keeps its part of the work.
    pub(crate) lease: Duration,
}

impl Args {
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Option<Self>, BoxError> {
        let mut args = args;
        let mut parsed = Self {
            task: Task::Run,
            commands: COMMANDS.into(),
            store: "sqlite://bank.db".into(),
            strict: false,
            lease: Duration::from_secs(10),
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--store" => parsed.store = args.next().ok_or("--store needs a URL behind it")?,
                "--strict" => parsed.strict = true,
                "--lease" => {
                    let seconds = args.next().ok_or("--lease needs seconds behind it")?;
                    let read = seconds.parse().map_err(|error| format!("`{seconds}`: {error}"))?;
                    parsed.lease = Duration::from_secs(read);
                }
                "--help" => return Ok(None),
                option if option.starts_with("--") => {
                    let rule = "there is `--store URL`, `--strict`, `--lease SECONDS`";
                    return Err(format!("unknown option `{option}`; {rule}").into());
                }
                "serve" => parsed.task = Task::Serve,
                "parked" => parsed.task = Task::Parked,
                "replay" => parsed.task = Task::Replay,
                _ => parsed.commands = arg,
            }
        }
        Ok(Some(parsed))
    }

    pub(crate) async fn open(&self) -> Result<Box<dyn AsyncBufRead + Unpin>, BoxError> {
        if self.commands == "-" {
            return Ok(Box::new(BufReader::new(tokio::io::stdin())));
        }
        let file = tokio::fs::File::open(&self.commands).await;
        let file = file.map_err(|error| format!("cannot open `{}`: {error}", self.commands))?;
        Ok(Box::new(BufReader::new(file)))
    }
}
