//! The genuine Message DB: its npm package, and its own scripts run on a cluster.
//!
//! Nothing of it is changed or kept in the repository. What our own schema is stands in
//! `migrations/postgres`; the cluster is made in `cluster/`.

use std::process::Command;

use crate::cluster::Cluster;
use crate::npm::Package;
use crate::shell::{self, Result};

/// The database that tests copy; `crates/postgres/tests` knows it by this name.
pub const DATABASE: &str = "message_db";

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
///
/// # Errors
///
/// When the scripts cannot be fetched, or the server refuses them.
pub fn install(cluster: &Cluster) -> Result<()> {
    // One after the other: each makes the role that they share, unless it is there.
    install_newest(cluster)?;
    OLDER.iter().try_for_each(|edition| edition.install(cluster))
}

/// Makes the database `message_db` alone.
///
/// # Errors
///
/// As [`install`].
pub fn install_newest(cluster: &Cluster) -> Result<()> {
    NEWEST.install(cluster)
}

impl Edition {
    fn install(&self, cluster: &Cluster) -> Result<()> {
        let package = Package {
            name: "@eventide/message-db",
            version: self.version,
            kept_in: "message-db",
            finish: |_| Ok(()),
        };
        let mut install = Command::new("bash");
        install.arg(package.folder()?.join("database/install.sh"));
        cluster.enter(install.env("DATABASE_NAME", self.database).env_remove("CREATE_DATABASE"));
        shell::output(&mut install)?;
        Ok(())
    }
}
