//! The programs of `peers/`: what others offer for the work of evenfold, built from their registries.
//!
//! Owns how they are built and how each is started. What they are told to do is in `tests/benches/peers`.

use crate::python;
use crate::shell::{self, Result};

/// The peers of the program in Rust, and the scripts of those in Python.
const RUST: [&str; 6] =
    ["message_db", "disintegrate", "postgres-es", "es-entity", "evento", "eventcore"];
const PYTHON: [(&str, &str); 2] =
    [("message_db_py.py", "message-db-py"), ("eventsourcing_py.py", "eventsourcing")];

/// The command that starts each peer, one in a line, its words apart by tabs.
pub(crate) fn programs() -> Result<String> {
    let root = shell::root();
    let (manifest, target) = (root.join("peers/Cargo.toml"), root.join("target/peers"));
    let mut build = shell::cargo(["build", "--release", "--locked", "--manifest-path"]);
    build.arg(manifest).arg("--target-dir").arg(&target);
    shell::output(&mut build)?;
    let program = target.join("release/peers");
    let rust = RUST.iter().map(|name| format!("{}\t{name}", program.display()));

    let folder = root.join("peers/python");
    let requirements = shell::read(&folder.join("requirements.txt"))?;
    let packages: Vec<&str> = requirements.lines().filter(|line| line.contains("==")).collect();
    let python = python::environment("peers", &packages)?;
    let script = |(file, name): &(&str, &str)| {
        format!("{}\t{}\t{name}", python.display(), folder.join(file).display())
    };
    Ok(rust.chain(PYTHON.iter().map(script)).collect::<Vec<_>>().join("\n"))
}
