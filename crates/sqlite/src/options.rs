//! Which file, how durable, how many readers: by a URL, or by methods where the URL says nothing.
//!
//! Owns the grammar of the URL. What is done with the options is in `install.rs`.

use std::path::Path;

use evenfold_core::Error;
use evenfold_core::error::Invalid;

use crate::{Sqlite, install};

/// What can be chosen of a store; the defaults suit a service on one machine.
///
/// A parameter of the URL wins over the method of the same name, so that an operator can change
/// what a developer chose.
///
/// # Examples
///
/// ```
/// use evenfold_sqlite::{Durability, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evenfold_core::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let url = format!("sqlite://{}", folder.path().join("bank.db").display());
/// let store = Options::new().durability(Durability::Full).readers(8)?.connect(&url).await?;
/// let same = Options::new().connect(&format!("{url}?durability=full&readers=8")).await?;
/// assert_eq!(store.path(), same.path());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) readers: u32,
}

/// What a power cut may undo. The end of the process undoes nothing, however sudden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The last writes before a power cut, a part of a second as a rule; the file stays whole.
    /// SQLite's `synchronous = NORMAL`.
    #[default]
    Normal,
    /// Nothing that was reported as written, at the price of waiting for the disk at each write.
    /// SQLite's `synchronous = FULL`.
    Full,
}

impl Options {
    /// The defaults: [`Durability::Normal`] and 4 readers.
    pub const fn new() -> Self {
        Self { durability: Durability::Normal, readers: 4 }
    }

    /// What a power cut may undo; [`Durability::Normal`] by default. In a URL `durability=normal`
    /// or `durability=full`.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many calls may read at the same time, 1 to 64; 4 by default, each with a thread. One
    /// more writes, always one: SQLite has one writer at a time. In a URL `readers=8`.
    ///
    /// # Errors
    ///
    /// When the number is not 1 to 64.
    pub fn readers(mut self, number: u32) -> Result<Self, Invalid> {
        if !(1..=64).contains(&number) {
            return Err(Invalid::new("readers", number, "1 to 64 may read at the same time"));
        }
        self.readers = number;
        Ok(self)
    }

    /// Opens the store at a URL: `sqlite://` or `sqlite:`, the path of a file as it is, and
    /// perhaps `?` with parameters.
    ///
    /// # Errors
    ///
    /// Those of [`Sqlite::connect`].
    pub async fn connect(self, url: &str) -> Result<Sqlite, Error> {
        let (path, options) = self.with_url(url)?;
        install::open(path, options).await
    }

    fn with_url(mut self, url: &str) -> Result<(&Path, Self), Invalid> {
        let refuse = |rule: &'static str| Err(Invalid::new("SQLite URL", url, rule));
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return refuse("it begins with `sqlite://`, as in `sqlite://bank.db`");
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if path == ":memory:" {
            return refuse("a SQLite store is a file; for a store in memory write `memory:`");
        }
        if path.is_empty() || path.ends_with('/') || path.starts_with("file:") {
            return refuse(
                "the path of a file stands behind `sqlite://`, as in `sqlite://bank.db`",
            );
        }
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            self = match parameter.split_once('=') {
                Some(("durability", "normal")) => self.durability(Durability::Normal),
                Some(("durability", "full")) => self.durability(Durability::Full),
                Some(("readers", number)) => self.readers(number.parse().unwrap_or_default())?,
                _ => {
                    return refuse(
                        "its parameters are `durability=normal`, `durability=full` and \
                         `readers=` with a number from 1 to 64",
                    );
                }
            };
        }
        Ok((Path::new(path), self))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        for (url, path) in [
            ("sqlite://bank.db", "bank.db"),
            ("sqlite:bank.db", "bank.db"),
            ("sqlite:///var/lib/bank.db", "/var/lib/bank.db"),
            ("sqlite:/var/lib/bank 1.db", "/var/lib/bank 1.db"),
        ] {
            assert_eq!(
                Options::new().with_url(url),
                Ok((Path::new(path), Options::new())),
                "{url}"
            );
        }
    }

    #[test]
    fn its_parameters_win() {
        let options = Options::new().readers(2).unwrap();
        let (_, read) = options.with_url("sqlite:a?readers=8&durability=full").unwrap();
        assert_eq!(read, Options { durability: Durability::Full, readers: 8 });
    }

    #[test]
    fn a_url_of_anything_else_is_refused_with_what_to_write() {
        for (url, said) in [
            ("bank.db", "as in `sqlite://bank.db`"),
            ("postgres://localhost", "it begins with `sqlite://`"),
            ("sqlite://", "the path of a file stands behind"),
            ("sqlite:///tmp/", "the path of a file stands behind"),
            ("sqlite::memory:", "for a store in memory write `memory:`"),
            ("sqlite://:memory:", "for a store in memory write `memory:`"),
            ("sqlite:a?durability=none", "its parameters are `durability=normal`"),
            ("sqlite:a?mode=ro", "its parameters are `durability=normal`"),
            ("sqlite:a?readers=65", "1 to 64 may read"),
            ("sqlite:a?readers=many", "1 to 64 may read"),
        ] {
            let refused = Options::new().with_url(url).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
