//! A peer as a process that does what lines tell it, on a database of its own.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::Outcome;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Says how each peer is started: the words of a command in each line.
const PROGRAMS: &str = "EVENFOLD_PEERS";

/// The words of the command that starts a peer, of which the last is its name.
pub(super) type Program = Vec<String>;

/// None where they were not asked for.
pub(super) fn programs() -> Option<Vec<Program>> {
    let lines = env::var(PROGRAMS).ok()?;
    Some(lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

pub(super) struct Theirs {
    /// The name and the version, as it says itself.
    pub(super) version: String,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Ends with this handle, as its database does.
    _process: Child,
    _database: TestDatabase,
}

impl Theirs {
    pub(super) async fn start(program: &Program) -> Outcome<Self> {
        let [command, args @ ..] = &program[..] else {
            return Err("a peer without a program".into());
        };
        let name = args.last().unwrap_or(command);
        // Two of them are clients of Message DB; the others make what they need.
        let genuine = name.contains("message_db") || name.contains("message-db");
        let template = if genuine { "message_db" } else { "template1" };
        let database = TestDatabase::from_template(template).await?;
        let mut process = Command::new(command)
            .args(args)
            .env("DATABASE_URL", database.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{command}: {error}"))?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        let (Some(orders), Some(answers)) = (orders, answers) else {
            return Err("a process without its pipes".into());
        };
        let answers = BufReader::new(answers).lines();
        let mut peer = Self {
            version: name.to_owned(),
            orders,
            answers,
            _process: process,
            _database: database,
        };
        peer.version = peer.line("version").await?;
        Ok(peer)
    }

    /// What it says of its preparation it says again when it is asked for a work.
    pub(super) async fn prepare(&mut self, log: u32) -> Outcome {
        self.line(&format!("prepare {log}")).await?;
        Ok(())
    }

    /// How long a work took once, or why it was not done.
    pub(super) async fn ask(
        &mut self,
        work: &str,
        times: u32,
    ) -> Outcome<Result<Duration, String>> {
        let answer = self.line(&format!("{work} {times}")).await?;
        Ok(answer.parse().map(|nanos| Duration::from_nanos(nanos) / times).map_err(|_| answer))
    }

    async fn line(&mut self, order: &str) -> Outcome<String> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        let gone = || format!("{} ended at `{order}`", self.version);
        Ok(self.answers.next_line().await?.ok_or_else(gone)?)
    }
}
