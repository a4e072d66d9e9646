//! `cargo xtask test`: every test and doctest of the workspace, beside a throwaway PostgreSQL.
//!
//! It does not say what a test is allowed to do; `.config/nextest.toml` holds the time limits, and
//! `cluster/` makes the server. The laws are stated and tested by `crates/testkit`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::binaries;
use crate::cluster::Cluster;
use crate::message_db;
use crate::python;
use crate::shell::{self, Result, say};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (version, args) = binaries::asked(args)?;
    let laws = shell::root().join("target/laws");
    let figures = shell::root().join("target/figures");
    empty(&laws)?;
    empty(&figures)?;
    let cluster = Cluster::throwaway(version)?;
    cluster.announce();
    have_pgbouncer()?;
    message_db::install(&cluster)?;
    let python = python::interpreter()?;

    // The doctests run even after a failure, so that one run tells everything.
    let mut failed = Vec::new();
    for (name, mut step) in steps(&args) {
        cluster.enter(&mut step);
        step.env("EVENFOLD_LAWS_DIR", &laws).env("EVENFOLD_FIGURES_DIR", &figures);
        step.env(python::VARIABLE, &python);
        if !shell::run(&mut step)?.success() {
            failed.push(name);
        }
    }
    report("Laws per backend", &laws)?;
    report("Figures", &figures)?;

    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(format!("\nfailed: {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

/// The pooler that the laws are tested behind.
fn have_pgbouncer() -> Result<()> {
    let found = shell::succeeds(Command::new("pgbouncer").arg("--version"));
    if !found && !shell::apt_install("pgbouncer")? {
        return Err(
            "PgBouncer is needed and was not found; install it (`apt-get install pgbouncer`, \
                    `brew install pgbouncer`)"
                .into(),
        );
    }
    Ok(())
}

fn steps(args: &[String]) -> [(&'static str, Command); 2] {
    let nextest = shell::succeeds(&mut shell::cargo(["nextest", "--version"]));
    let mut tests = if nextest {
        shell::cargo(["nextest", "run", "--all-features", "--profile", "ci", "--locked"])
    } else {
        say(
            "note: cargo-nextest is not installed, so `cargo test` runs the tests, without its limits",
        );
        // Without `--tests` the doctests would run here and once more below.
        shell::cargo([
            "test",
            "--tests",
            "--examples",
            "--all-features",
            "--no-fail-fast",
            "--locked",
        ])
    };
    // Beside `--workspace`, cargo passes over any package that was asked for.
    if !names_a_package(args) {
        tests.arg("--workspace");
    }
    tests.args(args);
    let doctests = shell::cargo(["test", "--doc", "--workspace", "--all-features", "--locked"]);
    [("tests", tests), ("doctests", doctests)]
}

fn names_a_package(args: &[String]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
}

/// Makes the folder, and takes out what an earlier run wrote, so that the report is of this run.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for file in texts(folder)? {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Prints what tests left in a folder: the laws that each backend keeps and those it skipped, or how
/// much was compared.
pub(crate) fn report(title: &str, folder: &Path) -> Result<()> {
    let texts = texts(folder)?;
    if !texts.is_empty() {
        say(format!("\n{title}"));
    }
    for file in texts {
        say(fs::read_to_string(file)?.trim_end());
    }
    Ok(())
}

fn texts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut texts: Vec<_> = shell::entries(folder)?.iter().map(fs::DirEntry::path).collect();
    texts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    texts.sort();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(args: &[&str]) -> bool {
        names_a_package(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_package_is_named_in_any_of_cargos_ways() {
        assert!(asked(&["-p", "evenfold-core"]));
        assert!(asked(&["--no-capture", "--package=evenfold-core"]));
    }

    #[test]
    fn a_filter_names_no_package() {
        assert!(!asked(&["a_stale_version", "--", "-p"]));
    }
}
