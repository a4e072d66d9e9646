//! The bank as a process on a folder of its own, and its log as another reader sees it.
//!
//! What is expected of it stands in the tests. The messages are declared anew here, as in a service
//! that only knows what is stored.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use evenfold::GlobalPosition;
use evenfold::prelude::*;
use evenfold::stores::CategoryQuery;
use futures::TryStreamExt;
use tempfile::TempDir;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A folder with a bank in it, gone at the end.
pub(crate) struct Bank {
    folder: TempDir,
}

/// What a run of the bank said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bank {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}", self.folder().join("kept.db").display())
    }

    /// The program, which keeps its bank in the folder.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
        command.current_dir(self.folder()).env_remove("RUST_LOG");
        command.args(["--store", &self.url()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the bank to its end.
    pub(crate) fn run(&self, args: &[&str], input: &str) -> Outcome<Said> {
        let mut child = self.command().args(args).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A run that does not read its input closes the pipe.
            stdin.write_all(input.as_bytes()).ok();
        }
        Ok(child.wait_with_output()?.into())
    }

    /// Every event of every account, in the order they came.
    pub(crate) async fn recorded(&self) -> Outcome<Vec<Recorded>> {
        let store = evenfold::connect(&self.url()).await?;
        let accounts = CategoryQuery::new(Category::new("account")?);
        Ok(store.read_category(&accounts, GlobalPosition::START).try_collect().await?)
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            success: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// The summary of the accounts and the refusals, without what this one run did.
    pub(crate) fn summary(&self) -> Outcome<&str> {
        let text = &self.out;
        let from = text.find("\nAccounts\n").ok_or_else(|| format!("no accounts in {self:?}"))?;
        let to = text.rfind("\n\n").ok_or("no line of effects")?;
        text.get(from..to).ok_or_else(|| format!("no summary in {self:?}").into())
    }
}
