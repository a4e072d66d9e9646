//! A running host is told to stop: it finishes the message in hand; told twice, it abandons it.
//!
//! The host runs in a process of its own (`src/bin/member.rs`), so that the signals are real. Every
//! step waits for what that process says.
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what the process said is shown when a test fails")]

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use evenfold::prelude::*;
use evenfold::stores::{ProgressStream, SubscriberId};
use evenfold::{GlobalPosition, Store};
use evenfold_tests::{AccountEvent, Deposited, Outcome};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// What the host logs of the quick subscriber, which has nothing in hand, when the order to stop has
/// gone out to both.
const STOPPED: &str = "subscriber stopped";

struct Host {
    child: Child,
    stdin: ChildStdin,
    out: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
}

impl Host {
    fn start(url: &str) -> Outcome<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_member"))
            .args(["serve", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        let out = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
        let log = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
        Ok(Self { child, stdin, out, log })
    }

    async fn says(&mut self, expected: &str) -> Outcome {
        let line = self.out.next_line().await?.ok_or("the process has ended")?;
        println!("{line}");
        assert_eq!(line, expected);
        Ok(())
    }

    async fn go_on(&mut self) -> Outcome {
        Ok(self.stdin.write_all(b"go on\n").await?)
    }

    async fn signal(&self, name: &str) -> Outcome {
        let id = self.child.id().ok_or("the process has ended")?.to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await?;
        if status.success() { Ok(()) } else { Err("the signal was not sent".into()) }
    }

    async fn logs(&mut self, text: &str) -> Outcome {
        loop {
            let line = self.log.next_line().await?.ok_or("the process has ended")?;
            println!("{line}");
            if line.contains(text) {
                return Ok(());
            }
        }
    }

    /// What it still says until it has ended by itself.
    async fn ends(mut self) -> Outcome<(Vec<String>, ExitStatus)> {
        let mut said = Vec::new();
        while let Some(line) = self.out.next_line().await? {
            println!("{line}");
            said.push(line);
        }
        Ok((said, self.child.wait().await?))
    }
}

async fn three_deposits(folder: &TempDir) -> Outcome<(Store, String)> {
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    let store = evenfold::connect(&url).await?;
    store.write_all("account-1", (1..=3).map(Deposited::of)).await?;
    Ok((store, url))
}

async fn progress(store: &Store, id: &str) -> Outcome<Option<i64>> {
    let (category, id) = (AccountEvent::category(), SubscriberId::new(id)?);
    let stream = ProgressStream::of_category(&category, &id, None);
    Ok(store.messages().read_progress(&stream).await?)
}

/// A step that never comes is a failure of its own, with the place of it.
async fn in_time(test: impl Future<Output = Outcome>) -> Outcome {
    tokio::time::timeout(Duration::from_secs(15), test).await?
}

async fn finishes_the_message_in_hand(signal: &str) -> Outcome {
    let folder = tempfile::tempdir()?;
    let (store, url) = three_deposits(&folder).await?;
    let second = GlobalPosition::START.next().next();

    let mut host = Host::start(&url)?;
    host.says("in hand 0").await?;
    host.go_on().await?;
    host.says("done 0").await?;
    host.says("in hand 1").await?;
    host.signal(signal).await?;
    host.logs(STOPPED).await?;
    host.go_on().await?;
    let (said, status) = host.ends().await?;
    let expected = [
        "done 1",
        "subscriber `slow` stopped as it was asked to",
        "subscriber `quick` stopped as it was asked to",
    ];
    assert_eq!(said, expected);
    assert!(status.success(), "{status}");
    assert_eq!(progress(&store, "slow").await?, Some(second.get()));

    // Started again it goes on with the next one.
    let mut host = Host::start(&url)?;
    host.says("in hand 2").await
}

#[tokio::test]
async fn a_host_that_is_terminated_finishes_the_message_in_hand() -> Outcome {
    in_time(finishes_the_message_in_hand("TERM")).await
}

#[tokio::test]
async fn a_host_that_is_interrupted_finishes_the_message_in_hand() -> Outcome {
    in_time(finishes_the_message_in_hand("INT")).await
}

#[tokio::test]
async fn a_second_signal_abandons_the_message_in_hand_and_it_comes_again() -> Outcome {
    in_time(async {
        let folder = tempfile::tempdir()?;
        let (store, url) = three_deposits(&folder).await?;

        let mut host = Host::start(&url)?;
        host.says("in hand 0").await?;
        host.signal("TERM").await?;
        host.logs(STOPPED).await?;
        host.signal("TERM").await?;
        let (said, status) = host.ends().await?;
        let expected = [
            "subscriber `slow` was abandoned in the middle of a message",
            "subscriber `quick` stopped as it was asked to",
        ];
        assert_eq!(said, expected);
        assert!(status.success(), "{status}");
        assert_eq!(progress(&store, "slow").await?, None);

        let mut host = Host::start(&url)?;
        host.says("in hand 0").await
    })
    .await
}
