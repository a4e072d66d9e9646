//! Where generated code finds evenfold: `::evenfold::__private`, or under another name.
//!
//! Owns the `crate = path` override. Everything generated goes through the `__private` module of
//! that one path, so that a user needs no other dependency and the facade may move its items. The
//! override is all there is for a renamed dependency: looking the name up in the user's manifest
//! (as `proc-macro-crate` does) reads files at every expansion and guesses in workspaces, to save
//! a word in the rare crate that renames.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{LitStr, Path, parse_quote};

/// The path of evenfold's `__private` module, ready for `quote!`.
#[derive(Clone)]
pub(crate) struct Root(Path);

impl Root {
    /// Under the path of `crate = path`, or under `::evenfold`.
    pub(crate) fn new(given: Option<Path>) -> Self {
        let base = given.unwrap_or_else(|| parse_quote!(::evenfold));
        Self(parse_quote!(#base::__private))
    }

    /// The path as if the user had written it here.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        let at = self.to_token_stream().into_iter().map(|mut token| {
            token.set_span(span);
            token
        });
        at.collect()
    }

    /// The path of serde as the text that serde's `crate` attribute takes.
    pub(crate) fn serde_text(&self) -> LitStr {
        let path: String = quote!(#self::serde).to_string().split(' ').collect();
        LitStr::new(&path, Span::call_site())
    }
}

/// The tokens at a place of the user's, so that what rustc finds wrong with them is told there.
///
/// They are still tokens of an expansion: no lint of the user's is for them.
pub(crate) fn placed(span: Span, tokens: TokenStream) -> TokenStream {
    let placed = tokens.into_iter().map(|mut token| {
        let place = token.span().located_at(span);
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), placed(span, group.stream())).into();
        }
        token.set_span(place);
        token
    });
    placed.collect()
}

/// A call at a place of the user's; its arguments keep their own.
pub(crate) fn call(span: Span, function: TokenStream, args: TokenStream) -> TokenStream {
    let mut brackets = Group::new(Delimiter::Parenthesis, args);
    brackets.set_span(Span::call_site().located_at(span));
    let mut call = placed(span, function);
    call.extend([TokenTree::from(brackets)]);
    call
}

impl ToTokens for Root {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}
