//! The wire form of a message: the hidden struct that serde derives for.
//!
//! Owns what is passed on to serde, what of it is refused, and the bounds of a generic message. Not
//! the `Message` impl that calls it: that is `message.rs`.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, DeriveInput, Field, Ident, LitStr, Path, Token, Type, WherePredicate, parse_quote,
};

use crate::attr::{Arg, args_of, plain_name, refuse_unknown};
use crate::diagnostics::Faults;
use crate::paths::Root;

/// Container attributes of serde that only change keys, defaults and bounds.
const STRUCT_KEYS: &[&str] =
    &["default", "deny_unknown_fields", "rename_all", "bound", "expecting"];

/// Attributes of serde on a field.
const FIELD_KEYS: &[&str] = &[
    "rename",
    "alias",
    "default",
    "flatten",
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "skip_serializing_if",
    "serialize_with",
    "deserialize_with",
    "with",
    "borrow",
    "bound",
];

/// What serde is told of a message.
pub(crate) struct Wire {
    args: Vec<Arg>,
    fields: Vec<WireField>,
}

/// A field with what serde is told of it.
struct WireField {
    ident: Option<Ident>,
    ty: Type,
    args: Vec<Arg>,
}

impl WireField {
    fn read(field: &Field, faults: &mut Faults) -> Self {
        let args = args_of(&field.attrs, ("serde", FIELD_KEYS), faults);
        for arg in &args {
            match &*arg.name() {
                "flatten" | "skip" | "skip_serializing" | "skip_deserializing" => arg.alone(faults),
                "default" if !arg.is_alone("default") => drop(arg.text("path", faults)),
                "skip_serializing_if" => drop(arg.text("Option::is_none", faults)),
                "serialize_with" | "deserialize_with" => drop(arg.text("path", faults)),
                "with" => drop(arg.text("module", faults)),
                "alias" => drop(arg.text("oldKey", faults)),
                "rename" | "bound" if arg.texts().is_empty() => drop(arg.text("key", faults)),
                known if FIELD_KEYS.contains(&known) => {}
                _ => refuse_unknown("serde", &arg.key, FIELD_KEYS, faults),
            }
        }
        Self { ident: field.ident.clone(), ty: field.ty.clone(), args }
    }

    fn has(&self, names: &[&str]) -> bool {
        self.args.iter().any(|arg| names.contains(&&*arg.name()))
    }
}

impl Wire {
    /// Reads what is said to serde of the struct and its fields.
    pub(crate) fn read<'a>(
        attrs: &[Attribute],
        fields: impl IntoIterator<Item = &'a Field>,
        faults: &mut Faults,
    ) -> Self {
        let mut args = args_of(attrs, ("serde", STRUCT_KEYS), faults);
        args.retain(|arg| is_passed_on(arg, faults));
        let fields = fields.into_iter().map(|field| WireField::read(field, faults)).collect();
        Self { args, fields }
    }

    /// Where the user says how keys are cased.
    pub(crate) fn case(&self) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.name() == "rename_all")
    }

    /// The hidden struct.
    ///
    /// ```text
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(crate = "…", remote = "Deposited", rename_all = "camelCase")]
    /// struct __DataOfDeposited {
    ///     amount: u64,
    /// }
    /// ```
    pub(crate) fn shadow(&self, input: &DeriveInput, root: &Root, verbatim: bool) -> TokenStream {
        let args = self.shadow_args(input, root, verbatim);
        let name = shadow_name(&input.ident);
        let mut generics = input.generics.clone();
        if let Some(bound) = self.default_bound(input) {
            generics.make_where_clause().predicates.push(bound);
        }
        let where_clause = generics.where_clause.take();
        let fields = self.fields.iter().map(|WireField { ident, ty, args }| {
            let args = (!args.is_empty()).then(|| quote!(#[serde(#(#args),*)]));
            quote!(#args #ident: #ty)
        });
        quote! {
            #[derive(#root::serde::Serialize, #root::serde::Deserialize)]
            #[serde(#args)]
            struct #name #generics #where_clause {
                #(#fields,)*
            }
        }
    }

    fn shadow_args(&self, input: &DeriveInput, root: &Root, verbatim: bool) -> TokenStream {
        let (serde, remote) = (root.serde_text(), input.ident.to_string());
        let own_case = verbatim || self.case().is_some();
        let case = (!own_case).then(|| quote!(, rename_all = "camelCase"));
        let args = self.args.iter().map(|arg| {
            // Alone, it would ask for the default of the hidden struct.
            let alone = arg.is_alone("default");
            let of_message = alone.then(|| quote!(= "::core::default::Default::default"));
            quote!(, #arg #of_message)
        });
        quote!(crate = #serde, remote = #remote #case #(#args)*)
    }

    /// `Noted<T>: Default`, for a generic message that fills gaps from its default.
    fn default_bound(&self, input: &DeriveInput) -> Option<WherePredicate> {
        let asks = self.args.iter().any(|arg| arg.is_alone("default"));
        let this = self_type(input);
        (asks && !input.generics.params.is_empty())
            .then(|| parse_quote!(#this: ::core::default::Default))
    }

    /// What the parameters of a generic message fulfil: the user's `bound`s, or what serde infers.
    pub(crate) fn bounds(
        &self,
        input: &DeriveInput,
        root: &Root,
        faults: &mut Faults,
    ) -> Vec<WherePredicate> {
        let mut bounds: Vec<WherePredicate> = self.default_bound(input).into_iter().collect();
        if self.args.iter().any(|arg| arg.name() == "bound") {
            bounds.extend(own_bounds(&self.args, faults));
            return bounds;
        }
        let params: Vec<&Ident> = input.generics.type_params().map(|param| &param.ident).collect();
        let (mut written, mut defaulted) = (Params::of(&params), Params::of(&params));
        for field in &self.fields {
            bounds.extend(own_bounds(&field.args, faults));
            if field.has(&["skip", "skip_deserializing"])
                || field.args.iter().any(|arg| arg.is_alone("default"))
            {
                defaulted.visit_type(&field.ty);
            }
            if !field.has(&["skip", "with", "bound"]) {
                written.visit_type(&field.ty);
                bounds.extend(written.associated(&field.ty).map(|ty| serde_bound(ty, root)));
            }
        }
        bounds.extend(written.used.iter().map(|param| serde_bound(param, root)));
        bounds.extend(
            defaulted
                .used
                .iter()
                .map(|param| -> WherePredicate { parse_quote!(#param: ::core::default::Default) }),
        );
        bounds
    }
}

/// Whether an attribute of the struct is passed on; the others are refused with what to write.
fn is_passed_on(arg: &Arg, faults: &mut Faults) -> bool {
    let name = arg.name();
    let advice = match &*name {
        known if STRUCT_KEYS.contains(&known) => return true,
        "rename" => "the name of a message is its type: write `#[message(type = \"…\")]`",
        "crate" => "write `#[message(crate = …)]` where evenfold has another name",
        "remote" => "`derive(Message)` writes the wire form itself: take it away",
        "transparent" => "the data of a message is an object: take it away",
        "tag" | "content" | "untagged" => {
            "the type is stored beside the data, which is a plain object: take it away"
        }
        "from" | "try_from" | "into" => {
            "the data has the fields of the struct: write `#[serde(with = \"…\")]` on the field \
             that differs"
        }
        _ => {
            refuse_unknown("serde", &arg.key, STRUCT_KEYS, faults);
            return false;
        }
    };
    faults.on(arg, format!("`{name}` is not for a message, {advice}"));
    false
}

/// The name of the hidden struct, which no hand would write.
pub(crate) fn shadow_name(ident: &Ident) -> Ident {
    format_ident!("__DataOf{}", plain_name(ident).value())
}

/// The message with its parameters.
pub(crate) fn self_type(input: &DeriveInput) -> Type {
    let (_, type_generics, _) = input.generics.split_for_impl();
    let ident = &input.ident;
    parse_quote!(#ident #type_generics)
}

fn serde_bound(ty: &impl ToTokens, root: &Root) -> WherePredicate {
    parse_quote!(#ty: #root::serde::Serialize + #root::serde::de::DeserializeOwned)
}

/// The predicates of `bound`, true for every lifetime of the data where they name it.
fn own_bounds(args: &[Arg], faults: &mut Faults) -> Vec<WherePredicate> {
    let parser = Punctuated::<WherePredicate, Token![,]>::parse_terminated;
    let mut predicates = Vec::new();
    let texts = args.iter().filter(|arg| arg.name() == "bound").flat_map(Arg::texts);
    for text in texts.collect::<Vec<LitStr>>() {
        let parsed = text.parse_with(parser).map_err(|_| {
            let advice = "write `bound = \"T: Serialize\"`";
            syn::Error::new(text.span(), format!("`bound` takes where predicates: {advice}"))
        });
        predicates.extend(faults.keep(parsed).into_iter().flatten());
    }
    for predicate in &mut predicates {
        if let WherePredicate::Type(bound) = predicate
            && bound.lifetimes.is_none()
            && bound.bounds.to_token_stream().to_string().contains("'de")
        {
            bound.lifetimes = Some(parse_quote!(for<'de>));
        }
    }
    predicates
}

/// The type parameters that fields use, as serde looks for them.
struct Params<'a> {
    all: &'a [&'a Ident],
    used: Vec<&'a Ident>,
}

impl<'a> Params<'a> {
    fn of(all: &'a [&'a Ident]) -> Self {
        Self { all, used: Vec::new() }
    }

    /// The type, if it is associated with a parameter: `U::Amount`.
    fn associated<'t>(&self, ty: &'t Type) -> Option<&'t Type> {
        let Type::Path(path) = ty else { return None };
        let first = &path.path.segments.first()?.ident;
        (path.path.segments.len() > 1 && self.all.contains(&first)).then_some(ty)
    }
}

impl Visit<'_> for Params<'_> {
    fn visit_path(&mut self, path: &Path) {
        // Serde asks nothing of what a `PhantomData` holds.
        if path.segments.last().is_some_and(|last| last.ident == "PhantomData") {
            return;
        }
        let param = self.all.iter().find(|param| path.is_ident(**param));
        if let Some(param) = param
            && !self.used.contains(param)
        {
            self.used.push(param);
        }
        visit::visit_path(self, path);
    }
}
