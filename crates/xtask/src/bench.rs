//! `cargo xtask bench`: the benchmarks of the workspace, which live in `tests/benches`.
//!
//! What is measured, and what a number means, stands at the head of each benchmark.

use std::process::ExitCode;

use crate::shell::{self, Result};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let mut bench = shell::cargo(["bench", "--locked", "-p", "evenfold-tests", "--"]);
    shell::run(bench.args(args)).map(shell::exit_code)
}
