//! What came of the laws: passed, failed and why, skipped and for want of which ability.
//!
//! A run gathers a report by itself. Tests of one law each, perhaps in processes of their own, join
//! theirs in a folder.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use evenfold_core::store::Ability;

use super::laws::LAWS;

/// The variable that names the folder where outcomes are kept.
const FOLDER: &str = "EVENFOLD_LAWS_DIR";

/// What came of one law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store keeps it.
    Passed,
    /// The store breaks it, and this is how.
    Failed(String),
    /// The store says that it cannot do what the law is about.
    Skipped(Ability),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(how) => write!(f, "broken: {how}"),
            Self::Skipped(ability) => write!(f, "skipped: {ability}"),
        }
    }
}

/// What came of the laws on one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    backend: String,
    outcomes: BTreeMap<String, Outcome>,
}

impl Report {
    pub(super) fn new(backend: &str) -> Self {
        Self { backend: backend.to_owned(), outcomes: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, law: &str, outcome: Outcome) {
        self.outcomes.insert(law.to_owned(), outcome);
    }

    /// The laws that the store keeps.
    pub fn passed(&self) -> Vec<&str> {
        self.named(|outcome| (*outcome == Outcome::Passed).then_some(()))
            .map(|(law, ())| law)
            .collect()
    }

    /// The laws that the store breaks, and how.
    pub fn failed(&self) -> Vec<(&str, &str)> {
        self.named(|outcome| match outcome {
            Outcome::Failed(how) => Some(how.as_str()),
            _ => None,
        })
        .collect()
    }

    /// The laws that were not tried, and for want of which ability.
    pub fn skipped(&self) -> Vec<(&str, Ability)> {
        self.named(|outcome| match outcome {
            Outcome::Skipped(ability) => Some(*ability),
            _ => None,
        })
        .collect()
    }

    fn named<'a, T>(
        &'a self,
        pick: impl Fn(&'a Outcome) -> Option<T>,
    ) -> impl Iterator<Item = (&'a str, T)> {
        self.outcomes.iter().filter_map(move |(law, outcome)| Some((law.as_str(), pick(outcome)?)))
    }

    /// Whether no law is broken, and every one was tried or skipped.
    pub fn is_kept(&self) -> bool {
        self.failed().is_empty() && self.outcomes.len() == LAWS.len()
    }

    /// Demands that no law is broken.
    ///
    /// # Panics
    ///
    /// When one is; the text lists them all.
    pub fn assert(&self) {
        assert!(self.is_kept(), "{self}");
    }

    /// Writes the report to `<backend>.txt` in the folder that `$EVENFOLD_LAWS_DIR` names; does
    /// nothing when the variable is not set.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_to_folder(&self) -> io::Result<()> {
        match std::env::var_os(FOLDER) {
            Some(folder) => fs::write(self.file_in(Path::new(&folder), "txt"), format!("{self}\n")),
            None => Ok(()),
        }
    }

    /// Joins the outcome of one law to those that are in the folder already, and writes the report
    /// of all of them; does nothing when `$EVENFOLD_LAWS_DIR` is not set.
    ///
    /// Tests of one law each may do this at a time, in as many processes as they like. Taking the
    /// reports out of the folder begins anew.
    pub(super) fn note(backend: &str, law: &str, outcome: &Outcome) -> io::Result<()> {
        match std::env::var_os(FOLDER) {
            Some(folder) => Self::note_in(Path::new(&folder), backend, law, outcome),
            None => Ok(()),
        }
    }

    fn note_in(folder: &Path, backend: &str, law: &str, outcome: &Outcome) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut report = Self::new(backend);
        let summary = report.file_in(folder, "txt");
        let mut notes = OpenOptions::new();
        let notes = notes.read(true).append(true).create(true);
        let mut notes = notes.open(report.file_in(folder, "laws"))?;
        // Held until the file is closed, so that nobody reads between these two writes.
        notes.lock()?;
        if !summary.exists() {
            notes.set_len(0)?;
        }
        writeln!(notes, "{law}\t{}", outcome.to_string().replace('\n', " / "))?;
        report.read_notes(&mut notes)?;
        fs::write(summary, format!("{report}\n"))
    }

    fn read_notes(&mut self, notes: &mut File) -> io::Result<()> {
        let mut text = String::new();
        notes.rewind()?;
        notes.read_to_string(&mut text)?;
        for (law, outcome) in text.lines().filter_map(|line| line.split_once('\t')) {
            let ability = Ability::ALL.into_iter().find(|ability| {
                outcome.strip_prefix("skipped: ") == Some(ability.to_string().as_str())
            });
            let outcome = match (outcome.strip_prefix("broken: "), ability) {
                (Some(how), _) => Outcome::Failed(how.to_owned()),
                (None, Some(ability)) => Outcome::Skipped(ability),
                (None, None) => Outcome::Passed,
            };
            self.add(law, outcome);
        }
        Ok(())
    }

    fn file_in(&self, folder: &Path, kind: &str) -> std::path::PathBuf {
        let name = self.backend.replace(|letter: char| !letter.is_alphanumeric(), "-");
        folder.join(format!("{name}.{kind}"))
    }
}

/// As in `memory: 88 laws passed, 0 failed; cannot: durable (1 law skipped)`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed, skipped) = (self.passed(), self.failed(), self.skipped());
        write!(f, "{}: {} laws passed, {} failed; ", self.backend, passed.len(), failed.len())?;
        let lacks = Ability::ALL.into_iter().filter_map(|ability| {
            let laws = skipped.iter().filter(|(_, needed)| *needed == ability).count();
            let s = if laws == 1 { "" } else { "s" };
            (laws > 0).then(|| format!("{ability} ({laws} law{s} skipped)"))
        });
        let lacks: Vec<_> = lacks.collect();
        if lacks.is_empty() {
            f.write_str("skipped: none")?;
        } else {
            write!(f, "cannot: {}", lacks.join(", "))?;
        }
        if self.outcomes.len() < LAWS.len() {
            write!(f, "; {} not tried", LAWS.len() - self.outcomes.len())?;
        }
        for (law, how) in failed {
            write!(f, "\n  {law}: {}", how.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_noted_one_by_one_make_one_report_and_the_newest_counts() {
        let folder = std::env::temp_dir().join(format!("evenfold-laws-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let note = |law, outcome: Outcome| {
            Report::note_in(&folder, "own schema", law, &outcome).unwrap();
            fs::read_to_string(folder.join("own-schema.txt")).unwrap()
        };
        note("one", Outcome::Failed("left\nright".into()));
        note("two", Outcome::Skipped(Ability::Durable));
        let report = note("three", Outcome::Passed);
        assert!(
            report.starts_with(
                "own schema: 1 laws passed, 1 failed; cannot: durable (1 law skipped); "
            ),
            "{report}"
        );
        assert!(report.ends_with(" not tried\n  one: left / right\n"), "{report}");
        assert!(note("one", Outcome::Passed).starts_with("own schema: 2 laws passed, 0 failed"));

        fs::remove_file(folder.join("own-schema.txt")).unwrap();
        assert!(note("one", Outcome::Passed).starts_with("own schema: 1 laws passed, 0 failed"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
