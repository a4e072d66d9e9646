//! What every command needs: the workspace's folder, its files, a child process, a line of output.
//!
//! Nothing here knows what a command is for. The throwaway PostgreSQL that some commands run beside
//! is in `cluster/`.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

/// An error here ends the command, so its text is all that anyone needs of it.
pub type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Prints one line. A reader that went away (`cargo xtask | head`) is no reason to stop.
pub(crate) fn say(line: impl Display) {
    writeln!(io::stdout(), "{line}").ok();
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// `cargo` of the toolchain that runs us, at the workspace's root.
pub(crate) fn cargo<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Shows the command, runs it with our own input and output, and waits for it.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    say(format!("\n$ {}", line(command)));
    status(command)
}

/// Runs a command without showing it.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().map_err(|error| cannot_run(command, &error))
}

/// What a command printed, or an error that holds what it said instead.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| cannot_run(command, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}` failed: {}", line(command), said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether the command can be run at all and succeeds, without a word of output.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Installs a package of the system where that needs nobody: as root on Debian. False elsewhere.
pub(crate) fn apt_install(package: &str) -> Result<bool> {
    let root = output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    if !root || !succeeds(Command::new("apt-get").arg("--version")) {
        return Ok(false);
    }
    for args in [&["update"][..], &["install", "-y", "--no-install-recommends", package]] {
        let mut apt = Command::new("apt-get");
        if !run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive"))?.success() {
            return Err(format!("apt-get failed; install {package} by hand").into());
        }
    }
    Ok(true)
}

/// A folder that is made once, below `target/`, and that `cargo clean` alone takes away.
///
/// Another process may be at it too, so the folder takes its place whole and in one step.
pub(crate) fn made_once(kept: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if kept.exists() {
        return Ok(());
    }
    let mut own = kept.as_os_str().to_owned();
    own.push(format!("-{}", std::process::id()));
    let own = PathBuf::from(own);
    fs::create_dir_all(&own)?;
    let done = make(&own);
    let moved = done.is_ok() && fs::rename(&own, kept).is_ok();
    if !moved {
        fs::remove_dir_all(&own)?;
    }
    done
}

/// The child's status as ours; a child ended by a signal counts as 128 and the signal's number, as
/// in a shell.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Every file below `folder` (relative to the root) with this extension, as sorted relative paths.
///
/// Links are not followed: crates reach `migrations/` and `.sqlx/` by links, and those files would
/// be counted twice.
pub(crate) fn files(folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() && !hidden(&entry) {
                folders.push(path);
            } else if kind.is_file() && path.extension() == Some(OsStr::new(extension)) {
                found.push(path.strip_prefix(root())?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What lies in a folder; a folder that does not exist (yet) is empty.
pub(crate) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.collect::<io::Result<_>>()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{}: {error}", folder.display()).into()),
    }
}

/// The text of a file, named relative to the root.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(root().join(path))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

fn hidden(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    name == "target" || name.to_string_lossy().starts_with('.')
}

fn cannot_run(command: &Command, error: &io::Error) -> Box<dyn Error + Send + Sync> {
    format!("cannot run `{}`: {error}", command.get_program().to_string_lossy()).into()
}

/// The command as one would type it: the program by its bare name, without the environment.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
