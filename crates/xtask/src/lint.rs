//! `cargo xtask lint`: everything that can be said about the code without running its tests.
//!
//! Every step runs even when an earlier one failed, and each failure is named at the end with what
//! to do. The rules themselves are in `arrows.rs` (manifests) and `tidy.rs` (files).

use std::process::{Command, ExitCode};

use crate::shell::{self, Result, say};
use crate::{arrows, prepare, tidy};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    match args {
        [] => {}
        [fix] if fix == "--fix" => {
            shell::run(&mut shell::cargo(["fmt", "--all"]))?;
        }
        _ => return Err("the only option is `--fix`, which formats the code first".into()),
    }

    let mut failures = Vec::new();
    for (mut command, remedy) in by_cargo() {
        if !shell::run(&mut command)?.success() {
            failures.push(remedy.to_owned());
        }
    }
    say("\n$ cargo xtask prepare --check");
    failures.extend(prepare::check().unwrap_or_else(|error| vec![format!("prepare: {error}")]));
    say("\n$ house rules");
    failures.extend(arrows::check().unwrap_or_else(|error| vec![format!("arrows: {error}")]));
    for (name, rule) in tidy::RULES {
        failures.extend(rule().unwrap_or_else(|error| vec![format!("{name}: {error}")]));
    }
    Ok(conclude(&failures))
}

/// The steps that cargo does, each with what to do when it fails.
fn by_cargo() -> [(Command, &'static str); 4] {
    let clippy = "clippy --workspace --all-targets --all-features --locked -- -D warnings";
    // What a feature brings is no link where that feature is off.
    let by_default = "doc -p evenfold --no-deps --locked";
    let documentation = "doc --workspace --all-features --no-deps --locked";
    [
        (shell::cargo(["fmt", "--all", "--check"]), "format: run `cargo xtask lint --fix`"),
        (shell::cargo(clippy.split(' ')), "clippy: see its words above"),
        (doc(by_default), "docs with the default features: see rustdoc's words above"),
        (doc(documentation), "docs: see rustdoc's words above"),
    ]
}

fn doc(arguments: &str) -> Command {
    let mut command = shell::cargo(arguments.split(' '));
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn conclude(failures: &[String]) -> ExitCode {
    for failure in failures {
        say(failure);
    }
    match failures.len() {
        0 => say("lint: nothing found"),
        1 => say("\nlint: 1 finding"),
        count => say(format!("\nlint: {count} findings")),
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
