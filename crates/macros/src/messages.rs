//! `#[derive(Messages)]`: the enum that lists the messages of a category and closes the set.
//!
//! Owns `#[messages(…)]`, the shape of the enum, and what of it is refused. What a set gives is in
//! `set.rs`; what one message is, in `message.rs`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Fields, Ident, LitStr, Type, Variant};

use crate::attr::{args_of, check_name, refuse_unknown, set_once};
use crate::diagnostics::Faults;
use crate::paths::Root;
use crate::set::{expand, fallback};
use crate::signature::{argument_of, shown};

const KEYS: &[&str] = &["category", "crate"];

/// A set as it is written: a name and a type for each message.
pub(crate) struct Set {
    pub(crate) ident: Ident,
    pub(crate) category: LitStr,
    pub(crate) variants: Vec<(Ident, Type)>,
    pub(crate) root: Root,
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(fault) => return fault.into_compile_error(),
    };
    let mut faults = Faults::new();
    let (category, root) = read_options(&input, &mut faults);
    refuse_generics(&input, &mut faults);
    let variants = match &input.data {
        Data::Enum(data) => read_variants(data, &input.ident, &mut faults),
        Data::Struct(_) | Data::Union(_) => {
            let form = "write `enum AccountEvent { Deposited(Deposited) }`";
            faults.on(&input.ident, format!("a set of messages is an enum: {form}"));
            Vec::new()
        }
    };
    let category = category.unwrap_or_else(|| LitStr::new("none", Span::call_site()));
    let set = Set { ident: input.ident.clone(), category, variants, root };
    match faults.finish() {
        None => expand(&set),
        Some(faults) => {
            let fallback = fallback(&set, &input);
            quote!(#faults #fallback)
        }
    }
}

fn read_options(input: &DeriveInput, faults: &mut Faults) -> (Option<LitStr>, Root) {
    let (mut category, mut root) = (None, None);
    for arg in args_of(&input.attrs, ("messages", KEYS), faults) {
        match &*arg.name() {
            "category" => {
                let text = arg.text("account", faults);
                set_once(&mut category, text, &arg, faults);
            }
            "crate" => {
                let path = arg.path(faults);
                set_once(&mut root, path, &arg, faults);
            }
            _ => refuse_unknown("messages", &arg.key, KEYS, faults),
        }
    }
    match &category {
        Some(text) => check_category(text, faults),
        // It stands there and was refused, or it is under the mistyped key.
        None if faults.any() => {}
        None => {
            let form = "write `#[messages(category = \"account\")]` above the enum";
            faults.on(&input.ident, format!("a set of messages names its category: {form}"));
        }
    }
    (category, Root::new(root))
}

fn check_category(text: &LitStr, faults: &mut Faults) {
    check_name("a category", text, "account", faults);
    let name = text.value();
    if name.contains('-') {
        let advice = format!("a hyphen begins the entity id: write `\"{}\"`", camel_case(&name));
        faults.on(text, format!("a category holds no hyphen, {advice}"));
    }
}

/// `funds-transfer` becomes `fundsTransfer`, the casing of Eventide's categories.
fn camel_case(text: &str) -> String {
    let mut words = text.split('-').filter(|word| !word.is_empty());
    let mut name = words.next().unwrap_or("category").to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
    }
    name
}

fn refuse_generics(input: &DeriveInput, faults: &mut Faults) {
    if !input.generics.params.is_empty() {
        let advice = "a set is closed, so it has no parameters: name the types it is made of";
        faults.on(&input.generics, format!("{advice}, such as `Noted(Noted<String>)`"));
    }
}

fn read_variants(data: &DataEnum, set: &Ident, faults: &mut Faults) -> Vec<(Ident, Type)> {
    if data.variants.is_empty() {
        let form = format!("write `enum {set} {{ Deposited(Deposited) }}`");
        faults.on(set, format!("a set holds at least one message: {form}"));
    }
    let mut variants: Vec<(Ident, Type)> = Vec::new();
    for variant in &data.variants {
        let Some(ty) = read_variant(variant, faults) else { continue };
        let text = shown(&ty);
        if let Some((first, _)) = variants.iter().find(|(_, other)| shown(other) == text) {
            let advice = format!("`{text}` is in the set as `{first}` already: take one out");
            faults.on(variant, advice);
            continue;
        }
        variants.push((variant.ident.clone(), ty));
    }
    variants
}

fn read_variant(variant: &Variant, faults: &mut Faults) -> Option<Type> {
    let name = &variant.ident;
    let form = format!("write `{name}({name})`");
    if let Some(attr) = variant.attrs.iter().find(|attr| attr.path().is_ident("messages")) {
        faults.on(attr.path(), "`messages` is for the enum: take it away from the variant");
    }
    match &variant.fields {
        Fields::Unnamed(fields) => match fields.unnamed.first() {
            Some(field) if fields.unnamed.len() == 1 => {
                if let Some(message) = argument_of(&field.ty, "Box") {
                    let advice = format!("write `{name}({})`", shown(message));
                    faults.on(&field.ty, format!("a set holds messages without a box: {advice}"));
                }
                return Some(field.ty.clone());
            }
            _ => faults.on(variant, format!("a variant holds exactly one message: {form}")),
        },
        Fields::Named(_) => {
            let advice = "the fields stand in a struct with `#[derive(Message)]`";
            faults.on(variant, format!("a variant holds one message: {form}, {advice}"));
        }
        Fields::Unit => faults.on(variant, format!("a variant holds one message: {form}")),
    }
    None
}
