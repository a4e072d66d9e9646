//! `cargo xtask db -- CMD`: one command beside a throwaway PostgreSQL.
//!
//! The server is made in `cluster/`; which version it is of is read in `binaries.rs`.

use std::process::{Command, ExitCode};

use crate::binaries;
use crate::cluster::Cluster;
use crate::message_db;
use crate::python;
use crate::shell::{self, Result, say};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (version, args) = binaries::asked(args)?;
    let words = match args.split_first() {
        Some((dashes, rest)) if dashes == "--" => rest,
        _ => &args,
    };
    let Some((program, rest)) = words.split_first() else {
        return Err("no command to run; write `cargo xtask db -- psql`, for example".into());
    };
    let cluster = Cluster::throwaway(version)?;
    if let Err(error) = message_db::install(&cluster) {
        say(format!("note: there is no database `{}`: {error}", message_db::DATABASE));
    }
    let mut command = Command::new(program);
    match python::interpreter() {
        Ok(python) => _ = command.env(python::VARIABLE, python),
        Err(error) => say(format!("note: {error}")),
    }
    cluster.enter(command.args(rest));
    shell::status(&mut command).map(shell::exit_code)
}
