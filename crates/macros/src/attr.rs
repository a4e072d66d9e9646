//! What stands inside an attribute: `type = "Deposited", skip(Closed), verbatim_keys`.
//!
//! Owns the reading of it, key by key, so that one wrong key does not hide the next. Not which
//! keys a macro takes: that is in the file of the macro.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, LitInt, LitStr, Meta, Token, Type, parenthesized, token};

use crate::diagnostics::{Faults, listed};

/// One key and what is given with it.
pub(crate) struct Arg {
    pub(crate) key: Ident,
    given: Given,
}

enum Given {
    Nothing,
    Value(Token![=], TokenStream),
    List(token::Paren, TokenStream),
}

impl Arg {
    /// The key as text, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.key.unraw().to_string()
    }

    /// The text of `key = "text"`; `example` is a text that would do.
    pub(crate) fn text(&self, example: &str, faults: &mut Faults) -> Option<LitStr> {
        let value = match &self.given {
            Given::Value(_, value) => syn::parse2::<LitStr>(value.clone()).ok(),
            Given::Nothing | Given::List(..) => None,
        };
        if value.is_none() {
            let key = self.name();
            faults.on(self, format!("`{key}` takes a text: write `{key} = \"{example}\"`"));
        }
        value
    }

    /// The number of `key = 2`; `example` is a number that would do.
    pub(crate) fn number(&self, example: &str, faults: &mut Faults) -> Option<LitInt> {
        let value = match &self.given {
            Given::Value(_, value) => syn::parse2::<LitInt>(value.clone()).ok(),
            Given::Nothing | Given::List(..) => None,
        };
        let value = value.filter(|number| number.base10_parse::<u64>().is_ok());
        if value.is_none() {
            let key = self.name();
            faults.on(self, format!("`{key}` takes a number: write `{key} = {example}`"));
        }
        value
    }

    /// Whether it is this key, and nothing is given with it.
    pub(crate) fn is_alone(&self, key: &str) -> bool {
        matches!(self.given, Given::Nothing) && self.name() == key
    }

    /// That nothing is given with a key that stands alone.
    pub(crate) fn alone(&self, faults: &mut Faults) {
        if !matches!(self.given, Given::Nothing) {
            let key = self.name();
            faults.on(self, format!("`{key}` takes no value: write `{key}`"));
        }
    }

    /// The path of `crate = path`.
    pub(crate) fn path(&self, faults: &mut Faults) -> Option<syn::Path> {
        let value = match &self.given {
            Given::Value(_, value) => syn::Path::parse_mod_style.parse2(value.clone()).ok(),
            Given::Nothing | Given::List(..) => None,
        };
        if value.is_none() {
            faults.on(self, "`crate` takes the path of evenfold: write `crate = ::evenfold`");
        }
        value
    }

    /// The types of `skip(A, B)`.
    pub(crate) fn types(&self, faults: &mut Faults) -> Vec<Type> {
        let parser = Punctuated::<Type, Token![,]>::parse_terminated;
        let types = match &self.given {
            Given::List(_, list) => parser.parse2(list.clone()).ok(),
            Given::Nothing | Given::Value(..) => None,
        };
        let types: Vec<Type> = types.into_iter().flatten().collect();
        if types.is_empty() {
            let key = self.name();
            faults.on(self, format!("`{key}` takes messages: write `{key}(Closed)`"));
        }
        types
    }

    /// The text of `key = "text"`, or those of `key(one = "text", other = "text")`: what serde's
    /// `bound` takes.
    pub(crate) fn texts(&self) -> Vec<LitStr> {
        match &self.given {
            Given::Nothing => Vec::new(),
            Given::Value(_, value) => syn::parse2(value.clone()).into_iter().collect(),
            Given::List(_, list) => {
                let args = Punctuated::<Self, Token![,]>::parse_terminated.parse2(list.clone());
                args.into_iter().flatten().flat_map(|arg| arg.texts()).collect()
            }
        }
    }
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.call(Ident::parse_any)?;
        let given = if input.peek(Token![=]) {
            Given::Value(input.parse()?, until_comma(input)?)
        } else if input.peek(token::Paren) {
            let list;
            Given::List(parenthesized!(list in input), list.parse()?)
        } else {
            Given::Nothing
        };
        Ok(Self { key, given })
    }
}

fn until_comma(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

impl ToTokens for Arg {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.key.to_tokens(tokens);
        match &self.given {
            Given::Nothing => {}
            Given::Value(equals, value) => {
                equals.to_tokens(tokens);
                value.to_tokens(tokens);
            }
            Given::List(paren, list) => paren.surround(tokens, |tokens| list.to_tokens(tokens)),
        }
    }
}

/// The arguments of every `#[name(…)]` among the attributes; `legal` are the keys it takes.
pub(crate) fn args_of(
    attrs: &[Attribute],
    (name, legal): (&str, &[&str]),
    faults: &mut Faults,
) -> Vec<Arg> {
    let mut args = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(name)) {
        let Meta::List(list) = &attr.meta else {
            let advice = format!("`#[{name}(…)]` takes {}", listed(legal, "and"));
            faults.on(&attr.meta, format!("`{name}` takes arguments in brackets: {advice}"));
            continue;
        };
        args.extend(parse_args(list.tokens.clone(), (name, legal), faults));
    }
    args
}

/// Arguments from bare tokens.
pub(crate) fn parse_args(
    tokens: TokenStream,
    (name, legal): (&str, &[&str]),
    faults: &mut Faults,
) -> Vec<Arg> {
    let parser = Punctuated::<Arg, Token![,]>::parse_terminated;
    let args = parser.parse2(tokens).map_err(|fault| {
        let advice = format!("`#[{name}(…)]` takes {}", listed(legal, "and"));
        syn::Error::new(fault.span(), format!("no key stands here: {advice}"))
    });
    faults.keep(args).into_iter().flatten().collect()
}

/// Puts a value where there is none yet; a second one is a fault.
pub(crate) fn set_once<T>(slot: &mut Option<T>, value: Option<T>, arg: &Arg, faults: &mut Faults) {
    let Some(value) = value else { return };
    if slot.is_some() {
        faults.on(arg, format!("`{}` is given twice: keep one", arg.name()));
    } else {
        *slot = Some(value);
    }
}

/// Refuses a key that a macro does not know, with the nearest one that it does.
pub(crate) fn refuse_unknown(macro_name: &str, key: &Ident, legal: &[&str], faults: &mut Faults) {
    let found = key.unraw().to_string();
    let distance = |word: &&&str| strsim::damerau_levenshtein(word, &found.to_lowercase());
    let near = |word: &&&str| distance(word) <= 1 + word.len() / 4;
    let advice = match legal.iter().filter(near).min_by_key(distance) {
        Some(nearest) => format!("did you mean `{nearest}`"),
        None => format!("`#[{macro_name}(…)]` takes {}", listed(legal, "and")),
    };
    faults.on(key, format!("unknown key `{found}`: {advice}"));
}

/// Refuses a name that is empty or holds what no store takes.
pub(crate) fn check_name(what: &str, text: &LitStr, example: &str, faults: &mut Faults) {
    let name = text.value();
    if name.is_empty() {
        faults.on(text, format!("{what} is not empty: write for example `\"{example}\"`"));
    } else if name.contains('\0') {
        faults.on(text, format!("{what} holds no NUL character: take it out"));
    }
}

/// `AccountOpened` of `r#AccountOpened`: the name as text.
pub(crate) fn plain_name(ident: &Ident) -> LitStr {
    LitStr::new(&ident.unraw().to_string(), Span::call_site())
}
