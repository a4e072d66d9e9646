//! `cargo xtask bench`: the benchmarks of the workspace, beside a throwaway PostgreSQL.
//!
//! They live in `tests/benches`. What is measured, and what a number means, stands at the head of
//! each; the server is made in `cluster/`.

use std::process::ExitCode;

use crate::binaries;
use crate::cluster::Cluster;
use crate::message_db;
use crate::shell::{self, Result};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (version, args) = binaries::asked(args)?;
    let cluster = Cluster::throwaway(version)?;
    cluster.announce();
    message_db::install_newest(&cluster)?;
    let mut bench = shell::cargo(["bench", "--locked", "-p", "evenfold-tests", "--"]);
    cluster.enter(&mut bench);
    shell::run(bench.args(args)).map(shell::exit_code)
}
