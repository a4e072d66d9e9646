//! What a set gives: decoding, encoding, and the bounds by which a state or a handler covers it.
//!
//! Owns the code that `#[derive(Messages)]` writes out. How the enum is read, and refused, is in
//! `messages.rs`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, Type, parse_quote};

use crate::messages::Set;
use crate::paths::{Root, placed};
use crate::wire::self_type;

/// Everything that a set gives.
pub(crate) fn expand(set: &Set) -> TokenStream {
    let (members, messages) = (members(set), messages_impl(set));
    let (encode, reduced, handled) = (encode_impl(set), reduced_impl(set), handled_impl(set));
    quote! {
        #members
        const _: () = {
            #messages
        };
        #encode
        #reduced
        #handled
    }
}

/// `From` and `Includes` for each message.
fn members(set: &Set) -> TokenStream {
    let Set { ident, variants, root, .. } = set;
    let members = variants.iter().map(|(variant, message)| {
        quote! {
            #[automatically_derived]
            impl ::core::convert::From<#message> for #ident {
                fn from(message: #message) -> Self {
                    Self::#variant(message)
                }
            }

            #[automatically_derived]
            impl #root::Includes<#message> for #ident {}
        }
    });
    quote!(#(#members)*)
}

/// Names, category and decoding.
///
/// ```text
/// const NAMES: &[Names] = &[<Deposited as Member>::NAMES, <Closed as Member>::NAMES];
/// const _: () = assert_distinct(NAMES, 1, "…");
/// impl Messages for AccountEvent {
///     const CATEGORY: &'static str = "account";
///     const TYPES: &'static [&'static str] = &join::<{ count(NAMES) }>(NAMES);
///     fn decode(recorded: &Recorded) -> Result<Option<Self>, DecodeError> {
///         Ok(Some(if <Deposited as Member>::is_in(recorded) {
///             Self::Deposited(<Deposited as Member>::read(recorded)?)
///         } else if <Closed as Member>::is_in(recorded) {
///             Self::Closed(<Closed as Member>::read(recorded)?)
///         } else {
///             return Ok(None);
///         }))
///     }
/// }
/// ```
fn messages_impl(set: &Set) -> TokenStream {
    let Set { ident, category, variants, root } = set;
    let members: Vec<TokenStream> = variants.iter().map(|(_, ty)| member(ty, root)).collect();
    let distinct = variants.iter().enumerate().skip(1).map(|(place, (variant, _))| {
        let text = format!(
            "`{}` has a type name or an alias that an earlier message of the set has: give it \
             another `#[message(type = \"…\")]`",
            variant.unraw()
        );
        placed(variant.span(), quote!(const _: () = #root::assert_distinct(NAMES, #place, #text);))
    });
    let variants = variants.iter().map(|(variant, _)| variant);
    quote! {
        const NAMES: &[#root::Names] = &[#(#members::NAMES),*];
        #(#distinct)*

        #[automatically_derived]
        impl #root::Messages for #ident {
            const CATEGORY: &'static str = #category;
            const TYPES: &'static [&'static str] = &#root::join::<{ #root::count(NAMES) }>(NAMES);

            fn decode(
                recorded: &#root::Recorded,
            ) -> ::core::result::Result<::core::option::Option<Self>, #root::DecodeError> {
                ::core::result::Result::Ok(::core::option::Option::Some(
                    #(if #members::is_in(recorded) {
                        Self::#variants(#members::read(recorded)?)
                    } else)* {
                        return ::core::result::Result::Ok(::core::option::Option::None);
                    },
                ))
            }
        }
    }
}

/// `<Deposited as Member>`, at the place of the type.
fn member(ty: &Type, root: &Root) -> TokenStream {
    placed(ty.span(), quote!(<#ty as #root::Member>))
}

/// `Reduce<Deposited>`, as if it stood in the variant: it is told there when it is not fulfilled.
fn bound(ty: &Type, root: &Root, name: &str) -> TokenStream {
    let (root, name) = (root.at(ty.span()), Ident::new(name, ty.span()));
    quote_spanned!(ty.span()=> #root::#name<#ty>)
}

/// ```text
/// impl Encode for AccountEvent {
///     fn encode(&self, id: Uuid) -> Result<NewMessage, Error> {
///         match self {
///             Self::Deposited(message) => <Deposited as Member>::write(message, id),
///             Self::Closed(message) => <Closed as Member>::write(message, id),
///         }
///     }
/// }
/// ```
fn encode_impl(set: &Set) -> TokenStream {
    let Set { ident, variants, root, .. } = set;
    let members = variants.iter().map(|(_, ty)| member(ty, root));
    let variants = variants.iter().map(|(variant, _)| variant);
    quote! {
        #[automatically_derived]
        impl #root::Encode for #ident {
            fn encode(
                &self,
                id: #root::Uuid,
            ) -> ::core::result::Result<#root::NewMessage, #root::Error> {
                match self {
                    #(Self::#variants(message) => #members::write(message, id),)*
                }
            }
        }
    }
}

/// ```text
/// impl<S> ReducedInto<S> for AccountEvent where S: Reduce<Deposited> + Reduce<Closed> {
///     fn reduce_into(&self, state: &mut S, recorded: &Recorded) -> Result<(), HandlerError> {
///         match self {
///             Self::Deposited(message) => Reduce::reduce_message(state, message, recorded),
///             Self::Closed(message) => Reduce::reduce_message(state, message, recorded),
///         }
///     }
/// }
/// ```
fn reduced_impl(set: &Set) -> TokenStream {
    let Set { ident, variants, root, .. } = set;
    let bounds = variants.iter().map(|(_, ty)| bound(ty, root, "Reduce"));
    let variants = variants.iter().map(|(variant, _)| variant);
    quote! {
        impl<__State> #root::ReducedInto<__State> for #ident
        where
            __State: #(#bounds)+*,
        {
            fn reduce_into(
                &self,
                state: &mut __State,
                recorded: &#root::Recorded,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                match self {
                    #(Self::#variants(message) => {
                        #root::Reduce::reduce_message(state, message, recorded)
                    })*
                }
            }
        }
    }
}

/// ```text
/// impl<H> HandledBy<H> for AccountEvent where H: Handle<Deposited> + Handle<Closed> {
///     async fn handled_by(received: Received<Self>, handler: &H, …) -> Result<…> {
///         let (message, origin) = split(received);
///         match message {
///             Self::Deposited(message) => {
///                 handler.handle_message(origin.map(|()| message), context).await
///             }
///             …
///         }
///     }
/// }
/// ```
fn handled_impl(set: &Set) -> TokenStream {
    let Set { ident, variants, root, .. } = set;
    let bounds = variants.iter().map(|(_, ty)| bound(ty, root, "Handle"));
    let variants = variants.iter().map(|(variant, _)| variant);
    quote! {
        impl<__Handler> #root::HandledBy<__Handler> for #ident
        where
            __Handler: #(#bounds)+*,
        {
            async fn handled_by(
                received: #root::Received<Self>,
                handler: &__Handler,
                context: &mut #root::Context,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                let (message, origin) = #root::split(received);
                match message {
                    #(Self::#variants(message) => {
                        let received = origin.map(|()| message);
                        #root::Handle::handle_message(handler, received, context).await
                    })*
                }
            }
        }
    }
}

/// Impls that keep the uses of a faulty set from failing too.
pub(crate) fn fallback(set: &Set, input: &DeriveInput) -> TokenStream {
    let Set { category, root, .. } = set;
    let mut generics = input.generics.clone();
    let this = self_type(input);
    if !generics.params.is_empty() {
        let bound = parse_quote!(#this: ::core::marker::Send + ::core::marker::Sync + 'static);
        generics.make_where_clause().predicates.push(bound);
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let closed = input.generics.params.is_empty();
    let (members, covered) = (closed.then(|| members(set)), closed.then(|| covered_by_all(set)));
    quote! {
        #members

        #[automatically_derived]
        impl #impl_generics #root::Messages for #this #where_clause {
            const CATEGORY: &'static str = #category;
            const TYPES: &'static [&'static str] = &[];

            fn decode(
                _: &#root::Recorded,
            ) -> ::core::result::Result<::core::option::Option<Self>, #root::DecodeError> {
                ::core::unreachable!()
            }
        }

        #[automatically_derived]
        impl #impl_generics #root::Encode for #this #where_clause {
            fn encode(
                &self,
                _: #root::Uuid,
            ) -> ::core::result::Result<#root::NewMessage, #root::Error> {
                ::core::unreachable!()
            }
        }

        #covered
    }
}

/// The set covered by any state and any handler, so that neither is blamed for a faulty set.
fn covered_by_all(set: &Set) -> TokenStream {
    let Set { ident, root, .. } = set;
    quote! {
        #[automatically_derived]
        impl<__State> #root::ReducedInto<__State> for #ident {
            fn reduce_into(
                &self,
                _: &mut __State,
                _: &#root::Recorded,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                ::core::unreachable!()
            }
        }

        #[automatically_derived]
        impl<__Handler> #root::HandledBy<__Handler> for #ident {
            fn handled_by(
                _: #root::Received<Self>,
                _: &__Handler,
                _: &mut #root::Context,
            ) -> impl #root::Future<
                Output = ::core::result::Result<(), #root::HandlerError>,
            > + ::core::marker::Send {
                async { ::core::unreachable!() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use proc_macro2::TokenStream;
    use quote::quote;

    use crate::golden::check;
    use crate::messages::derive;

    fn made(item: TokenStream) -> (TokenStream, TokenStream) {
        (quote!(#[derive(Messages)] #item), derive(item))
    }

    #[test]
    fn a_set_is_all_its_messages() {
        let (from, made) = made(quote! {
            #[messages(category = "account")]
            enum AccountEvent {
                Deposited(Deposited),
                Closed(Closed),
            }
        });
        check(from, made, expect_file!["../tests/expand/messages/two.rs"]);
    }

    #[test]
    fn a_set_may_hold_one_message() {
        let (from, made) = made(quote! {
            #[messages(category = "account:command", crate = es)]
            pub(crate) enum AccountCommand {
                r#Move(events::Move<u64>),
            }
        });
        check(from, made, expect_file!["../tests/expand/messages/one.rs"]);
    }

    #[test]
    fn a_fault_leaves_impls_behind() {
        let (from, made) = made(quote! {
            enum AccountEvent {
                Deposited(Deposited),
            }
        });
        check(from, made, expect_file!["../tests/expand/messages/fault.rs"]);
    }
}
