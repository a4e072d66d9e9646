//! What the macros refuse, and how it is told: `ui/<macro>/fail_<fault>.rs` and its `.stderr`.
//!
//! Owns the run alone. `TRYBUILD=overwrite cargo test -p evenfold --test ui` writes the texts anew;
//! read each of them: one fault, one error, on the user's tokens, and it says what to write.

use trybuild::TestCases;

/// Apart from those that compile: trybuild checks them all at once when none is to run.
#[test]
fn every_ui_case_of_a_fault_says_what_to_write() {
    TestCases::new().compile_fail("tests/ui/*/fail_*.rs");
}

#[test]
fn every_ui_case_of_a_sound_shape_compiles() {
    TestCases::new().pass("tests/ui/*/pass_*.rs");
}
