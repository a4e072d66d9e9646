//! The bank killed in the middle of its work, again and again: nothing is lost, nothing comes twice.
//!
//! The moments are random within the time that an uninterrupted run takes, so they fall into every
//! part of it: reading commands, deciding, carrying transfers, summing up.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Bank, Outcome, Said};
use tokio::process::Command;

const KILLS: u32 = 20;
const SEED: u64 = 2026;
const SIGKILL: i32 = 9;

/// Part of the commands, so that the test is short: overdrafts, transfers both ways, duplicates.
const LINES: usize = 200;

#[tokio::test]
async fn a_bank_killed_at_any_moment_ends_as_if_it_had_not_been() -> Outcome {
    let all = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/commands.jsonl"))?;
    let commands = all.lines().take(LINES).collect::<Vec<_>>().join("\n");

    let (whole, begin) = (story(&commands)?, Instant::now());
    let expected = whole.run(&["commands.jsonl"], "")?;
    let duration = begin.elapsed();
    assert!(expected.success, "{expected:?}");
    let expected_log = log(&whole).await?;

    let mut random = Random(SEED);
    let (mut hits, mut stories) = (Vec::new(), 0);
    while hits.len() < usize::try_from(KILLS)? {
        let bank = story(&commands)?;
        let said = loop {
            let moment = duration.mul_f64(random.next());
            match live(&bank, moment).await? {
                Life::Killed => hits.push(moment),
                Life::Ended(said) => break said,
            }
        };
        stories += 1;
        assert!(said.success && said.err.is_empty(), "{said:?}");
        assert_eq!(said.summary()?, expected.summary()?, "after kills at {hits:?}");
        assert_eq!(log(&bank).await?, expected_log, "after kills at {hits:?}");
    }
    println!("{} kills in {stories} stories of {duration:?} each: {hits:?}", hits.len());
    Ok(())
}

fn story(commands: &str) -> Outcome<Bank> {
    let bank = Bank::new()?;
    std::fs::write(bank.folder().join("commands.jsonl"), commands)?;
    Ok(bank)
}

/// The events of each account: type and data, in the order of its stream.
async fn log(bank: &Bank) -> Outcome<BTreeMap<String, Vec<(String, String)>>> {
    let mut log: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for recorded in bank.recorded().await? {
        let event = (recorded.message_type.to_string(), recorded.data().to_owned());
        log.entry(recorded.stream_name.to_string()).or_default().push(event);
    }
    Ok(log)
}

enum Life {
    Killed,
    Ended(Said),
}

/// Starts the bank and kills it at this moment, unless it has ended before.
async fn live(bank: &Bank, moment: Duration) -> Outcome<Life> {
    let mut command = Command::from(bank.command());
    let mut child = command.arg("commands.jsonl").stdin(Stdio::null()).spawn()?;
    // The moment itself is what is waited for; what it prints fits into the pipe until then.
    if tokio::time::timeout(moment, child.wait()).await.is_err() {
        child.start_kill()?;
    }
    let output = child.wait_with_output().await?;
    // It may have ended between the moment and the kill: only the signal tells.
    Ok(match output.status.signal() {
        Some(SIGKILL) => Life::Killed,
        _ => Life::Ended(output.into()),
    })
}

/// Numbers from 0 to 1 by `SplitMix64`, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}
