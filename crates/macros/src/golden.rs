//! What a macro writes out, as a person reads it, held against `tests/expand/<macro>/<shape>.rs`.
//!
//! Owns the form of those files alone; each macro has its shapes at the foot of its own file.
//! `UPDATE_EXPECT=1 cargo test -p evenfold-macros` writes them anew: read what changed.

use expect_test::ExpectFile;
use proc_macro2::TokenStream;

/// Compares what was made of a piece of code with a golden file, which shows both.
#[expect(clippy::needless_pass_by_value, reason = "the tests read better")]
pub(crate) fn check(from: TokenStream, made: TokenStream, golden: ExpectFile) {
    let head = pretty(from).replace('\n', "\n//     ");
    let head = head.trim_end_matches(['/', ' ', '\n']);
    golden.assert_eq(&format!("// What is made of\n//\n//     {head}\n\n{}", pretty(made)));
}

fn pretty(tokens: TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(tokens).unwrap())
}
