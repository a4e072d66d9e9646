//! `cargo xtask db -- CMD`, and the throwaway PostgreSQL cluster that tests run beside.
//!
//! A cluster is a server of our own in a fresh folder, reached by its socket alone: no TCP port, no
//! server that was there before. It goes away however we end. Finding PostgreSQL is `Binaries`.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::message_db;
use crate::shell::{self, Result, say};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let words = match args.split_first() {
        Some((dashes, rest)) if dashes == "--" => rest,
        _ => args,
    };
    let Some((program, rest)) = words.split_first() else {
        return Err("no command to run; write `cargo xtask db -- psql`, for example".into());
    };
    let cluster = Cluster::start()?;
    if let Err(error) = message_db::install(&cluster) {
        say(format!("note: there is no database `{}`: {error}", message_db::DATABASE));
    }
    let mut command = Command::new(program);
    cluster.enter(command.args(rest));
    shell::status(&mut command).map(shell::exit_code)
}

/// A running server, stopped and deleted when dropped.
pub(crate) struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    version: String,
    took: Duration,
    keeper: Child,
}

/// Starts the server, and ends it when our end of the pipe closes.
///
/// The keeper is what makes every ending the same one: when we return, fail, or are killed even by
/// SIGKILL, the kernel closes our end of its standard input, `cat` returns, and it cleans up. It has
/// a process group of its own, so that a terminal's ctrl-c reaches us and not the server.
///
/// TERM before QUIT: a shell without job control starts its background children deaf to QUIT, so a
/// server that has not set up its own handlers yet would miss it, and would outlive us. (For the
/// same reason the traps, which such a child would inherit, are set after it.) QUIT is the stop that
/// does not wait for clients and saves nothing, for data that is deleted in the next line.
const KEEPER: &str = r#"
folder=$1 bin=$2 owner=$3
shift 3
trap 'cd / && rm -rf "$folder"' EXIT
cd "$folder" || exit
[ -z "$owner" ] || chown "$owner" . || exit
"$@" "$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync </dev/null >&2 || exit
"$@" "$bin/postgres" -D data -c unix_socket_directories="$folder" -c listen_addresses= \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300 >&2 &
trap '' INT TERM HUP
exec 2>/dev/null
cat >/dev/null
kill -TERM $!
kill -QUIT $!
wait
"#;

const READY: &str = "database system is ready to accept connections";

impl Cluster {
    pub(crate) fn start() -> Result<Self> {
        let bin = Binaries::of_this_machine()?;
        let owner = Owner::of_the_server();
        let began = Instant::now();
        let folder = fresh_folder()?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args([&folder, &bin])
            .arg(owner.as_ref().map_or("", |owner| owner.name.as_str()))
            .args(owner.iter().flat_map(|owner| owner.drop_rights(&folder)))
            .env("LC_ALL", "C")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = keeper.stderr.take();
        let mut cluster =
            Self { folder, bin, version: String::new(), took: Duration::ZERO, keeper };
        if let Some(log) = log {
            wait_until_ready(log)?;
        }
        let mut psql = Command::new("psql");
        cluster.enter(psql.args(["-X", "-A", "-t", "-c", "SHOW server_version"]));
        let version = shell::output(&mut psql)?;
        cluster.version = version.split(' ').take(1).collect();
        cluster.took = began.elapsed();
        Ok(cluster)
    }

    /// Says which server answers and where.
    pub(crate) fn announce(&self) {
        let seconds = self.took.as_secs_f64();
        let place = self.folder.display();
        say(format!("PostgreSQL {} ready in {seconds:.1} s at {place}", self.version));
    }

    /// Leads to a database of this cluster.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    /// Makes this cluster the one that the command finds, whatever the caller's environment says.
    pub(crate) fn enter(&self, command: &mut Command) {
        let before = env::var_os("PATH").unwrap_or_default();
        let mut path = self.bin.clone().into_os_string();
        path.push(":");
        path.push(before);
        command
            .env("PGHOST", &self.folder)
            .env("PGPORT", "5432") // names the socket's file; nothing listens on a port
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
            .env("DATABASE_URL", self.url("postgres"))
            .env("PATH", path);
        // Each of these would lead a client to another server, or ask ours for what it has not.
        for name in ["PGHOSTADDR", "PGSERVICE", "PGPASSWORD", "PGSSLMODE", "PGOPTIONS"] {
            command.env_remove(name);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closing the pipe is the order to clean up; waiting makes the folder's end certain.
        drop(self.keeper.stdin.take());
        self.keeper.wait().ok();
    }
}

/// Reads the server's log up to the line that says it is up, which needs no waiting for a time, and
/// then leaves the rest to a thread: a server whose log nobody reads would stand still.
fn wait_until_ready(log: ChildStderr) -> Result<()> {
    let mut log = BufReader::new(log);
    let mut said = String::new();
    while !said.lines().next_back().is_some_and(|line| line.ends_with(READY)) {
        if log.read_line(&mut said)? == 0 {
            return Err(format!("PostgreSQL did not start; it said:\n{}", said.trim_end()).into());
        }
    }
    let file = File::create(shell::root().join("target/postgres.log"));
    thread::spawn(move || {
        let mut log = said.as_bytes().chain(log);
        match file {
            Ok(mut file) => io::copy(&mut log, &mut file),
            Err(_) => io::copy(&mut log, &mut io::sink()),
        }
    });
    Ok(())
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

    /// The words that go in front of a command.
    fn drop_rights(&self, home: &Path) -> [String; 6] {
        [
            "setpriv".to_owned(),
            format!("--reuid={}", self.name),
            format!("--regid={}", self.group),
            "--init-groups".to_owned(),
            "env".to_owned(),
            format!("HOME={}", home.display()),
        ]
    }
}

/// Where PostgreSQL's programs are.
struct Binaries;

impl Binaries {
    fn of_this_machine() -> Result<PathBuf> {
        if let Some(told) = env::var_os("PG_BINDIR").map(PathBuf::from) {
            let known = told.join("initdb").exists();
            return if known { Ok(told) } else { Err("no initdb in the folder PG_BINDIR".into()) };
        }
        if let Some(found) = Self::installed() {
            return Ok(found);
        }
        Self::install()?;
        Self::installed().ok_or_else(|| "PostgreSQL was installed, but has no initdb".into())
    }

    /// The newest version in the folders that systems use, none of which is on the PATH.
    fn installed() -> Option<PathBuf> {
        const USUAL: &[(&str, &str)] = &[
            ("/usr/lib/postgresql", ""),          // Debian
            ("/usr", "pgsql-"),                   // Red Hat
            ("/opt/homebrew/opt", "postgresql@"), // macOS
            ("/usr/local/opt", "postgresql@"),
        ];
        let mut found: Vec<_> =
            USUAL.iter().flat_map(|(at, prefix)| versions(at, prefix)).collect();
        found.sort();
        let newest = found.pop().map(|(_, bin)| bin);
        newest.or_else(|| {
            let told = shell::output(Command::new("pg_config").arg("--bindir")).ok();
            let path = env::var_os("PATH").unwrap_or_default();
            let mut places = told.map(PathBuf::from).into_iter().chain(env::split_paths(&path));
            places.find(|bin| bin.join("initdb").exists())
        })
    }

    fn install() -> Result<()> {
        if !shell::apt_install("postgresql")? {
            return Err("PostgreSQL is needed and was not found; install its server (on Debian \
                        `apt-get install postgresql`, on macOS `brew install postgresql`), or set \
                        PG_BINDIR to the folder that holds initdb"
                .into());
        }
        Ok(())
    }
}

/// The `bin` folders of the versions below a folder, each with its version for sorting.
fn versions(at: &str, prefix: &str) -> Vec<(Vec<u32>, PathBuf)> {
    let entries = shell::entries(Path::new(at)).unwrap_or_default();
    let with_version = entries.iter().filter_map(|entry| {
        let name = entry.file_name();
        let version = version(name.to_str()?.strip_prefix(prefix)?)?;
        Some((version, entry.path().join("bin")))
    });
    with_version.filter(|(_, bin)| bin.join("initdb").exists()).collect()
}

/// `15` and `9.6` as numbers, so that 9.6 is older than 15.
fn version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(version("9.6") < version("15"));
        assert!(version("15") < version("18"));
    }

    #[test]
    fn a_folder_of_another_kind_is_no_version() {
        assert_eq!(version("share"), None);
        assert_eq!(version(""), None);
    }
}
