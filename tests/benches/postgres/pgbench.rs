//! `pgbench` as the one to measure against: PostgreSQL's own client, in C, doing one call each.

use std::fs;
use std::process::Command;
use std::time::Duration;

use evenfold_tests::Outcome;
use tempfile::TempDir;

use crate::bare::DATA;

/// The same write as [`store.write`](evenfold::Store::write) of a `Deposited`. The data is a
/// parameter, so that the server reads it each time.
const SCRIPT: &str = r"
\set n random(0, 99)
SELECT message_store.write_message(
    gen_random_uuid()::varchar, 'account-' || :n, 'Deposited', :data, NULL, NULL
);
";

/// How many calls are counted in a turn, and how many before them warm up the connection, which is
/// a new one each time.
const CALLS: u32 = 1000;
const WARM_UP: u32 = 500;

pub(crate) struct Pgbench {
    url: String,
    folder: TempDir,
}

impl Pgbench {
    pub(crate) fn new(url: String) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("write.sql"), SCRIPT)?;
        Ok(Self { url, folder })
    }

    /// Runs it once, and tells how long a call took by its log.
    pub(crate) fn turn(&self) -> Outcome<Duration> {
        let mut pgbench = Command::new("pgbench");
        pgbench.args(["-M", "prepared", "-n", "-l", "-t", &(WARM_UP + CALLS).to_string()]);
        pgbench.args(["-f", "write.sql", "-D", &format!("data={DATA}"), &self.url]);
        pgbench.current_dir(&self.folder).env("PGOPTIONS", "-c search_path=message_store,public");
        let output = pgbench.output().map_err(|error| format!("pgbench: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        self.logged()
    }

    /// A line has the time at which a call had been answered.
    fn logged(&self) -> Outcome<Duration> {
        let mut ends = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let file = entry?.path();
            if file.to_string_lossy().contains("pgbench_log") {
                let log = fs::read_to_string(&file)?;
                ends.extend(log.lines().filter_map(end));
                fs::remove_file(file)?;
            }
        }
        let warm = usize::try_from(WARM_UP)?.saturating_sub(1);
        match (ends.get(warm), ends.last()) {
            (Some(begin), Some(end)) => Ok(end.saturating_sub(*begin) / CALLS),
            _ => Err("pgbench logged no calls".into()),
        }
    }
}

/// Client, number, latency, script, and the time in seconds and the microseconds behind them.
fn end(line: &str) -> Option<Duration> {
    let mut numbers = line.split(' ').skip(4).map(str::parse::<u64>);
    let (seconds, micros) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(Duration::from_secs(seconds) + Duration::from_micros(micros))
}
