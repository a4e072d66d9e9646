//! What a benchmark is asked for on its command line, and how it answers.

use std::fmt;
use std::io::{self, Write};

/// Whether this process is to measure at all: `cargo bench` says so, and a test run does not.
pub fn to_measure() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// Whether fewer rounds are asked for.
pub fn quickly() -> bool {
    std::env::args().any(|arg| arg == "--quick")
}

/// Whether a comparison is asked for, by a part of its name; all are when none is named.
pub fn for_this(name: &str) -> bool {
    let mut parts = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).peekable();
    parts.peek().is_none() || parts.any(|part| name.contains(&part))
}

/// Whether one of several is.
pub fn for_any(names: &[&str]) -> bool {
    names.iter().any(|name| for_this(name))
}

/// Prints a line.
///
/// # Errors
///
/// When standard output is closed.
pub fn say(line: impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}
