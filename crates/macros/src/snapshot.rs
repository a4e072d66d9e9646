//! `#[derive(Snapshot)]` and `#[derive(Shape)]`: the name of a state's snapshots, and the
//! fingerprint of what is kept of a type.
//!
//! Owns `#[snapshot(…)]` and what counts to a fingerprint. How it is computed is
//! `core/snapshot/shape.rs`; the wire form is serde's own derive, which the user writes.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Data, DeriveInput, Fields, GenericParam, Generics, Ident, LitInt, LitStr, Token,
    Variant, parse_quote,
};

use crate::attr::{Arg, args_of, check_name, plain_name, refuse_unknown, set_once};
use crate::diagnostics::Faults;
use crate::paths::Root;
use crate::wire::self_type;

const STATE_KEYS: &[&str] = &["name", "revision", "crate"];
const PART_KEYS: &[&str] = &["revision", "crate"];
const FIELD_KEYS: &[&str] = &["revision"];

/// What serde takes that names another form, by a type or a function that is not seen here.
const HIDING: &[&str] =
    &["from", "try_from", "into", "remote", "with", "serialize_with", "deserialize_with"];

/// What `#[snapshot(…)]` says of a type.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    revision: Option<LitInt>,
    root: Option<syn::Path>,
}

pub(crate) fn derive_shape(item: TokenStream) -> TokenStream {
    derive(item, PART_KEYS, |_, _| TokenStream::new())
}

pub(crate) fn derive_snapshot(item: TokenStream) -> TokenStream {
    derive(item, STATE_KEYS, expand_name)
}

/// The shape of a type, and with it what `more` makes of its name.
fn derive(
    item: TokenStream,
    keys: &[&str],
    more: impl Fn(&DeriveInput, &Options) -> TokenStream,
) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(fault) => return fault.into_compile_error(),
    };
    let mut faults = Faults::new();
    let options = read_options(&input.attrs, keys, &mut faults);
    let root = Root::new(options.root.clone());
    let parts = read_parts(&input, &options, &root, &mut faults);
    let (shape, more) = (expand_shape(&input, &options, &root, &parts), more(&input, &options));
    let faults = faults.finish();
    quote!(#faults #shape #more)
}

fn read_options(attrs: &[Attribute], keys: &[&str], faults: &mut Faults) -> Options {
    let mut options = Options::default();
    for arg in args_of(attrs, ("snapshot", keys), faults) {
        match &*arg.name() {
            "revision" => {
                let number = arg.number("2", faults);
                set_once(&mut options.revision, number, &arg, faults);
            }
            "name" if keys.contains(&"name") => {
                let text = arg.text("account", faults);
                set_once(&mut options.name, text, &arg, faults);
            }
            "crate" if keys.contains(&"crate") => {
                let path = arg.path(faults);
                set_once(&mut options.root, path, &arg, faults);
            }
            _ => refuse_unknown("snapshot", &arg.key, keys, faults),
        }
    }
    if let Some(name) = &options.name {
        check_name("the name of a snapshot", name, "account", faults);
        if name.value().contains(['-', ':']) {
            let advice = "streams are named by it, as in `account:snapshot-123`";
            faults.on(name, format!("the name of a snapshot holds no `-` and no `:`: {advice}"));
        }
    }
    options
}

/// The kind of a type, and the calls that take in what it is made of, in the order of its source.
struct Parts {
    kind: &'static str,
    calls: TokenStream,
}

fn read_parts(input: &DeriveInput, options: &Options, root: &Root, faults: &mut Faults) -> Parts {
    let counted = options.revision.is_some();
    refuse_hidden(&input.attrs, counted, "beside it", faults);
    let own = serde_of(&input.attrs);
    let (kind, parts) = match &input.data {
        Data::Struct(data) => ("struct", parts_of(&data.fields, root, faults)),
        Data::Enum(data) => {
            let variants = data.variants.iter().map(|variant| {
                refuse_hidden(&variant.attrs, counted, "on the enum", faults);
                part_of(variant, root, faults)
            });
            ("enum", variants.collect())
        }
        Data::Union(data) => {
            let advice = "serde has no form for it: write a struct or an enum";
            faults.at(data.union_token.span, format!("a union cannot be kept, {advice}"));
            ("union", TokenStream::new())
        }
    };
    Parts { kind, calls: quote!(#own #parts) }
}

fn part_of(variant: &Variant, root: &Root, faults: &mut Faults) -> TokenStream {
    // A variant takes nothing of its own, so that every key is told to be unknown.
    for attr in variant.attrs.iter().filter(|attr| attr.path().is_ident("snapshot")) {
        let advice = "`snapshot` is for the enum or a field: take it away from the variant";
        faults.on(attr.path(), advice);
    }
    let (name, serde) = (plain_name(&variant.ident), serde_of(&variant.attrs));
    let fields = parts_of(&variant.fields, root, faults);
    quote!(.text("variant").text(#name) #serde #fields)
}

fn parts_of(fields: &Fields, root: &Root, faults: &mut Faults) -> TokenStream {
    let mut parts = TokenStream::new();
    for (place, field) in fields.iter().enumerate() {
        let revision = read_options(&field.attrs, FIELD_KEYS, faults).revision;
        if serde_args(&field.attrs).iter().any(|arg| arg.name() == "skip") {
            continue;
        }
        refuse_hidden(&field.attrs, revision.is_some(), "beside it", faults);
        let name = field.ident.as_ref().map(plain_name);
        let name = name.unwrap_or_else(|| LitStr::new(&place.to_string(), Span::call_site()));
        let (serde, ty) = (serde_of(&field.attrs), &field.ty);
        let shape = revision.map(|number| quote!(#number));
        let shape = shape.unwrap_or_else(|| quote!(<#ty as #root::Shape>::SHAPE));
        parts.extend(quote!(.text(#name) #serde .part(#shape)));
    }
    parts
}

/// Refuses a form that the shape does not show, unless its changes are counted by a revision.
fn refuse_hidden(attrs: &[Attribute], counted: bool, place: &str, faults: &mut Faults) {
    let args = serde_args(attrs);
    let hiding = args.iter().find(|arg| HIDING.contains(&&*arg.name()));
    if let Some(arg) = hiding.filter(|_| !counted) {
        let what = format!("`{}` gives another form than the shape shows", arg.name());
        let advice = format!("say {place} how often that form has changed");
        faults.on(arg, format!("{what}: {advice}, `#[snapshot(revision = 1)]`"));
    }
}

/// What serde is told. What it does not understand it reports itself.
fn serde_args(attrs: &[Attribute]) -> Vec<Arg> {
    let parser = Punctuated::<Arg, Token![,]>::parse_terminated;
    let attrs = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    attrs.filter_map(|attr| attr.parse_args_with(parser).ok()).flatten().collect()
}

/// Serde's attributes, as part of the shape: they say how the same fields are written.
fn serde_of(attrs: &[Attribute]) -> Option<TokenStream> {
    let mut text = String::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        spell(attr.meta.to_token_stream(), &mut text);
    }
    (!text.is_empty()).then(|| quote!(.text(#text)))
}

/// Tokens as text, each followed by a blank: how a compiler prints them in a row may change.
fn spell(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                text.push_str("( ");
                spell(group.stream(), text);
                text.push_str(") ");
            }
            token => {
                text.push_str(&token.to_string());
                text.push(' ');
            }
        }
    }
}

/// ```text
/// impl Shape for Account {
///     const SHAPE: u64 = Outline::of("struct").text(module_path!()).text("Account")
///         .text("balance").part(<u64 as Shape>::SHAPE).finish();
/// }
/// ```
fn expand_shape(
    input: &DeriveInput,
    options: &Options,
    root: &Root,
    Parts { kind, calls }: &Parts,
) -> TokenStream {
    let (name, params) = (plain_name(&input.ident), params_of(&input.generics, root));
    let revision = options.revision.as_ref().map(|number| quote!(.text("revision").part(#number)));
    let (this, generics) = (self_type(input), with_shapes(input, root));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Shape for #this #where_clause {
            const SHAPE: u64 = #root::Outline::of(#kind)
                .text(::core::module_path!())
                .text(#name)
                #params
                #calls
                #revision
                .finish();
        }
    }
}

/// The parameters of a type: they tell two states apart whose fields are the same.
fn params_of(generics: &Generics, root: &Root) -> TokenStream {
    let params = generics.params.iter().map(|param| match param {
        GenericParam::Lifetime(_) => TokenStream::new(),
        GenericParam::Type(param) => {
            let name = &param.ident;
            quote!(.part(<#name as #root::Shape>::SHAPE))
        }
        GenericParam::Const(param) => {
            // At the user's place, lints would take the cast for the user's.
            let mut name: Ident = param.ident.clone();
            name.set_span(Span::call_site());
            quote!(.part(#name as u64))
        }
    });
    params.collect()
}

/// ```text
/// impl Snapshot for Account {
///     const NAME: &'static str = "account";
/// }
/// ```
fn expand_name(input: &DeriveInput, options: &Options) -> TokenStream {
    let root = Root::new(options.root.clone());
    let name = options.name.clone().unwrap_or_else(|| first_lower(&plain_name(&input.ident)));
    let (this, mut generics) = (self_type(input), with_shapes(input, &root));
    if !generics.params.is_empty() {
        generics.make_where_clause().predicates.push(parse_quote! {
            Self: #root::serde::Serialize
                + #root::serde::de::DeserializeOwned
                + ::core::marker::Send
                + 'static
        });
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Snapshot for #this #where_clause {
            const NAME: &'static str = #name;
        }
    }
}

fn with_shapes(input: &DeriveInput, root: &Root) -> Generics {
    let mut generics = input.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#root::Shape));
    }
    generics
}

/// `fundsTransfer` of `FundsTransfer`, as Eventide makes the name of an entity's stream.
fn first_lower(name: &LitStr) -> LitStr {
    let name = name.value();
    let mut letters = name.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
    LitStr::new(&format!("{first}{}", letters.as_str()), Span::call_site())
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use quote::quote;

    use super::{derive_shape, derive_snapshot};
    use crate::golden::check;

    #[test]
    fn a_state_gets_a_name_and_a_shape() {
        let item = quote! {
            #[serde(rename_all = "camelCase")]
            #[snapshot(revision = 2)]
            struct FundsTransfer {
                amount: u64,
                #[serde(rename = "to")]
                target: Option<AccountId>,
                #[snapshot(revision = 1)]
                rate: Decimal,
                #[serde(skip)]
                seen: Instant,
                #[serde(default = "now", skip)]
                read: Instant,
                #[serde(with = "text")]
                #[snapshot(revision = 4)]
                note: Note,
            }
        };
        let made = derive_snapshot(item.clone());
        let golden = expect_file!["../tests/expand/snapshot/struct.rs"];
        check(quote!(#[derive(Snapshot)] #item), made, golden);
    }

    #[test]
    fn a_part_gets_a_shape_alone() {
        let item = quote! {
            enum Held<T: Clone> {
                Nothing,
                Some(T, u32),
                All { of: Vec<T> },
            }
        };
        let made = derive_shape(item.clone());
        let golden = expect_file!["../tests/expand/snapshot/part.rs"];
        check(quote!(#[derive(Shape)] #item), made, golden);
    }

    #[test]
    fn a_generic_state_is_kept_where_what_it_holds_is() {
        let item = quote! {
            #[snapshot(name = "held", crate = ::es)]
            struct Held<T, const SIZE: usize>(T);
        };
        let made = derive_snapshot(item.clone());
        let golden = expect_file!["../tests/expand/snapshot/generic.rs"];
        check(quote!(#[derive(Snapshot)] #item), made, golden);
    }
}
