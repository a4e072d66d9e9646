//! The processes of a server: started by a keeper, which ends them when it is told or when we are gone.
//!
//! Owns its log, by which we know that it is up and that all of it is gone.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};

use super::keeper;
use crate::shell::Result;

/// A running server, stopped when dropped.
#[derive(Debug)]
pub(super) struct Server {
    keeper: Child,
    /// Ends when the last process of the server is gone, for the log is where each has its errors.
    log: Option<JoinHandle<()>>,
}

/// Starts the server, and ends it when it is told how, or when our end of the pipe closes.
///
/// Who is to be killed is stopped first, so that no process of the server comes or goes meanwhile.
///
/// TERM before QUIT: a shell without job control starts its background children deaf to QUIT, so a
/// server that has not set up its own handlers yet would miss it, and would outlive us. (For the
/// same reason the traps, which such a child would inherit, are set after it.) QUIT is the stop that
/// does not wait for clients and saves nothing, for data that is deleted in the next moment.
const KEEPER: &str = r#"
"$@" >&2 &
trap '' INT TERM HUP
exec 2>/dev/null
read -r word
case $word in
kill)
    kill -STOP $!
    kill -KILL $(cat /proc/$!/task/$!/children || pgrep -P $!) $!
    ;;
stop)
    kill -INT $!
    ;;
*)
    kill -TERM $!
    kill -QUIT $!
    ;;
esac
wait
"#;

/// A standby is ready for `read-only connections`.
const READY: &str = "database system is ready to accept ";

impl Server {
    pub(super) fn start(command: &Command, hold: Stdio, log: &Path) -> Result<Self> {
        let mut shell = keeper(KEEPER);
        shell.arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(command.get_current_dir().unwrap_or(Path::new("/")));
        let keeper = shell.stdin(Stdio::piped()).stdout(hold).stderr(Stdio::piped()).spawn()?;
        let mut server = Self { keeper, log: None };
        if let Some(said) = server.keeper.stderr.take() {
            server.log = Some(wait_until_ready(said, log)?);
        }
        Ok(server)
    }

    /// Gives an order to the keeper, and returns when no process of the server is left.
    pub(super) fn end(mut self, word: &str) -> Result {
        if let Some(mut order) = self.keeper.stdin.take() {
            writeln!(order, "{word}")?;
        }
        self.keeper.wait()?;
        let log = self.log.take().map(JoinHandle::join);
        log.transpose().map_err(|_| "the server's log was not read to its end")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().ok();
    }
}

/// Reads the server's log up to the line that says it is up, which needs no waiting for a time, and
/// then leaves the rest to a thread: a server whose log nobody reads would stand still.
fn wait_until_ready(log: ChildStderr, file: &Path) -> Result<JoinHandle<()>> {
    let mut log = BufReader::new(log);
    let mut said = String::new();
    while !said.lines().next_back().is_some_and(|line| line.contains(READY)) {
        if log.read_line(&mut said)? == 0 {
            return Err(format!("PostgreSQL did not start; it said:\n{}", said.trim_end()).into());
        }
    }
    let file = File::options().append(true).open(file);
    Ok(thread::spawn(move || {
        let mut log = said.as_bytes().chain(log);
        let kept = file.and_then(|mut file| io::copy(&mut log, &mut file));
        // A full disk is no reason for the server to stand still.
        kept.or_else(|_| io::copy(&mut log, &mut io::sink())).ok();
    }))
}
