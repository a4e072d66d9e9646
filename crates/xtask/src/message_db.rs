//! The genuine Message DB: its npm package, and its own scripts run on a cluster.
//!
//! Nothing of it is changed or kept in the repository. What our own schema is stands in
//! `migrations/postgres`; the cluster is made in `cluster.rs`.

use std::process::Command;

use crate::cluster::Cluster;
use crate::npm::Package;
use crate::shell::{self, Result};

/// The database that tests copy; `crates/postgres/tests` knows it by this name.
pub const DATABASE: &str = "message_db";

/// Holds Message DB 1.3.0.
const PACKAGE: Package = Package {
    name: "@eventide/message-db",
    version: "1.3.1",
    kept_in: "message-db",
    finish: |_| Ok(()),
};

/// Makes the database by Message DB's scripts.
///
/// # Errors
///
/// When the scripts cannot be fetched, or the server refuses them.
pub fn install(cluster: &Cluster) -> Result<()> {
    let scripts = PACKAGE.folder()?.join("database");
    let mut install = Command::new("bash");
    install.arg(scripts.join("install.sh")).env("DATABASE_NAME", DATABASE);
    cluster.enter(install.env_remove("CREATE_DATABASE"));
    shell::output(&mut install)?;
    Ok(())
}
