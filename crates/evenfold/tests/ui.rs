//! What the macros refuse, and how it is told: `ui/<macro>/fail_<fault>.rs` and its `.stderr`.
//!
//! Owns the run alone. `TRYBUILD=overwrite cargo test -p evenfold --test ui` writes the texts anew;
//! read each of them: one fault, one error, on the user's tokens, and it says what to write.

#[test]
fn every_fault_says_what_to_write() {
    let cases = trybuild::TestCases::new();
    for of_macro in ["message", "messages", "reducer", "handler"] {
        cases.pass(format!("tests/ui/{of_macro}/pass_*.rs"));
        cases.compile_fail(format!("tests/ui/{of_macro}/fail_*.rs"));
    }
}
