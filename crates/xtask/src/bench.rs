//! `cargo xtask bench`: the benchmarks of the workspace, beside a throwaway PostgreSQL.
//!
//! They live in `tests/benches`. What is measured, and what a number means, stands at the head of
//! each; the server is made in `cluster/`. The table and its pictures go to `target/benchmarks`, or
//! with `--record` into the documentation.

use std::process::ExitCode;

use crate::binaries;
use crate::cluster::Cluster;
use crate::message_db;
use crate::peers;
use crate::shell::{self, Result};

/// Says where the table goes.
const FOLDER: &str = "EVENFOLD_BENCH_FOLDER";

/// Says how the peers are started. To build them takes minutes, so they are asked for by name.
const PEERS: &str = "EVENFOLD_PEERS";

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (version, args) = binaries::asked(args)?;
    let (record, args): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| *arg == "--record");
    if let Some(unknown) =
        args.iter().find(|arg| arg.starts_with("--") && arg.as_str() != "--quick")
    {
        return Err(format!("unknown option `{unknown}`: it takes `--quick` and `--record`").into());
    }
    if !record.is_empty() && args.iter().any(|arg| !arg.starts_with("--")) {
        let advice = "the documentation has all comparisons";
        return Err(format!("`--record` beside the names of some: {advice}").into());
    }
    let folder = if record.is_empty() { "target/benchmarks" } else { "docs/benchmarks" };
    let cluster = Cluster::throwaway(version)?;
    cluster.announce();
    message_db::install_newest(&cluster)?;
    let mut bench = shell::cargo(["bench", "--locked", "-p", "evenfold-tests", "--"]);
    cluster.enter(&mut bench);
    bench.env(FOLDER, shell::root().join(folder));
    if !record.is_empty() || args.iter().any(|arg| *arg == "peers") {
        bench.env(PEERS, peers::programs()?);
    }
    shell::run(bench.args(args)).map(shell::exit_code)
}
