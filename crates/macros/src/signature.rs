//! The signature of one method: which message it takes, and what to write where it takes none.
//!
//! Owns the one fault that a signature may have; its text is the whole signature to write. The
//! block around the methods is `methods.rs`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Ident, ImplItemFn, PathArguments, Receiver,
    ReceiverKind, ReturnType, Safety, Signature, Type,
};

use crate::diagnostics::Faults;

/// Which of the two attributes reads the block.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Reducer,
    Handler,
}

impl Kind {
    /// The word for it, which is the attribute's name too.
    pub(crate) fn word(self) -> &'static str {
        self.choose("reducer", "handler")
    }

    /// The keys that the attribute takes.
    pub(crate) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Reducer => &["skip", "crate"],
            Self::Handler => &["skip", "name", "crate"],
        }
    }

    /// The lints that would complain of a shape which the user has not chosen.
    pub(crate) fn allowed(self) -> TokenStream {
        match self {
            Self::Reducer => quote! {
                #[allow(
                    clippy::unused_self,
                    clippy::trivially_copy_pass_by_ref,
                    reason = "the shape of a reducer"
                )]
            },
            Self::Handler => quote! {
                #[allow(
                    clippy::unused_async,
                    clippy::unused_self,
                    reason = "the shape of a handler"
                )]
            },
        }
    }

    /// How a method of this name and message is written, with the parameter behind it or without.
    pub(crate) fn form(self, name: &str, message: &str, extra: bool) -> String {
        match self {
            Self::Reducer => {
                let extra = if extra { ", recorded: &Recorded" } else { "" };
                format!("fn {name}(&mut self, event: &{message}{extra})")
            }
            Self::Handler => {
                let extra = if extra { ", context: &mut Context" } else { "" };
                format!("async fn {name}(&self, message: Received<{message}>{extra})")
            }
        }
    }

    fn choose(self, reducer: &'static str, handler: &'static str) -> &'static str {
        match self {
            Self::Reducer => reducer,
            Self::Handler => handler,
        }
    }
}

/// One method and the message it takes.
pub(crate) struct Method {
    pub(crate) name: Ident,
    pub(crate) message: Type,
    /// The type of the parameter behind the message, if there is one.
    pub(crate) extra: Option<Type>,
    /// Where its return type stands, or its name when there is none.
    pub(crate) output: Span,
    /// The `cfg`s it stands under, which its impl shares.
    pub(crate) cfgs: Vec<Attribute>,
}

/// Reads a method, whatever its signature; a wrong one is one fault.
pub(crate) fn read_method(kind: Kind, method: &ImplItemFn, faults: &mut Faults) -> Option<Method> {
    let sig = &method.sig;
    let params: Vec<&Type> = sig.inputs.iter().skip(1).filter_map(type_of).collect();
    if let Some((place, what)) = misshapen(kind, sig, &params) {
        let form = form(kind, sig, &params);
        faults.on(&place, format!("{what}: write `{form}`, or move it to another impl block"));
    }
    Some(Method {
        name: sig.ident.clone(),
        message: message_of(kind, params.first()?)?.clone(),
        extra: params.get(1).copied().cloned(),
        output: match &sig.output {
            ReturnType::Type(_, ty) => ty.span(),
            ReturnType::Default => sig.ident.span(),
        },
        cfgs: method.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect(),
    })
}

/// What is wrong with a signature first, and where.
fn misshapen(kind: Kind, sig: &Signature, params: &[&Type]) -> Option<(TokenStream, &'static str)> {
    let receiver = kind.choose("a reducer takes `&mut self`", "a handler takes `&self`");
    let generic = sig.generics.params.iter().find(|p| !matches!(p, GenericParam::Lifetime(_)));
    let Some(FnArg::Receiver(this)) = sig.inputs.first() else {
        return Some((sig.ident.to_token_stream(), receiver));
    };
    let [message, extra @ ..] = params else {
        let what = kind.choose("a reducer takes an event", "a handler takes a message");
        return Some((sig.ident.to_token_stream(), what));
    };
    match (kind, &sig.asyncness) {
        (Kind::Reducer, Some(token)) => {
            return Some((token.to_token_stream(), "a reducer is not async"));
        }
        (Kind::Handler, None) => return Some((sig.ident.to_token_stream(), "a handler is async")),
        _ => {}
    }
    if !takes_self(kind, this) {
        return Some((this.to_token_stream(), receiver));
    }
    let found = message_of(kind, message);
    let any = found.filter(|found| matches!(found, Type::ImplTrait(_)));
    let generic = generic.map(ToTokens::to_token_stream);
    if let Some(place) = generic.or_else(|| any.map(ToTokens::to_token_stream)) {
        let what = kind.choose(
            "a reducer takes one type of event, so it is not generic",
            "a handler takes one type of message, so it is not generic",
        );
        return Some((place, what));
    }
    if matches!(sig.safety, Safety::Unsafe(_)) {
        let what = kind.choose("a reducer is not unsafe", "a handler is not unsafe");
        return Some((sig.safety.to_token_stream(), what));
    }
    if found.is_none() {
        let what = kind.choose(
            "a reducer takes its event by reference",
            "a handler takes its message as `Received<…>`, by value and not by an alias",
        );
        return Some((message.to_token_stream(), what));
    }
    let what = kind.choose(
        "a reducer takes `&Recorded` behind its event, and nothing more",
        "a handler takes `&mut Context` behind its message, and nothing more",
    );
    match extra {
        [] => None,
        [extra] => (!is_extra(kind, extra)).then(|| (extra.to_token_stream(), what)),
        [_, more, ..] => Some((more.to_token_stream(), what)),
    }
}

fn takes_self(kind: Kind, this: &Receiver) -> bool {
    match &this.kind {
        ReceiverKind::Reference(_, _, mutability) => {
            mutability.is_some() == (kind == Kind::Reducer)
        }
        _ => false,
    }
}

/// The message in the type of the first parameter: behind a reference, or in a `Received`.
fn message_of(kind: Kind, ty: &Type) -> Option<&Type> {
    match (kind, ungrouped(ty)) {
        (Kind::Reducer, Type::Reference(reference)) if reference.mutability.is_none() => {
            Some(ungrouped(&reference.elem))
        }
        (Kind::Reducer, _) => None,
        (Kind::Handler, ty) => argument_of(ty, "Received"),
    }
}

fn is_extra(kind: Kind, ty: &Type) -> bool {
    let Type::Reference(reference) = ungrouped(ty) else { return false };
    reference.mutability.is_some() == (kind == Kind::Handler)
}

/// The signature to write, as near to what is there as can be guessed.
fn form(kind: Kind, sig: &Signature, params: &[&Type]) -> String {
    let name = sig.ident.unraw().to_string();
    let found = params.first().map(|ty| bare(ungrouped(ty)));
    let found = found.map(|ty| argument_of(ty, "Received").unwrap_or(ty));
    let is_param = |ty: &Type| {
        let mut params = sig.generics.type_params();
        params.any(|param| matches!(ty, Type::Path(path) if path.path.is_ident(&param.ident)))
    };
    let message = match found {
        Some(ty @ Type::Path(_)) if !is_param(ty) => shown(ty),
        _ => upper_camel_case(&name),
    };
    kind.form(&name, &message, params.len() > 1)
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Reference(reference) => ungrouped(&reference.elem),
        other => other,
    }
}

fn upper_camel_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).collect::<String>()
    });
    words.collect()
}

fn type_of(input: &FnArg) -> Option<&Type> {
    match input {
        FnArg::Typed(typed) => Some(&typed.ty),
        FnArg::Receiver(_) => None,
    }
}

/// The type without the invisible brackets that a macro of the user's may put around it.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        other => other,
    }
}

/// The last type argument of a path that ends in this name: `M` of `evenfold::Received<M>`.
pub(crate) fn argument_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().rev().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ungrouped(ty)),
        _ => None,
    })
}

/// A type as a person writes it: no blanks but after a comma or a word.
pub(crate) fn shown(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let joins_words = shown.chars().last().is_some_and(is_word)
            && letters.peek().copied().is_some_and(is_word);
        if letter != ' ' || joins_words || shown.ends_with([',', ';']) {
            shown.push(letter);
        }
    }
    shown
}
