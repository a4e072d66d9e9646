//! Figures of a test that a reader wants to see even when it passes: how much was counted, how long
//! it took.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;
use crate::asked::say;

/// Prints the figures, and leaves them in the folder that `$EVENFOLD_FIGURES_DIR` names, if it does,
/// where `cargo xtask test` finds them. A name is given once.
///
/// # Errors
///
/// When the file cannot be written.
pub fn tell(name: &str, figures: impl Display) -> Outcome {
    say(format_args!("{name}: {figures}"))?;
    let Some(folder) = std::env::var_os("EVENFOLD_FIGURES_DIR") else { return Ok(()) };
    let file = PathBuf::from(folder).join(format!("{name}.txt"));
    Ok(std::fs::write(file, format!("{name}: {figures}\n"))?)
}

/// For how long a test goes on that could for ever: `$EVENFOLD_SOAK_SECONDS`, or as long as it says.
///
/// # Errors
///
/// When that is no number.
pub fn soak(otherwise: Duration) -> Outcome<Duration> {
    match std::env::var("EVENFOLD_SOAK_SECONDS") {
        Ok(seconds) => Ok(Duration::from_secs(seconds.parse()?)),
        Err(_) => Ok(otherwise),
    }
}
