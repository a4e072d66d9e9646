//! An impl block read once, for both attributes: which method is for which message.
//!
//! Owns the arguments `(Set, skip(…), …)`, the shapes of methods, and what stands around the
//! expansion: the user's block as it is, then the impls. What the impls are is in `reducer.rs`
//! and `handler.rs`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{ImplItem, ItemImpl, LitStr, Token, Type};

use crate::attr::{check_name, parse_args, refuse_unknown, set_once};
use crate::diagnostics::Faults;
use crate::paths::{Root, placed};
use crate::signature::{Kind, Method, read_method, shown};

/// What the attribute says.
pub(crate) struct Args {
    pub(crate) set: Type,
    pub(crate) skips: Vec<Type>,
    pub(crate) name: Option<LitStr>,
    pub(crate) root: Root,
}

/// A block without faults.
pub(crate) struct Block {
    pub(crate) args: Args,
    pub(crate) item: ItemImpl,
    pub(crate) methods: Vec<Method>,
}

/// Reads arguments and block, and writes the block out again with what `expand` or, beside a
/// fault, `fallback` makes of it.
pub(crate) fn attribute(
    kind: Kind,
    (args, item): (TokenStream, TokenStream),
    expand: fn(&Block) -> TokenStream,
    fallback: fn(&Args, &ItemImpl) -> TokenStream,
) -> TokenStream {
    let mut faults = Faults::new();
    let args = read_args(kind, &args, &mut faults);
    let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) else {
        let word = kind.word();
        let form = format!("write `#[{word}(AccountEvent)] impl Account {{ … }}`");
        faults.at(Span::call_site(), format!("a {word} is an impl block: {form}"));
        let faults = faults.finish();
        return quote!(#item #faults);
    };
    let methods = read_methods(kind, &block, &mut faults);
    refuse_empty(kind, args.as_ref(), &block, &mut faults);
    if let Some(args) = &args {
        check_messages(kind, args, &methods, &mut faults);
    }
    let made = match (faults.finish(), args) {
        (None, Some(args)) => expand(&Block { args, item: block, methods }),
        (faults, Some(args)) if block.trait_.is_none() => {
            let fallback = fallback(&args, &block);
            quote!(#faults #fallback)
        }
        (faults, _) => quote!(#faults),
    };
    let allowed = kind.allowed();
    quote!(#allowed #item #made)
}

fn read_args(kind: Kind, tokens: &TokenStream, faults: &mut Faults) -> Option<Args> {
    let split = |input: ParseStream<'_>| {
        let set: Type = input.parse()?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok((set, input.parse::<TokenStream>()?))
    };
    let word = kind.word();
    let Ok((set, rest)) = split.parse2(tokens.clone()) else {
        let form = format!("write `#[{word}(AccountEvent)]`");
        let span = if tokens.is_empty() { Span::call_site() } else { tokens.span() };
        faults.at(span, format!("a {word} begins with its set of messages: {form}"));
        return None;
    };
    let (mut skips, mut name, mut root) = (Vec::new(), None, None);
    for arg in parse_args(rest, (word, kind.keys()), faults) {
        match &*arg.name() {
            "skip" => skips.extend(arg.types(faults)),
            "name" if kind == Kind::Handler => {
                let text = arg.text("Teller", faults);
                set_once(&mut name, text, &arg, faults);
            }
            "crate" => {
                let path = arg.path(faults);
                set_once(&mut root, path, &arg, faults);
            }
            _ => refuse_unknown(word, &arg.key, kind.keys(), faults),
        }
    }
    if let Some(name) = &name {
        check_name("the name of a handler", name, "Teller", faults);
    }
    Some(Args { set, skips, name, root: Root::new(root) })
}

fn read_methods(kind: Kind, block: &ItemImpl, faults: &mut Faults) -> Vec<Method> {
    let word = kind.word();
    if let Some((path, _)) = &block.trait_ {
        let form = format!("write `impl {} {{ … }}`", shown(&block.self_ty));
        faults.on(path, format!("a {word} is an impl block without a trait: {form}"));
        return Vec::new();
    }
    let mut methods = Vec::new();
    for item in &block.items {
        if let ImplItem::Fn(method) = item {
            methods.extend(read_method(kind, method, faults));
        } else {
            let advice = "move everything else to another impl block";
            faults.on(item, format!("every item of this block is a {word}: {advice}"));
        }
    }
    methods
}

/// A block that does nothing is a mistake, unless it says so by `skip`.
fn refuse_empty(kind: Kind, args: Option<&Args>, block: &ItemImpl, faults: &mut Faults) {
    let skips = args.is_none_or(|args| !args.skips.is_empty());
    if block.items.is_empty() && block.trait_.is_none() && !skips {
        let (word, form) = (kind.word(), kind.form("deposited", "Deposited", false));
        let advice = format!("write `{form} {{ … }}`, or skip messages by `skip(Deposited)`");
        faults.on(&block.self_ty, format!("this block has no {word}: {advice}"));
    }
}

/// That each message is named once, by a method or by `skip`. Methods under a `cfg` may stand in for
/// each other, so of those rustc judges.
fn check_messages(kind: Kind, args: &Args, methods: &[Method], faults: &mut Faults) {
    let word = kind.word();
    let mut known: Vec<(String, String)> = Vec::new();
    let methods = methods.iter().filter(|method| method.cfgs.is_empty());
    let methods = methods.map(|method| (&method.message, format!("`{}`", method.name.unraw())));
    let skips = args.skips.iter().map(|skip| (skip, "`skip`".to_owned()));
    for (message, place) in methods.chain(skips) {
        let text = shown(message);
        if let Some((_, first)) = known.iter().find(|(other, _)| *other == text) {
            let advice = format!("`{text}` has its {word} in {first} already: take one out");
            faults.on(message, advice);
        }
        known.push((text, place));
    }
}

impl Args {
    /// Whether a message is skipped, by its type name or an alias; nothing where none is.
    pub(crate) fn skips_fn(&self) -> Option<TokenStream> {
        let Self { skips, root, .. } = self;
        (!skips.is_empty()).then(|| {
            quote! {
                fn skips(message_type: &str) -> bool {
                    #(#root::is_named::<#skips>(message_type))||*
                }
            }
        })
    }
}

impl Block {
    /// The where clause of the block, and these predicates of ours.
    pub(crate) fn where_clause(&self, ours: &[TokenStream]) -> TokenStream {
        let own = self.item.generics.where_clause.iter().flat_map(|clause| &clause.predicates);
        let predicates: Vec<_> = own.map(ToTokens::to_token_stream).chain(ours.to_vec()).collect();
        if predicates.is_empty() { TokenStream::new() } else { quote!(where #(#predicates,)*) }
    }

    /// That the message is of the set, told on the message.
    pub(crate) fn included(&self, message: &Type) -> TokenStream {
        let Args { set, root, .. } = &self.args;
        placed(message.span(), quote!(#set: #root::Includes<#message>))
    }
}
