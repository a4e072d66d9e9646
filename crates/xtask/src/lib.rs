//! The commands of this workspace, run as `cargo xtask <command>`, and the PostgreSQL server that
//! tests start, kill and start again.
//!
//! This file reads the command's name and hands the rest over; what each command does stands in the
//! file of its name. What they share (finding the workspace, running a child) is in `shell.rs`.

mod shell;

mod npm;
mod python;

mod binaries;

mod cluster;
pub mod message_db;

mod arrows;
mod bench;
mod db;
mod lint;
mod peers;
mod prepare;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

pub use cluster::Cluster;
pub use shell::Result;

use shell::say;

/// A command: its name, what it is for, and the function that runs it.
struct Command {
    name: &'static str,
    purpose: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        purpose: "[nextest args]    every test and doctest, beside a throwaway PostgreSQL *",
        run: test::run,
    },
    Command {
        name: "lint",
        purpose: "[--fix]           format, clippy, docs, checked queries and the house rules",
        run: lint::run,
    },
    Command {
        name: "db",
        purpose: "-- CMD…           one command, beside a throwaway PostgreSQL *",
        run: db::run,
    },
    Command {
        name: "prepare",
        purpose: "[--check]         renew `.sqlx` after a query or a migration was edited",
        run: prepare::run,
    },
    Command {
        name: "bench",
        purpose: "[--quick] [NAME…] the benchmarks in `tests/benches`; `--record`: into the docs",
        run: bench::run,
    },
    Command {
        name: "soak",
        purpose: "[SECONDS]         the tests that count, for so long in all (600) *",
        run: soak::run,
    },
];

/// Runs the command that the words name.
pub fn run(args: &[String]) -> ExitCode {
    let Some((word, rest)) = args.split_first() else {
        say(usage());
        return ExitCode::FAILURE;
    };
    if matches!(word.as_str(), "help" | "-h" | "--help") {
        say(usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == word) else {
        say(format!("unknown command `{word}`{}\n\n{}", hint(word), usage()));
        return ExitCode::FAILURE;
    };
    (command.run)(rest).unwrap_or_else(|error| {
        say(format!("cargo xtask {word}: {error}"));
        ExitCode::FAILURE
    })
}

fn usage() -> String {
    let lines =
        COMMANDS.iter().map(|Command { name, purpose, .. }| format!("  {name:<8} {purpose}"));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let version = "* of another version with `--postgres 18` in front, fetched once if need be";
    format!("commands of `cargo xtask`:\n\n{lines}\n\n{version}")
}

/// Names the nearest command, unless the word is nothing like any of them.
fn hint(word: &str) -> String {
    COMMANDS
        .iter()
        .map(|command| (distance(word, command.name), command.name))
        .min()
        .filter(|(far, name)| far * 2 <= name.len())
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

/// How many letters must be put in, taken out or exchanged (Levenshtein), one row at a time.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, left) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((right, above), diagonal) in to.chars().zip(row.iter().skip(1)).zip(&row) {
            let exchanged = diagonal + usize::from(left != right);
            let before = next.last().copied().unwrap_or_default();
            next.push(exchanged.min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters_put_in_taken_out_or_exchanged() {
        assert_eq!(distance("lint", "lint"), 0);
        assert_eq!(distance("lnit", "lint"), 2);
        assert_eq!(distance("prepar", "prepare"), 1);
        assert_eq!(distance("", "db"), 2);
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_command() {
        assert_eq!(hint("tset"), "; did you mean `test`?");
        assert_eq!(hint("perpare"), "; did you mean `prepare`?");
    }

    #[test]
    fn a_word_like_no_command_gets_no_hint() {
        assert_eq!(hint("deployment"), "");
    }
}
