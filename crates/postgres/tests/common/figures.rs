//! Figures of a test that a reader wants to see even when it passes: how much was compared, how fast.

use std::fmt::Display;
use std::path::PathBuf;

/// Prints the figures, and leaves them in the folder that `$EVENFOLD_FIGURES_DIR` names, if it does,
/// where `cargo xtask test` finds them. A name is given once.
#[expect(clippy::print_stdout, reason = "that is what it is for")]
pub(crate) fn tell(name: &str, figures: impl Display) -> std::io::Result<()> {
    println!("{name}: {figures}");
    let Some(folder) = std::env::var_os("EVENFOLD_FIGURES_DIR") else { return Ok(()) };
    let file = PathBuf::from(folder).join(format!("{name}.txt"));
    std::fs::write(file, format!("{name}: {figures}\n"))
}
