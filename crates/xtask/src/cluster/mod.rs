//! A PostgreSQL server of our own, in a fresh folder, reached by its socket alone: no TCP port, no
//! server that was there before.
//!
//! Owns which server there is and with what settings, and that it goes away however we end. Its
//! folder is in `home.rs`, its processes are in `server.rs`; where the programs are found is in
//! `binaries.rs`.

mod home;
mod server;

use std::env;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::binaries;
use crate::shell::{self, Result, say};
use home::Home;
use server::Server;

/// A server, stopped and deleted when dropped.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order.
    server: Option<Server>,
    home: Home,
    bin: PathBuf,
    settings: Vec<String>,
    /// A library that is loaded into the server before all others.
    preload: Option<PathBuf>,
    log: PathBuf,
    began: Instant,
}

/// For a server whose data nobody will miss, beside as many tests as there are.
const THROWAWAY: &[&str] =
    &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300"];

impl Cluster {
    /// A server for what need not outlive it, of a major version or of what is on this machine.
    pub(crate) fn throwaway(version: Option<u32>) -> Result<Self> {
        Self::begin(binaries::find(version)?, THROWAWAY, "postgres")
    }

    /// A server that keeps what it has acknowledged, as one in production does, for a test that
    /// takes it away. It is of the version that the tests run beside; the name is for its log.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not to be had here, or does not start.
    pub fn durable(name: &str) -> Result<Self> {
        Self::begin(binaries::find(None)?, &[], name)
    }

    /// The same with a library loaded into the server before all others.
    ///
    /// # Errors
    ///
    /// As [`durable`](Self::durable), or when the library cannot be copied to where the server reads.
    pub fn preloaded(name: &str, library: &Path) -> Result<Self> {
        let mut cluster = Self::empty(binaries::find(None)?, [], name)?;
        let copy = cluster.home.folder.join("preloaded.so");
        std::fs::copy(library, &copy)?;
        cluster.preload = Some(copy);
        cluster.fill()
    }

    fn begin(bin: PathBuf, settings: &[&str], name: &str) -> Result<Self> {
        Self::empty(bin, settings.iter().map(|&one| one.to_owned()), name)?.fill()
    }

    fn fill(mut self) -> Result<Self> {
        let initdb = "-D data -U postgres -A trust -E UTF8 --locale=C --no-sync";
        self.do_in_home(self.server_program("initdb").args(initdb.split(' ')))?;
        self.start()?;
        Ok(self)
    }

    fn empty(bin: PathBuf, settings: impl IntoIterator<Item = String>, name: &str) -> Result<Self> {
        let began = Instant::now();
        let settings = settings.into_iter().collect();
        let log = shell::root().join(format!("target/{name}.log"));
        // Of this run alone, and of all starts in it.
        File::create(&log).ok();
        let mut home = Home::make()?;
        home.make_readable(&bin)?;
        Ok(Self { server: None, home, bin, settings, preload: None, log, began })
    }

    /// Starts the server, which is not running, on the data that it left.
    ///
    /// # Errors
    ///
    /// When it does not start, with what it said.
    pub fn start(&mut self) -> Result {
        let mut command = self.server_program("postgres");
        command.args(["-D", "data", "-c", "listen_addresses=", "-k"]).arg(&self.home.folder);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        self.server = Some(Server::start(&command, self.home.hold()?, &self.log)?);
        Ok(())
    }

    /// Ends all processes of the server at once by SIGKILL, and returns when the last is gone.
    ///
    /// # Errors
    ///
    /// When it was not running.
    pub fn kill(&mut self) -> Result {
        self.end("kill")
    }

    /// Ends the server as its operator would, so that all of it is in its files.
    fn stop(&mut self) -> Result {
        self.end("stop")
    }

    fn end(&mut self, word: &str) -> Result {
        self.server.take().ok_or("the server is not running")?.end(word)
    }

    /// A hot standby, which follows this server; the name is the one that it follows under, and is
    /// for its log.
    ///
    /// It begins with a copy of the files, for which this server is stopped for a moment: no version
    /// of a client is asked to understand that of the server.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub fn standby(&mut self, name: &str) -> Result<Self> {
        // It finds its primary again at once, and the server waits five seconds unless told.
        let own = [format!("cluster_name={name}"), "wal_retrieve_retry_interval=100ms".to_owned()];
        let settings = self.settings.iter().cloned().chain(own);
        let mut standby = Self::empty(self.bin.clone(), settings, name)?;
        self.stop()?;
        let mut copy = standby.home.command(Path::new("cp"));
        let data = self.home.folder.join("data");
        standby.do_in_home(copy.arg("-R").args([&data, Path::new("data")]))?;
        self.start()?;
        standby.follow(self)?;
        Ok(standby)
    }

    /// Starts the server, which is not running, on the data that it left, as a hot standby of another.
    /// Whom it follows stands in a file, so that `ALTER SYSTEM` can change it.
    ///
    /// # Errors
    ///
    /// When it does not start, with what it said.
    pub fn follow(&mut self, primary: &Self) -> Result {
        let data = self.home.folder.join("data");
        File::create(data.join("standby.signal"))?;
        let mut file = File::options().append(true).open(data.join("postgresql.auto.conf"))?;
        let place = primary.home.folder.display();
        writeln!(file, "primary_conninfo = 'host={place} user=postgres'")?;
        self.start()
    }

    /// Says which server answers and where.
    pub(crate) fn announce(&self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let version = shell::output(Command::new(self.bin.join("postgres")).arg("--version"));
        let version = version.unwrap_or_default();
        let version = version.split(' ').nth(2).unwrap_or("of some version");
        let place = self.home.folder.display();
        say(format!("PostgreSQL {version} ready in {seconds:.1} s at {place}"));
    }

    /// The folder of the server's socket.
    pub fn folder(&self) -> &Path {
        &self.home.folder
    }

    /// Leads to a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.home.folder.display())
    }

    /// Makes this cluster the one that the command finds, whatever the caller's environment says.
    pub(crate) fn enter(&self, command: &mut Command) {
        let before = env::var_os("PATH").unwrap_or_default();
        let mut path = self.bin.clone().into_os_string();
        path.push(":");
        path.push(before);
        command
            .env("PGHOST", &self.home.folder)
            .env("PGPORT", "5432") // names the socket's file; nothing listens on a port
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
            .env("DATABASE_URL", self.url("postgres"))
            .env("PG_BINDIR", &self.bin) // for a test that starts a server of its own
            .env("PATH", path);
        // Each of these would lead a client to another server, or ask ours for what it has not.
        for name in ["PGHOSTADDR", "PGSERVICE", "PGPASSWORD", "PGSSLMODE", "PGOPTIONS"] {
            command.env_remove(name);
        }
    }

    fn server_program(&self, name: &str) -> Command {
        let bin = self.home.programs.as_ref().unwrap_or(&self.bin);
        self.home.command(&bin.join(name))
    }

    /// Runs a command to its end, which the folder waits for even when we do not.
    fn do_in_home(&self, command: &mut Command) -> Result {
        let output = command.stdout(self.home.hold()?).stderr(Stdio::piped()).output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{}` failed: {}", shell::line(command), said.trim()).into())
    }
}

/// A shell that outlives us where it must. It has a process group of its own, so that a terminal's
/// ctrl-c reaches us and not what it keeps.
fn keeper(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "keeper"]).process_group(0);
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    shell
}
