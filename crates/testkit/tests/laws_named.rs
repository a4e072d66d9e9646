//! Every law that the docs of a store's traits name has a proof in the suite.
//!
//! Both are read as text: `- *Atomic batch.*` in the docs, `/// *Atomic batch*` above a proof.

use std::path::Path;
use std::{fs, io};

/// The texts between `*` and `*` that begin with a capital, without a full stop.
fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_start).filter(|line| line.starts_with("///"));
    lines
        .flat_map(|line| line.split('*').skip(1).step_by(2))
        .map(|name| name.trim_end_matches('.').to_owned())
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect()
}

fn read(folder: &str) -> io::Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut text = String::new();
    for file in fs::read_dir(folder)? {
        text.push_str(&fs::read_to_string(file?.path())?);
    }
    Ok(text)
}

#[test]
fn every_law_in_the_docs_of_a_store_has_a_proof() -> io::Result<()> {
    let mut laws = names(&read("../core/src/store")?);
    laws.dedup();
    assert!(laws.len() >= 20, "the laws were not found in the docs: {laws:?}");
    let proven = names(&read("src/conformance")?);
    let unproven: Vec<_> = laws.iter().filter(|law| !proven.contains(law)).collect();
    assert!(unproven.is_empty(), "laws without a proof: {unproven:?}");
    Ok(())
}
