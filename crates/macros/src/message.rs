//! `#[derive(Message)]`: one struct, its type names and its wire form.
//!
//! Owns `#[message(…)]` and the `Message` impl. The serde side of it, the hidden struct, is in
//! `wire.rs`; the set of several messages is `messages.rs`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Field, Fields, LitStr, Type, WherePredicate, parse_quote};

use crate::attr::{args_of, check_name, plain_name, refuse_unknown, set_once};
use crate::diagnostics::Faults;
use crate::paths::Root;
use crate::signature::shown;
use crate::wire::{Wire, self_type, shadow_name};

const KEYS: &[&str] = &["type", "alias", "verbatim_keys", "crate"];

/// What `#[message(…)]` says.
struct Options {
    type_name: LitStr,
    aliases: Vec<LitStr>,
    verbatim_keys: bool,
    root: Root,
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(fault) => return fault.into_compile_error(),
    };
    let mut faults = Faults::new();
    let options = read_options(&input, &mut faults);
    let fields = read_fields(&input, &mut faults);
    let wire = Wire::read(&input.attrs, fields, &mut faults);
    check_keys(&options, &wire, &mut faults);
    let bounds = wire.bounds(&input, &options.root, &mut faults);
    match faults.finish() {
        None => expand(&input, &options, &wire, bounds),
        Some(faults) => {
            let fallback = fallback(&input, &options);
            quote!(#faults #fallback)
        }
    }
}

fn read_options(input: &DeriveInput, faults: &mut Faults) -> Options {
    let (mut type_name, mut verbatim, mut root, mut aliases) = (None, None, None, Vec::new());
    for arg in args_of(&input.attrs, ("message", KEYS), faults) {
        match &*arg.name() {
            "type" => {
                let text = arg.text("Deposited", faults);
                set_once(&mut type_name, text, &arg, faults);
            }
            "alias" => aliases.extend(arg.text("OldName", faults)),
            "verbatim_keys" => {
                arg.alone(faults);
                set_once(&mut verbatim, Some(()), &arg, faults);
            }
            "crate" => {
                let path = arg.path(faults);
                set_once(&mut root, path, &arg, faults);
            }
            _ => refuse_unknown("message", &arg.key, KEYS, faults),
        }
    }
    let type_name = type_name.unwrap_or_else(|| plain_name(&input.ident));
    check_name("the type of a message", &type_name, "Deposited", faults);
    check_aliases(&type_name, &aliases, faults);
    Options { type_name, aliases, verbatim_keys: verbatim.is_some(), root: Root::new(root) }
}

fn check_aliases(type_name: &LitStr, aliases: &[LitStr], faults: &mut Faults) {
    let mut known = vec![type_name.value()];
    for alias in aliases {
        check_name("an alias", alias, "OldName", faults);
        let name = alias.value();
        if name == type_name.value() {
            faults.on(alias, format!("`{name}` is the type already: an alias is an older name"));
        } else if known.contains(&name) {
            faults.on(alias, format!("the alias `{name}` is given twice: keep one"));
        }
        known.push(name);
    }
}

fn check_keys(options: &Options, wire: &Wire, faults: &mut Faults) {
    if let (true, Some(case)) = (options.verbatim_keys, wire.case()) {
        faults.on(case, "`verbatim_keys` and `rename_all` both say how keys are written: keep one");
    }
}

/// The named fields, none for a unit struct; what has no such fields is refused.
fn read_fields<'a>(input: &'a DeriveInput, faults: &mut Faults) -> Vec<&'a Field> {
    let name = &input.ident;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let advice = "a message owns its data: write `String` for `&str`, `Vec<T>` for `&[T]`";
        faults.on(lifetime, advice);
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                fields.named.iter().for_each(|field| refuse_message_attr(field, faults));
                return fields.named.iter().collect();
            }
            Fields::Unit => {}
            Fields::Unnamed(fields) => {
                let advice = "the fields of a message have names, which are the keys of its data";
                let types = fields.unnamed.iter().map(|field| &field.ty);
                let named = types.enumerate().map(|(place, ty)| named_field(place, ty));
                let named: Vec<String> = named.collect();
                let form = format!("write `struct {name} {{ {} }}`", named.join(", "));
                faults.on(fields, format!("{advice}: {form}"));
            }
        },
        Data::Enum(data) => faults.at(
            data.enum_token.span,
            "a message is a struct: write one for each variant, and `#[derive(Messages)]` on the \
             enum that lists them",
        ),
        Data::Union(data) => faults.at(
            data.union_token.span,
            format!("a message is a struct with named fields: write `struct {name} {{ … }}`"),
        ),
    }
    Vec::new()
}

fn named_field(place: usize, ty: &Type) -> String {
    let name = ["first", "second", "third"].get(place).copied().unwrap_or("another");
    format!("{name}: {}", shown(ty))
}

fn refuse_message_attr(field: &Field, faults: &mut Faults) {
    for attr in field.attrs.iter().filter(|attr| attr.path().is_ident("message")) {
        let advice = "`message` is for the struct: a field takes serde's attributes, such as \
                      `#[serde(rename = \"…\")]`";
        faults.on(attr.path(), advice);
    }
}

/// The impl, and beside it the hidden struct that serde derives for.
///
/// ```text
/// const _: () = {
///     #[derive(…)] struct __DataOfDeposited { amount: u64 }
///     impl Message for Deposited {
///         const TYPE: &'static str = "Deposited";
///         const ALIASES: &'static [&'static str] = &["OldName"];
///         fn to_data<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///             __DataOfDeposited::serialize(self, serializer)
///         }
///         fn from_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
///             __DataOfDeposited::deserialize(deserializer)
///         }
///     }
/// };
/// ```
fn expand(
    input: &DeriveInput,
    options: &Options,
    wire: &Wire,
    bounds: Vec<WherePredicate>,
) -> TokenStream {
    let Options { type_name, aliases, verbatim_keys, root } = options;
    let shadow = wire.shadow(input, root, *verbatim_keys);
    let data = shadow_name(&input.ident);
    let aliases = (!aliases.is_empty())
        .then(|| quote!(const ALIASES: &'static [&'static str] = &[#(#aliases),*];));
    let head = impl_head(input, root, bounds);
    quote! {
        const _: () = {
            #shadow

            #[automatically_derived]
            #head {
                const TYPE: &'static str = #type_name;
                #aliases

                fn to_data<__S>(&self, serializer: __S) -> ::core::result::Result<__S::Ok, __S::Error>
                where
                    __S: #root::serde::Serializer,
                {
                    #data::serialize(self, serializer)
                }

                fn from_data<'de, __D>(deserializer: __D) -> ::core::result::Result<Self, __D::Error>
                where
                    __D: #root::serde::Deserializer<'de>,
                {
                    #data::deserialize(deserializer)
                }
            }
        };
    }
}

/// `impl<T> Message for Noted<T> where …`
fn impl_head(input: &DeriveInput, root: &Root, bounds: Vec<WherePredicate>) -> TokenStream {
    let mut generics = input.generics.clone();
    let this = self_type(input);
    if !generics.params.is_empty() {
        let predicates = &mut generics.make_where_clause().predicates;
        predicates.extend(bounds);
        predicates.push(parse_quote!(#this: ::core::marker::Send + ::core::marker::Sync + 'static));
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote!(impl #impl_generics #root::Message for #this #where_clause)
}

/// An impl that keeps the uses of a faulty message from failing too.
fn fallback(input: &DeriveInput, options: &Options) -> TokenStream {
    let Options { type_name, root, .. } = options;
    let head = impl_head(input, root, Vec::new());
    quote! {
        #[automatically_derived]
        #head {
            const TYPE: &'static str = #type_name;

            fn to_data<__S>(&self, _: __S) -> ::core::result::Result<__S::Ok, __S::Error>
            where
                __S: #root::serde::Serializer,
            {
                ::core::unreachable!()
            }

            fn from_data<'de, __D>(_: __D) -> ::core::result::Result<Self, __D::Error>
            where
                __D: #root::serde::Deserializer<'de>,
            {
                ::core::unreachable!()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::derive;
    use crate::golden::check;

    fn made(item: TokenStream) -> (TokenStream, TokenStream) {
        (quote!(#[derive(Message)] #item), derive(item))
    }

    #[test]
    fn a_struct_gets_its_names_and_its_wire_form() {
        let (from, made) = made(quote! {
            #[message(type = "Deposited", alias = "PaidIn")]
            struct Deposit {
                /// In cents.
                amount_in_cents: u64,
                #[serde(rename = "text", default)]
                note: Option<String>,
            }
        });
        check(from, made, expect_file!["../tests/expand/message/struct.rs"]);
    }

    #[test]
    fn a_unit_struct_is_an_empty_object() {
        let (from, made) = made(quote!(
            struct Closed;
        ));
        check(from, made, expect_file!["../tests/expand/message/unit.rs"]);
    }

    #[test]
    fn a_generic_struct_is_bound_by_its_data() {
        let (from, made) = made(quote! {
            #[message(verbatim_keys, crate = ::es)]
            #[serde(default)]
            struct Noted<T: Clone, U> {
                notes: Vec<T>,
                unit: PhantomData<U>,
            }
        });
        check(from, made, expect_file!["../tests/expand/message/generic.rs"]);
    }

    #[test]
    fn a_fault_leaves_an_impl_behind() {
        let (from, made) = made(quote!(
            struct Deposited(u64);
        ));
        check(from, made, expect_file!["../tests/expand/message/fault.rs"]);
    }
}
