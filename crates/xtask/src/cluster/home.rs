//! The folder of a cluster: fresh, the server's own, and gone when the last who writes there is gone.
//!
//! Owns who runs the server when we are root. What is put into the folder is in `mod.rs`.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::keeper;
use crate::shell::{self, Result};

/// The folder of a cluster, deleted when nobody holds it any longer.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) folder: PathBuf,
    owner: Option<Owner>,
    /// Where the programs are for the user who runs the server, if not where they are for us.
    pub(super) programs: Option<PathBuf>,
    hold: Option<OwnedFd>,
    keeper: Child,
}

/// Deletes a folder when the last process has closed the pipe that it reads.
///
/// The pipe makes every ending the same one: when we return, fail, or are killed even by SIGKILL,
/// the kernel closes our end, and what else writes into the folder has an end of its own.
const KEEPER: &str = r#"
trap '' INT TERM HUP
cd /
cat >/dev/null
rm -rf "$1"
"#;

impl Home {
    pub(super) fn make() -> Result<Self> {
        let folder = fresh_folder()?;
        let mut keeper = keeper(KEEPER).arg(&folder).stdin(Stdio::piped()).spawn()?;
        let hold = keeper.stdin.take().map(OwnedFd::from);
        let home = Self { folder, owner: Owner::of_the_server(), programs: None, hold, keeper };
        if let Some(owner) = &home.owner {
            shell::output(Command::new("chown").arg(&owner.name).arg(&home.folder))?;
        }
        Ok(home)
    }

    /// What a process has for its output to be waited for.
    pub(super) fn hold(&self) -> Result<Stdio> {
        let hold = self.hold.as_ref().ok_or("nobody keeps the folder")?;
        Ok(Stdio::from(hold.try_clone()?))
    }

    /// The user who runs the server may not be allowed to go where we keep a server that was
    /// fetched, and then gets a copy.
    pub(super) fn make_readable(&mut self, bin: &Path) -> Result {
        let Some(owner) = &self.owner else { return Ok(()) };
        if shell::succeeds(self.command(Path::new("test")).arg("-x").arg(bin.join("initdb"))) {
            return Ok(());
        }
        let all = bin.parent().ok_or("the folder of PostgreSQL's programs is in no other")?;
        let copy = self.folder.join("programs");
        shell::output(Command::new("cp").arg("-R").args([all, &copy]))?;
        shell::output(Command::new("chown").args(["-R", &owner.name]).arg(&copy))?;
        self.programs = bin.file_name().map(|bin| copy.join(bin));
        Ok(())
    }

    /// A program in this folder, as the user who runs the server.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = match &self.owner {
            Some(owner) => owner.command(program, &self.folder),
            None => Command::new(program),
        };
        command.current_dir(&self.folder).env("LC_ALL", "C").process_group(0).stdin(Stdio::null());
        command
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Waiting makes the folder's end certain.
        drop(self.hold.take());
        self.keeper.wait().ok();
    }
}

/// A new folder for one cluster, which nobody else may enter: the server trusts whoever reaches it.
///
/// A socket's path has a limit of about a hundred bytes, so a long `TMPDIR` is passed over.
fn fresh_folder() -> Result<PathBuf> {
    let wanted = env::var_os("TMPDIR").map(PathBuf::from);
    let parent = wanted
        .into_iter()
        .chain(["/var/tmp", "/tmp"].map(PathBuf::from))
        .find(|folder| folder.is_dir() && folder.as_os_str().len() <= 60)
        .ok_or("no folder for temporary files; set TMPDIR to one with a short path")?;
    let parent = fs::canonicalize(parent)?;
    let us = std::process::id();
    for attempt in 0..100 {
        let folder = parent.join(format!("evenfold-{us}-{attempt}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{}: {error}", folder.display()).into()),
        }
    }
    Err(format!("{} is full of folders of earlier clusters", parent.display()).into())
}

/// The user who runs the server when we are root, for PostgreSQL refuses to be.
#[derive(Debug)]
struct Owner {
    name: String,
    group: String,
}

impl Owner {
    fn of_the_server() -> Option<Self> {
        let id = |args: &[&str]| shell::output(Command::new("id").args(args)).ok();
        if id(&["-u"])? != "0" {
            return None;
        }
        let named = |name: &str| Some(Self { name: name.to_owned(), group: id(&["-g", name])? });
        named("postgres").or_else(|| named("nobody"))
    }

    fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={}", self.name))
            .arg(format!("--regid={}", self.group))
            .args(["--init-groups", "env"])
            .arg(format!("HOME={}", home.display()))
            .arg(program);
        command
    }
}
