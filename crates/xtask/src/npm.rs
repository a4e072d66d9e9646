//! Packages of npm that hold what is no Rust: fetched once, and kept below `target/`.
//!
//! What is in them is known to `message_db.rs` and `binaries.rs`. Nothing of them is run to fetch them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Result, say};

/// A package, of one version for good.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// The folder below `target/` for its versions.
    pub(crate) kept_in: &'static str,
    /// Makes of what was unpacked what is wanted.
    pub(crate) finish: fn(&Path) -> Result<()>,
}

impl Package {
    /// The folder with what is in it.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        let Self { name, version, .. } = self;
        let kept = shell::root().join("target").join(self.kept_in).join(version);
        let make = |own: &Path| {
            self.unpack(own)?;
            (self.finish)(&own.join("package"))
        };
        shell::made_once(&kept, make)
            .map_err(|error| format!("npm's {name} {version} cannot be had: {error}"))?;
        Ok(kept.join("package"))
    }

    fn unpack(&self, into: &Path) -> Result<()> {
        if !shell::succeeds(Command::new("npm").arg("--version")) && !shell::apt_install("npm")? {
            return Err("npm is needed and was not found; install it".into());
        }
        say(format!("fetching {} {}, once", self.name, self.version));
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--pack-destination"]).arg(into);
        let archive = shell::output(npm.arg(format!("{}@{}", self.name, self.version)))?;
        let archive = into.join(archive.lines().last().unwrap_or_default());
        shell::output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(into))?;
        fs::remove_file(archive)?;
        Ok(())
    }
}
