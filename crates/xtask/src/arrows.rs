//! Who may depend on whom: the arrows between our packages, and the libraries with one room.
//!
//! The table below is the whole rule; a new arrow is a decision, written down in `docs/decisions/`.
//! Checks that only read text are in `tidy.rs`; `lint.rs` runs both.

use std::path::Path;

use serde_json::Value;

use crate::shell::{self, Result};

/// A package, and the packages of ours that it may depend on.
struct Row {
    package: &'static str,
    /// In any way.
    may: &'static [&'static str],
    /// For its own tests only.
    dev: &'static [&'static str],
}

const TESTKIT: &[&str] = &["evenfold-testkit"];
const CORE: &[&str] = &["evenfold-core"];
const AS_A_USER: &[&str] = &["evenfold", "evenfold-testkit", "evenfold-postgres"];

const TABLE: &[Row] = &[
    Row { package: "evenfold-core", may: &[], dev: &[] },
    Row { package: "evenfold-macros", may: &[], dev: &[] },
    Row { package: "evenfold-sqlite", may: CORE, dev: TESTKIT },
    // Their tests start servers, kill them and start them again, with what `cargo xtask` has for it.
    Row { package: "evenfold-postgres", may: CORE, dev: &["evenfold-testkit", "xtask"] },
    Row { package: "evenfold-testkit", may: CORE, dev: &[] },
    Row {
        package: "evenfold",
        may: &["evenfold-core", "evenfold-macros", "evenfold-sqlite", "evenfold-postgres"],
        dev: TESTKIT,
    },
    Row { package: "bank", may: AS_A_USER, dev: &[] },
    Row {
        package: "evenfold-tests",
        // Faults and benchmarks look inside the file, so they may open it beside the store.
        may: &["evenfold", "evenfold-testkit", "evenfold-postgres", "evenfold-sqlite", "xtask"],
        dev: &[],
    },
    Row { package: "xtask", may: &[], dev: &[] },
];

/// A library that some packages must not need, apart from in their own tests.
struct Fence {
    library: &'static str,
    /// The packages that must not; empty means all but `only`.
    outside: &'static [&'static str],
    only: &'static [&'static str],
    why: &'static str,
}

const PURE: &[&str] = &["evenfold-core", "evenfold-macros", "evenfold-testkit"];

const FENCES: &[Fence] = &[
    Fence { library: "tokio", outside: PURE, only: &[], why: "this room runs no tasks" },
    Fence { library: "sqlx", outside: PURE, only: &[], why: "this room has no driver" },
    Fence {
        library: "syn",
        outside: &[],
        only: &["evenfold-macros"],
        why: "syntax is read in evenfold-macros alone",
    },
];

/// Compares `cargo metadata` with the table, and each manifest with what every crate must say.
pub(crate) fn check() -> Result<Vec<String>> {
    let mut metadata = shell::cargo(["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let metadata: Value = serde_json::from_str(&shell::output(&mut metadata)?)?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let mut findings = Vec::new();
    for package in packages.into_iter().flatten() {
        findings.extend(faults(package));
        let manifest = Path::new(text(package, "manifest_path"));
        if !inherits_lints(&shell::read(manifest)?) {
            let name = manifest.strip_prefix(shell::root()).unwrap_or(manifest).display();
            findings.push(format!("{name}: add `[lints]` with `workspace = true`"));
        }
    }
    Ok(findings)
}

fn faults(package: &Value) -> Vec<String> {
    let name = text(package, "name");
    let Some(row) = TABLE.iter().find(|row| row.package == name) else {
        return vec![format!("{name}: no row in the table of crates/xtask/src/arrows.rs")];
    };
    let dependencies = package.get("dependencies").and_then(Value::as_array);
    dependencies
        .into_iter()
        .flatten()
        .filter_map(|dependency| {
            let on = text(dependency, "name");
            let dev = text(dependency, "kind") == "dev";
            wrong_arrow(row, on, dev).or_else(|| wrong_library(name, on, dev))
        })
        .collect()
}

fn wrong_arrow(row: &Row, on: &str, dev: bool) -> Option<String> {
    let ours = TABLE.iter().any(|row| row.package == on);
    if !ours || row.may.contains(&on) || (dev && row.dev.contains(&on)) {
        return None;
    }
    let package = row.package;
    let remedy = if row.dev.contains(&on) {
        "make it a dev-dependency"
    } else {
        "take it out, or record the new arrow in docs/decisions and in crates/xtask/src/arrows.rs"
    };
    Some(format!("{package}: must not depend on {on}; {remedy}"))
}

fn wrong_library(package: &str, on: &str, dev: bool) -> Option<String> {
    let fence = FENCES.iter().find(|fence| fence.library == on)?;
    let inside = if fence.outside.is_empty() {
        fence.only.contains(&package)
    } else {
        !fence.outside.contains(&package)
    };
    (!inside && !dev).then(|| format!("{package}: must not depend on {on}; {}", fence.why))
}

fn inherits_lints(manifest: &str) -> bool {
    let manifest = manifest.replace(' ', "");
    let mut lines = manifest.lines();
    lines.clone().any(|line| line == "lints.workspace=true")
        || (lines.any(|line| line == "[lints]")
            && lines.take_while(|line| !line.starts_with('[')).any(|line| line == "workspace=true"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn depends(name: &str, on: &str, kind: Option<&str>) -> Vec<String> {
        faults(&json!({ "name": name, "dependencies": [{ "name": on, "kind": kind }] }))
    }

    #[test]
    fn an_arrow_of_the_table_is_allowed() {
        assert!(depends("evenfold", "evenfold-sqlite", None).is_empty());
        assert!(depends("evenfold-sqlite", "evenfold-core", Some("dev")).is_empty());
        assert!(depends("evenfold-sqlite", "evenfold-testkit", Some("dev")).is_empty());
        assert!(depends("evenfold-postgres", "xtask", Some("dev")).is_empty());
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_refused() {
        assert_eq!(depends("evenfold-core", "evenfold-macros", Some("dev")).len(), 1);
        assert_eq!(depends("bank", "evenfold-core", None).len(), 1);
        assert_eq!(depends("evenfold-postgres", "xtask", None).len(), 1);
        assert_eq!(depends("xtask", "evenfold-core", Some("dev")).len(), 1);
    }

    #[test]
    fn an_arrow_for_tests_is_refused_elsewhere() {
        let findings = depends("evenfold-sqlite", "evenfold-testkit", None);
        assert!(findings.iter().all(|finding| finding.ends_with("make it a dev-dependency")));
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn a_package_without_a_row_is_reported() {
        assert_eq!(depends("evenfold-cli", "serde", None).len(), 1);
    }

    #[test]
    fn a_fenced_library_is_refused_outside_its_rooms() {
        assert_eq!(depends("evenfold-core", "tokio", None).len(), 1);
        assert_eq!(depends("evenfold", "syn", None).len(), 1);
        assert_eq!(depends("evenfold-testkit", "sqlx", Some("build")).len(), 1);
    }

    #[test]
    fn a_fenced_library_is_allowed_in_its_rooms_and_in_tests() {
        assert!(depends("evenfold", "tokio", None).is_empty());
        assert!(depends("evenfold-macros", "syn", None).is_empty());
        assert!(depends("evenfold-core", "tokio", Some("dev")).is_empty());
    }

    #[test]
    fn lints_are_inherited_in_either_spelling() {
        assert!(inherits_lints("[package]\n\n[lints]\nworkspace = true\n"));
        assert!(inherits_lints("[package]\nlints.workspace = true\n"));
        assert!(!inherits_lints("[lints]\n[dependencies]\nworkspace = true\n"));
    }
}
