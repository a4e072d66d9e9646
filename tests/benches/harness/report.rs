//! What all comparisons came to: lines while they run, and at the end a table and a picture for each
//! part of it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use evenfold_tests::Outcome;
use evenfold_tests::asked::{self, say};

use super::{Comparison, plot};

const HEAD: &str = "| ours / theirs, times as fast | ratio | quartiles | best | rounds | goal | ours | theirs |\n\
                    |---|---:|---:|---:|---:|---|---:|---:|";

/// Says where the table goes.
const FOLDER: &str = "EVENFOLD_BENCH_FOLDER";

#[derive(Default)]
pub(crate) struct Report {
    parts: Vec<Part>,
    notes: Vec<String>,
}

struct Part {
    title: &'static str,
    /// The name of its picture.
    file: &'static str,
    rows: Vec<Comparison>,
}

impl Report {
    /// Begins a part of the table.
    pub(crate) fn part(&mut self, title: &'static str, file: &'static str) {
        self.parts.push(Part { title, file, rows: Vec::new() });
    }

    pub(crate) fn add(&mut self, comparison: Comparison) -> io::Result<()> {
        let Some(part) = self.parts.last_mut() else { return Ok(()) };
        if part.rows.is_empty() {
            say(format_args!("\n## {}\n\n{HEAD}", part.title))?;
        }
        say(&comparison)?;
        part.rows.push(comparison);
        Ok(())
    }

    /// Something that a reader of the figures must know.
    pub(crate) fn note(&mut self, note: String) -> io::Result<()> {
        say(format_args!("\n{note}"))?;
        self.notes.push(note);
        Ok(())
    }

    /// Writes the table and the pictures where the caller said, if he did.
    pub(crate) fn write(self) -> Outcome {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return Ok(()) };
        fs::create_dir_all(&folder)?;
        let mut text = "# The table\n\nWritten by `cargo xtask bench --record`; what it says is \
                        [explained](../benchmarks.md).\n"
            .to_owned();
        for note in machine().into_iter().chain(self.notes) {
            write!(text, "\n- {note}")?;
        }
        text.push('\n');
        for part in self.parts.iter().filter(|part| !part.rows.is_empty()) {
            let Part { title, file, rows } = part;
            plot::draw(&folder.join(format!("{file}.svg")), title, rows)?;
            write!(text, "\n## {title}\n\n![{title}]({file}.svg)\n\n{HEAD}\n")?;
            for row in rows {
                writeln!(text, "{row}")?;
            }
        }
        fs::write(folder.join("table.md"), text)?;
        say(format_args!("\nthe table and its pictures are in {}", folder.display()))?;
        Ok(())
    }
}

/// Where and how it was measured.
fn machine() -> Vec<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or("an unknown processor").trim_start_matches(['\t', ' ', ':']);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let pace = if asked::quickly() { "quick: a few rounds each" } else { "all rounds" };
    vec![
        format!(
            "{cores} cores, {model}; client and server share one of them, but where pages are read"
        ),
        format!("load at the end {load}; {pace}"),
    ]
}
