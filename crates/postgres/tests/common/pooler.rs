//! A PgBouncer in transaction mode before the server of the tests, with fewer sessions than clients.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use evenfold_postgres::testing::TestDatabase;
use tempfile::TempDir;

use super::Result;

/// A pooler that ends with this handle, and with our process however that ends: the shell's input
/// closes then.
pub(crate) struct Pooler {
    folder: TempDir,
    keeper: Child,
}

const KEEPER: &str = r#"
pgbouncer "$@" &
exec 2>/dev/null
cat >/dev/null
kill -TERM $!
wait
"#;

/// Names the file of its socket; it has no port.
const PORT: u16 = 6432;

impl Pooler {
    /// A pooler with so many sessions for each database and role.
    pub(crate) fn start(sessions: u32) -> Result<Self> {
        Self::with(&format!("pool_mode = transaction\ndefault_pool_size = {sessions}\n"), &[])
    }

    /// A pooler with these settings beside those that are always the same, and these files.
    pub(crate) fn with(more: &str, files: &[(&str, &str)]) -> Result<Self> {
        let url = std::env::var("DATABASE_URL")?;
        let (_, server) = url.split_once("?host=").ok_or("the server is not at a socket")?;
        let owner = std::fs::metadata(server)?;
        let folder = tempfile::tempdir()?;
        let place = folder.path().display();
        let settings = format!(
            "[databases]\n* = host={server} port=5432\n[pgbouncer]\n\
             listen_port = {PORT}\nunix_socket_dir = {place}\n\
             auth_type = trust\nauth_file = {place}/users\n\
             {}",
            more.replace("FOLDER", &place.to_string()),
        );
        let users = "\"postgres\" \"\"\n\"message_store\" \"\"\n";
        let own = [("settings", &*settings), ("users", users)];
        for (name, text) in files.iter().chain(&own) {
            std::fs::write(folder.path().join(name), text)?;
        }

        // Like the server it refuses to run as root, and it must reach the server's socket.
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]);
        if std::fs::metadata("/proc/self")?.uid() == 0 {
            for (file, _) in files.iter().chain(&own).chain(&[("", "")]) {
                chown(folder.path().join(file), Some(owner.uid()), Some(owner.gid()))?;
            }
            keeper.args(["-u", &name_of(owner.uid())?]);
        }
        let settings = folder.path().join("settings");
        let mut keeper = keeper
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = keeper.stderr.take().ok_or("no log")?;
        let mut said = String::new();
        for line in BufReader::new(log).lines() {
            let line = line?;
            if line.contains("process up") {
                return Ok(Self { folder, keeper });
            }
            said = format!("{said}{line}\n");
        }
        Err(format!("PgBouncer did not start; it said:\n{said}").into())
    }

    /// Leads to the same database through the pooler.
    pub(crate) fn url(&self, database: &TestDatabase, role: &str) -> String {
        let url = database.url_as(role);
        let (place, _) = url.split_once('?').unwrap_or((&url, ""));
        let place = place.replace("@localhost/", &format!("@localhost:{PORT}/"));
        format!("{place}?host={}", Path::display(self.folder.path()))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().ok();
    }
}

fn name_of(user: u32) -> Result<String> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(&user.to_string()));
    let name = line.and_then(|line| line.split(':').next());
    name.map(str::to_owned).ok_or_else(|| format!("user {user} has no name").into())
}
