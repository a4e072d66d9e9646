//! A cluster is gone whole when the process that started it is gone, however that one ended.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// `cargo xtask db` with a command that tells where the server is, and then waits for its input.
fn beside_a_server() -> Result<(Child, String)> {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["db", "--", "sh", "-c", "echo at $PGHOST; cat"]);
    let mut xtask = xtask.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let said = BufReader::new(xtask.stdout.take().ok_or("no output")?);
    for line in said.lines() {
        if let Some(folder) = line?.strip_prefix("at ") {
            return Ok((xtask, folder.to_owned()));
        }
    }
    Err("the command did not run".into())
}

/// Whether a server answers at the socket; a socket that a dead server left answers nobody.
fn answers(folder: &str) -> bool {
    std::os::unix::net::UnixStream::connect(Path::new(folder).join(".s.PGSQL.5432")).is_ok()
}

#[test]
fn a_cluster_is_gone_when_its_command_has_ended() -> Result {
    let (mut xtask, folder) = beside_a_server()?;
    assert!(answers(&folder));
    drop(xtask.stdin.take());
    assert!(xtask.wait()?.success());
    assert!(!Path::new(&folder).exists());
    Ok(())
}

#[test]
fn a_cluster_is_gone_when_its_process_was_killed() -> Result {
    let (mut xtask, folder) = beside_a_server()?;
    assert!(answers(&folder));
    xtask.kill()?;
    xtask.wait()?;
    // The folder goes after the server; the time limit of the tests is that of this wait.
    while Path::new(&folder).exists() {
        std::thread::yield_now();
    }
    assert!(!answers(&folder));
    Ok(())
}
