//! The bag of faults: all of them are shown at once, and none can be forgotten.
//!
//! Owns how faults are gathered. Not their texts: each stands where the fault is found, and says
//! on the user's tokens what to write.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The faults found so far. It must be finished: dropping it unasked would lose them.
pub(crate) struct Faults {
    found: Option<syn::Error>,
    finished: bool,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { found: None, finished: false }
    }

    /// A fault that underlines these tokens.
    pub(crate) fn on(&mut self, tokens: &impl ToTokens, text: impl Display) {
        self.push(syn::Error::new_spanned(tokens, text));
    }

    /// A fault at one place.
    pub(crate) fn at(&mut self, span: Span, text: impl Display) {
        self.push(syn::Error::new(span, text));
    }

    pub(crate) fn push(&mut self, fault: syn::Error) {
        match &mut self.found {
            Some(found) => found.combine(fault),
            None => self.found = Some(fault),
        }
    }

    /// Whether there is one already.
    pub(crate) fn any(&self) -> bool {
        self.found.is_some()
    }

    /// The value, or none and a fault in the bag.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|fault| self.push(fault)).ok()
    }

    /// What to write out for the faults, or none when there are none.
    pub(crate) fn finish(mut self) -> Option<TokenStream> {
        self.finished = true;
        self.found.take().map(syn::Error::into_compile_error)
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let excused = self.finished || std::thread::panicking();
        assert!(excused, "a bag of faults was dropped and not finished");
    }
}

/// `a`, `b` or `c`, each in backticks.
pub(crate) fn listed(words: &[&str], joint: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {joint} {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_shown() {
        let mut faults = Faults::new();
        faults.at(Span::call_site(), "the first");
        faults.on(&quote::quote!(a b), "the second");
        let shown = faults.finish().unwrap().to_string();
        assert!(shown.contains("the first") && shown.contains("the second"), "{shown}");
    }

    #[test]
    #[should_panic(expected = "not finished")]
    fn a_bag_that_is_dropped_panics() {
        Faults::new().at(Span::call_site(), "lost");
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(listed(&["a"], "or"), "`a`");
        assert_eq!(listed(&["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
