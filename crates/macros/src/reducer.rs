//! `#[reducer(Set)]`: each method of an impl block takes one message into the state.
//!
//! Owns the impls that it makes. How the block is read, and refused, is in `methods.rs` and
//! `signature.rs`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{ItemImpl, Type};

use crate::methods::{self, Args, Block};
use crate::paths::{call, placed};
use crate::signature::{Kind, Method};

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    methods::attribute(Kind::Reducer, (args, item), expand, fallback)
}

fn expand(block: &Block) -> TokenStream {
    let methods = block.methods.iter().map(|method| reduce_impl(block, method));
    let skips = block.args.skips.iter().map(|message| skip_impl(block, message));
    let reducer = reducer_impl(block);
    quote!(#reducer #(#methods)* #(#skips)*)
}

/// ```text
/// impl Reduce<Deposited> for Account where AccountEvent: Includes<Deposited> {
///     fn reduce_message(&mut self, message: &Deposited, _: &Recorded) -> Result<…> {
///         ReducerOutput::into_result(Self::deposited(self, message))
///     }
/// }
/// ```
fn reduce_impl(block: &Block, method: &Method) -> TokenStream {
    let Block { args: Args { root, .. }, item, .. } = block;
    let Method { name, message, extra, output, cfgs } = method;
    let (impl_generics, self_ty) = (item.generics.split_for_impl().0, &item.self_ty);
    let where_clause = block.where_clause(&[block.included(message)]);
    let (pattern, recorded) = match extra {
        Some(extra) => (quote!(recorded), placed(extra.span(), quote!(recorded))),
        None => (quote!(_), TokenStream::new()),
    };
    let own = call(*output, quote!(Self::#name), quote!(self, message, #recorded));
    let result = call(*output, quote!(#root::ReducerOutput::into_result), own);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #impl_generics #root::Reduce<#message> for #self_ty #where_clause {
            fn reduce_message(
                &mut self,
                message: &#message,
                #pattern: &#root::Recorded,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                #result
            }
        }
    }
}

/// ```text
/// impl Reduce<Closed> for Account where AccountEvent: Includes<Closed> {
///     fn reduce_message(&mut self, _: &Closed, _: &Recorded) -> Result<(), HandlerError> {
///         Ok(())
///     }
/// }
/// ```
fn skip_impl(block: &Block, message: &Type) -> TokenStream {
    let Block { args: Args { root, .. }, item, .. } = block;
    let (impl_generics, self_ty) = (item.generics.split_for_impl().0, &item.self_ty);
    let where_clause = block.where_clause(&[block.included(message)]);
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Reduce<#message> for #self_ty #where_clause {
            fn reduce_message(
                &mut self,
                _: &#message,
                _: &#root::Recorded,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                ::core::result::Result::Ok(())
            }
        }
    }
}

/// ```text
/// impl Reducer for Account {
///     type Set = AccountEvent;
///     const READS_RECORDED: bool = false;
///     fn skips(message_type: &str) -> bool {
///         is_named::<Closed>(message_type)
///     }
///     fn reduce(&mut self, message: &AccountEvent, recorded: &Recorded) -> Result<…> {
///         ReducedInto::reduce_into(message, self, recorded)
///     }
/// }
/// ```
fn reducer_impl(block: &Block) -> TokenStream {
    let Block { args: Args { set, root, .. }, item, .. } = block;
    let (impl_generics, _, where_clause) = item.generics.split_for_impl();
    let self_ty = &item.self_ty;
    let reduced =
        placed(set.span(), quote!(#root::ReducedInto::reduce_into(message, self, recorded)));
    let reads_recorded = block.methods.iter().any(|method| method.extra.is_some());
    let skips = block.args.skips_fn();
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Reducer for #self_ty #where_clause {
            type Set = #set;

            const READS_RECORDED: bool = #reads_recorded;

            #skips

            fn reduce(
                &mut self,
                message: &#set,
                recorded: &#root::Recorded,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                #reduced
            }
        }
    }
}

/// An impl that keeps the uses of a faulty reducer from failing too.
fn fallback(args: &Args, item: &ItemImpl) -> TokenStream {
    let Args { set, root, .. } = args;
    let (impl_generics, _, where_clause) = item.generics.split_for_impl();
    let self_ty = &item.self_ty;
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Reducer for #self_ty #where_clause {
            type Set = #set;

            fn reduce(
                &mut self,
                _: &#set,
                _: &#root::Recorded,
            ) -> ::core::result::Result<(), #root::HandlerError> {
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

    use super::attribute;
    use crate::golden::check;

    fn made(args: TokenStream, item: TokenStream) -> (TokenStream, TokenStream) {
        (quote!(#[reducer(#args)] #item), attribute(args, item))
    }

    #[test]
    fn each_method_takes_in_one_message() {
        let item = quote! {
            impl Account {
                fn deposited(&mut self, event: &Deposited) {
                    self.balance += event.amount;
                }

                #[cfg(feature = "overdraft")]
                fn withdrawn(&mut self, event: &Withdrawn, at: &Recorded) -> Result<(), Overdrawn> {
                    self.take(event.amount, at.time)
                }
            }
        };
        let (from, made) = made(quote!(AccountEvent, skip(Closed)), item);
        check(from, made, expect_file!["../tests/expand/reducer/methods.rs"]);
    }

    #[test]
    fn a_state_may_be_generic() {
        let item = quote! {
            impl<T> Counter<T>
            where
                T: Count,
            {
                fn deposited(&mut self, _: &Deposited) {
                    self.count.add();
                }
            }
        };
        let (from, made) = made(quote!(AccountEvent, crate = ::es), item);
        check(from, made, expect_file!["../tests/expand/reducer/generic.rs"]);
    }

    #[test]
    fn a_fault_leaves_the_block_and_an_impl_behind() {
        let item = quote! {
            impl Account {
                async fn deposited(&mut self, event: &Deposited) {}
            }
        };
        let (from, made) = made(quote!(AccountEvent), item);
        check(from, made, expect_file!["../tests/expand/reducer/fault.rs"]);
    }
}
