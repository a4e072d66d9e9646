//! `cargo xtask soak`: the tests that count, each for a long time, one after another, beside a
//! throwaway PostgreSQL.
//!
//! Owns which tests those are and how long each goes on; what is counted stands with them. The server
//! is made in `cluster/`, and what they tell is read as `cargo xtask test` does.

use std::process::{Command, ExitCode};

use crate::binaries;
use crate::cluster::Cluster;
use crate::message_db;
use crate::python;
use crate::shell::{self, Result, say};
use crate::test;

/// Tests of one file that go on for as long as they are told.
struct Long {
    package: &'static str,
    file: &'static str,
    /// What their names have in common.
    filter: &'static str,
    /// How many there are; each takes the whole of its time.
    tests: u64,
    /// The variable that tells them how long, and what a second is in its unit.
    told: (&'static str, u64),
}

const SECONDS: (&str, u64) = ("EVENFOLD_SOAK_SECONDS", 1);
const COUNTING: (&str, u64) = ("EVENFOLD_COUNTING_SECONDS", 1);
const SEEDS: (&str, u64) = ("EVENFOLD_SEEDS", 200);

const fn of_ours(file: &'static str, tests: u64) -> Long {
    Long { package: "evenfold-tests", file, filter: "", tests, told: SECONDS }
}

const fn of_postgres(filter: &'static str, tests: u64, told: (&'static str, u64)) -> Long {
    Long { package: "evenfold-postgres", file: "postgres", filter, tests, told }
}

const fn of_testkit(file: &'static str, filter: &'static str) -> Long {
    Long { package: "evenfold-testkit", file, filter, tests: 1, told: SEEDS }
}

const LONG: &[Long] = &[
    of_ours("leased_group", 3),
    of_ours("parked_group", 2),
    of_ours("memory_flat_subscriber", 1),
    of_postgres("counting::", 9, COUNTING),
    of_postgres("merged::", 2, COUNTING),
    of_postgres("killed::", 8, SECONDS),
    of_testkit("simulation", "every_law_is_kept_in_every_world"),
];

const USAGE: &str = "how many seconds? `cargo xtask soak 600` is the default";

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (version, args) = binaries::asked(args)?;
    let seconds = match &*args {
        [] => 600,
        [seconds] => seconds.parse().map_err(|_| USAGE)?,
        _ => return Err(USAGE.into()),
    };
    let figures = shell::root().join("target/figures");
    test::empty(&figures)?;
    let cluster = Cluster::throwaway(version)?;
    cluster.announce();
    message_db::install(&cluster)?;
    let python = python::interpreter()?;

    let mut failed = Vec::new();
    for long in LONG {
        let mut step = long.command(seconds);
        cluster.enter(step.env("EVENFOLD_FIGURES_DIR", &figures).env(python::VARIABLE, &python));
        if !shell::run(&mut step)?.success() {
            failed.push(format!("{} {}", long.file, long.filter));
        }
    }
    test::report("Figures", &figures)?;
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(format!("\nfailed: {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

impl Long {
    /// One test at a time: each is to have the machine for itself.
    fn command(&self, seconds: u64) -> Command {
        let mut test = shell::cargo(["test", "--locked", "--all-features", "-p", self.package]);
        test.args(["--test", self.file, "--", "--test-threads=1", "--nocapture", self.filter]);
        let (variable, second) = self.told;
        test.env(variable, (part_of(seconds) * second).to_string());
        test
    }
}

/// An equal part of the time for each test.
fn part_of(seconds: u64) -> u64 {
    let tests: u64 = LONG.iter().map(|long| long.tests).sum();
    (seconds / tests).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_its_part_of_the_time_and_a_second_at_least() {
        assert_eq!(part_of(260), 10);
        assert_eq!(part_of(1), 1);
    }
}
