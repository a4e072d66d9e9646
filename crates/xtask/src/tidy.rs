//! The house rules that a file's text shows: sizes, heads, pairs, words that must not stand there.
//!
//! Each rule is a function that gathers files and a pure one that judges a text; the second has the
//! tests. Rules about manifests are in `arrows.rs`; CONTRIBUTING.md says why there are rules.

use std::path::{Path, PathBuf};

use crate::shell::{self, Result};

type Rule = fn() -> Result<Vec<String>>;

/// Every rule with its name.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("ui pairs", ui_pairs),
    ("budgets and heads", rust_files),
    ("documents", documents),
    ("code blocks", code_blocks),
    ("unfinished", unfinished_code),
    ("SQL", sql_in_its_rooms),
    ("diagnostics", diagnostics_of_traits),
    ("migrations", migrations),
    ("guarantees", guarantees),
];

/// The Rust files that people write and read; ui cases and golden expansions have their own rules.
fn sources() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["crates", "examples", "tests"] {
        found.extend(shell::files(folder, "rs")?);
    }
    let generated = |path: &PathBuf| {
        let path = path.to_string_lossy();
        path.contains("/tests/ui/") || path.contains("/tests/expand/")
    };
    found.retain(|path| !generated(path));
    Ok(found)
}

/// Judges each file's text, and puts the file's name before what was found.
fn judge(files: Vec<PathBuf>, rule: impl Fn(&Path, &str) -> Vec<String>) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in files {
        let text = shell::read(&file)?;
        let found = rule(&file, &text);
        findings.extend(found.into_iter().map(|finding| format!("{}{finding}", file.display())));
    }
    Ok(findings)
}

/// Every line that is at fault, with its number.
fn lines(text: &str, fault: &str, mut at_fault: impl FnMut(&str) -> bool) -> Vec<String> {
    let numbered = text.lines().zip(1..).filter(|(line, _)| at_fault(line));
    numbered.map(|(_, number)| format!(":{number}: {fault}")).collect()
}

fn ui_pairs() -> Result<Vec<String>> {
    let root = shell::root().join("crates/evenfold/tests/ui");
    let mut findings = Vec::new();
    for folder in shell::entries(&root)? {
        if !folder.file_type()?.is_dir() {
            continue;
        }
        let cases = shell::entries(&folder.path())?;
        let names: Vec<_> =
            cases.iter().map(|case| case.file_name().to_string_lossy().into_owned()).collect();
        let at = folder.file_name();
        let found = unpaired(&names).into_iter();
        findings.extend(found.map(|finding| format!("ui/{}/{finding}", at.display())));
    }
    Ok(findings)
}

fn unpaired(names: &[String]) -> Vec<String> {
    let has = |name: &str| names.iter().any(|other| other == name);
    let fault = |name: &String| {
        if let Some(case) = name.strip_suffix(".rs") {
            if !case.starts_with("fail_") && !case.starts_with("pass_") {
                return Some("is named neither `fail_…` nor `pass_…`");
            }
            let missing = case.starts_with("fail_") && !has(&format!("{case}.stderr"));
            return missing.then_some("has no .stderr; run its test with TRYBUILD=overwrite");
        }
        let case = name.strip_suffix(".stderr")?;
        (!has(&format!("{case}.rs"))).then_some("has no .rs; delete it")
    };
    names.iter().filter_map(|name| Some(format!("{name}: {}", fault(name)?))).collect()
}

fn rust_files() -> Result<Vec<String>> {
    judge(sources()?, |path, text| {
        let limit = match path.to_str() {
            Some("crates/core/src/lib.rs") => 120,
            Some("crates/macros/src/lib.rs") => 80,
            _ => 400,
        };
        let mut findings = too_long(text, limit);
        // A head that is longer than a screen stands in a Markdown file of its own.
        if !text.starts_with("//!") && !text.starts_with("#![doc = include_str!") {
            findings.push(":1: open with `//!`: what it owns, what not, where to go next".into());
        }
        findings
    })
}

fn documents() -> Result<Vec<String>> {
    judge(shell::files(".", "md")?, |path, text| {
        let limit = match path.to_str() {
            Some("README.md") => 150,
            Some("ARCHITECTURE.md") => 250,
            Some("CONTRIBUTING.md") => 120,
            Some(path) if path.starts_with("docs/decisions/") => 60,
            Some(path) if path.starts_with("docs/concepts/") => 150,
            Some(path) if path.starts_with("docs/guide/") => 200,
            _ => usize::MAX,
        };
        too_long(text, limit)
    })
}

fn too_long(text: &str, limit: usize) -> Vec<String> {
    let count = text.lines().count();
    let fault = format!(": {count} lines, at most {limit}; split it by what its parts own");
    if count > limit { vec![fault] } else { Vec::new() }
}

fn code_blocks() -> Result<Vec<String>> {
    let mut files = sources()?;
    files.extend(shell::files(".", "md")?);
    judge(files, |path, text| {
        let markdown = path.extension().is_some_and(|extension| extension == "md");
        lines(text, "let the example run, or use `text` or `no_run`", |line| {
            unchecked_block(line, markdown)
        })
    })
}

/// Whether a line opens a code block that rustdoc would pass over.
fn unchecked_block(line: &str, markdown: bool) -> bool {
    let line = line.trim_start();
    let text = if markdown {
        Some(line)
    } else {
        line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
    };
    text.and_then(|text| text.trim_start().strip_prefix("```")).is_some_and(|info| {
        info.split([',', ' ']).any(|word| word == "ignore" || word.starts_with("ignore-"))
    })
}

fn unfinished_code() -> Result<Vec<String>> {
    judge(sources()?, |_, text| {
        lines(text, "finish it, or open an issue and leave the code as it is meant", unfinished)
    })
}

fn unfinished(line: &str) -> bool {
    // In pieces, so that this file does not find itself.
    const WORDS: &[&str] = &[
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("#[ig", "nore]"),
        concat!("#[ig", "nore ="),
    ];
    WORDS.iter().any(|word| line.contains(word))
}

fn sql_in_its_rooms() -> Result<Vec<String>> {
    const ROOMS: &[&str] = &["crates/sqlite", "crates/postgres", "crates/xtask", "tests"];
    let mut files = sources()?;
    files.retain(|path| !ROOMS.iter().any(|room| path.starts_with(room)));
    judge(files, |_, text| lines(text, "SQL belongs to the crate of its backend", opens_sql))
}

fn opens_sql(line: &str) -> bool {
    let opens = |word| line.contains(word);
    opens("\"SELECT ")
        || opens("\"INSERT INTO")
        || opens("\"DELETE FROM")
        || (opens("\"UPDATE ") && opens(" SET "))
}

fn diagnostics_of_traits() -> Result<Vec<String>> {
    judge(shell::files("crates/core/src", "rs")?, |_, text| silent_traits(text))
}

/// Public traits that leave a user alone with the compiler's own words when nothing implements them.
fn silent_traits(text: &str) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let silent = |(index, line): (usize, &&str)| {
        let name = line.trim_start().strip_prefix("pub trait ")?;
        let before = all.get(index.saturating_sub(15)..index)?;
        let spoken = before.iter().any(|line| {
            line.contains("#[diagnostic::on_unimplemented") || line.contains("// tidy: ")
        });
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let number = index + 1;
        (!spoken).then(|| {
            format!(
                ":{number}: give `{name}` a `#[diagnostic::on_unimplemented(…)]`, \
                 or say why not after `// tidy: `"
            )
        })
    };
    all.iter().enumerate().filter_map(silent).collect()
}

fn migrations() -> Result<Vec<String>> {
    judge(shell::files("migrations", "sql")?, |_, text| {
        if says_its_risk(text) {
            return Vec::new();
        }
        vec![":1: open with a `--` comment that says safe or breaking, and what it locks".into()]
    })
}

/// Each guarantee names its test, and the test is there.
fn guarantees() -> Result<Vec<String>> {
    const PAGE: &str = "docs/concepts/delivery.md";
    let page = shell::read(Path::new(PAGE))?;
    let mut findings = rows_without_a_test(&page);
    for (file, test) in named_tests(&page) {
        let places = [format!("crates/{file}"), file.clone()];
        let place = places.iter().find(|place| shell::root().join(place).is_file());
        let is_there = match place {
            Some(place) => has_test(&shell::read(Path::new(place))?, test),
            None => false,
        };
        if !is_there {
            findings.push(format!(": there is no test `{file}::{test}`"));
        }
    }
    Ok(findings.into_iter().map(|finding| format!("{PAGE}{finding}")).collect())
}

/// The rows of tables with a column of tests that name none.
fn rows_without_a_test(page: &str) -> Vec<String> {
    let mut is_of_tests = false;
    lines(page, "say which test shows it, as `path/file.rs::test`", |line| {
        let is_head = line.ends_with("| Test |");
        is_of_tests = is_head || is_of_tests && line.starts_with('|');
        is_of_tests && !is_head && !line.starts_with("|-") && !line.contains(".rs::")
    })
}

fn named_tests(page: &str) -> Vec<(String, &str)> {
    let named = page.split('`').filter_map(|code| code.split_once(".rs::"));
    named.map(|(file, test)| (format!("{file}.rs"), test)).collect()
}

/// Whether a file has a test of this name, or a law, which each backend makes a test of.
fn has_test(text: &str, name: &str) -> bool {
    let is_test = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        let line = line.strip_prefix("fn ").unwrap_or(line);
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['(', ';', ' ']))
    };
    text.lines().any(is_test)
}

fn says_its_risk(migration: &str) -> bool {
    let head = migration.lines().map_while(|line| line.strip_prefix("--"));
    let head = head.collect::<Vec<_>>().join("\n").to_lowercase();
    head.contains("safe") || head.contains("breaking")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_failing_case_and_its_stderr_are_a_pair() {
        assert!(unpaired(&names(&["fail_a.rs", "fail_a.stderr", "pass_b.rs"])).is_empty());
    }

    #[test]
    fn each_half_of_a_pair_alone_is_found() {
        assert_eq!(unpaired(&names(&["fail_a.rs", "fail_b.stderr"])).len(), 2);
    }

    #[test]
    fn a_case_says_whether_it_passes() {
        assert_eq!(unpaired(&names(&["empty.rs"])).len(), 1);
    }

    #[test]
    fn a_file_may_be_as_long_as_its_budget_and_no_longer() {
        assert!(too_long("a\nb\n", 2).is_empty());
        assert_eq!(too_long("a\nb\nc", 2).len(), 1);
    }

    #[test]
    fn a_finding_carries_its_line_number() {
        assert_eq!(lines("a\nb\nb", "no", |line| line == "b"), [":2: no", ":3: no"]);
    }

    #[test]
    fn code_blocks_that_do_not_run_are_found() {
        assert!(unchecked_block("/// ```rust,ignore", false));
        assert!(unchecked_block("    //! ```ignore", false));
        assert!(unchecked_block("```ignore-windows", true));
    }

    #[test]
    fn code_blocks_that_run_and_words_in_prose_are_not() {
        assert!(!unchecked_block("/// ```no_run", false));
        assert!(!unchecked_block("let fence = \"```ignore\";", false));
        assert!(!unchecked_block("We ignore it.", true));
    }

    #[test]
    fn unfinished_code_is_found() {
        assert!(unfinished(concat!("    to", "do!()")));
        assert!(unfinished(concat!("#[ig", "nore = \"slow\"]")));
        assert!(!unfinished("let method = 1;"));
    }

    #[test]
    fn sql_in_a_string_is_found() {
        assert!(opens_sql("query(\"SELECT 1\")"));
        assert!(opens_sql("r#\"UPDATE messages SET id = 1\"#"));
        assert!(!opens_sql("\"UPDATE the guide\""));
        assert!(!opens_sql("// SELECT is what this does"));
    }

    #[test]
    fn a_public_trait_without_a_diagnostic_is_found() {
        assert_eq!(silent_traits("pub trait Store: Send {").len(), 1);
        assert!(silent_traits("#[diagnostic::on_unimplemented(\n)]\npub trait A {}").is_empty());
        assert!(silent_traits("// tidy: sealed\npub trait A {}").is_empty());
        assert!(silent_traits("pub(crate) trait A {}").is_empty());
    }

    #[test]
    fn a_migration_says_its_risk_in_its_head() {
        assert!(says_its_risk("-- no-transaction\n-- Safe while running.\nCREATE TABLE a (b);"));
        assert!(!says_its_risk("CREATE TABLE a (b); -- safe"));
    }

    #[test]
    fn a_guarantee_names_its_test() {
        let page = "| What | Test |\n|---|---|\n| a | `b/c.rs::d` |\n| e | none |\n\n| f | g |\n";
        assert_eq!(rows_without_a_test(page).len(), 1);
        assert_eq!(named_tests(page), [("b/c.rs".to_owned(), "d")]);
    }

    #[test]
    fn a_test_and_a_law_are_found_by_their_whole_name() {
        assert!(has_test("    async fn it_holds() -> Result {", "it_holds"));
        assert!(has_test("            it_holds needs Leases;", "it_holds"));
        assert!(has_test("            it_holds;", "it_holds"));
        assert!(!has_test("fn it_holds_often() {", "it_holds"));
    }
}
