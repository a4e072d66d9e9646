//! Python environments with packages from their registry, each made once: that of the foreign client of
//! tests, `message-db-py`, and that of peers in benchmarks.
//!
//! What the client is asked stands in `crates/postgres/tests/foreign.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Result, say};

/// The variable in which tests find the interpreter.
pub(crate) const VARIABLE: &str = "EVENFOLD_PYTHON";

/// The client and its driver, the one that needs no compiler.
const PACKAGES: [&str; 2] = ["message-db-py==0.3.5", "psycopg2-binary==2.9.13"];

/// The interpreter of the environment of tests.
pub(crate) fn interpreter() -> Result<PathBuf> {
    environment("tests", &PACKAGES)
}

/// The interpreter of an environment with these packages, each `name==version`, which is made once.
pub(crate) fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let versions = packages.join("-").replace("==", "-");
    let kept = shell::root().join("target/python").join(format!("{name}-{versions}"));
    shell::made_once(&kept, |own| make(own, packages))
        .map_err(|error| format!("the Python clients cannot be had: {error}"))?;
    Ok(kept.join("bin/python"))
}

fn make(own: &Path, packages: &[&str]) -> Result<()> {
    // On Debian a Python may stand there without the means to make an environment.
    let able = || shell::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    if !able() {
        shell::apt_install("python3-venv")?;
    }
    if !able() {
        return Err("python3 with venv is needed and was not found; install it (on Debian \
                    `apt-get install python3-venv`)"
            .into());
    }
    say(format!("fetching {} from PyPI, once", packages.join(", ")));
    shell::output(Command::new("python3").args(["-m", "venv"]).arg(own))?;
    let mut pip = Command::new(own.join("bin/python"));
    // Without its dependencies: it asks for the driver under the name that has to be compiled.
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--only-binary", ":all:"])
        .args(packages);
    shell::output(&mut pip)?;
    Ok(())
}
