//! `#[handler(Set)]`: each method of an impl block handles one message.
//!
//! Owns the impls that it makes. How the block is read, and refused, is in `methods.rs` and
//! `signature.rs`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{ItemImpl, LitStr, Type};

use crate::attr::plain_name;
use crate::methods::{self, Args, Block};
use crate::paths::{call, placed};
use crate::signature::{Kind, Method};

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    methods::attribute(Kind::Handler, (args, item), expand, fallback)
}

fn expand(block: &Block) -> TokenStream {
    let methods = block.methods.iter().map(|method| handle_impl(block, method));
    let skips = block.args.skips.iter().map(|message| skip_impl(block, message));
    let handler = handler_impl(block);
    quote!(#handler #(#methods)* #(#skips)*)
}

/// ```text
/// impl Handle<Deposit> for Teller
/// where Teller: Send + Sync + 'static, AccountCommand: Includes<Deposit> {
///     async fn handle_message(&self, received: Received<Deposit>, _: &mut Context) -> Result<…> {
///         HandlerOutput::into_result(Self::deposit(self, received).await)
///     }
/// }
/// ```
fn handle_impl(block: &Block, method: &Method) -> TokenStream {
    let Block { args: Args { root, .. }, item, .. } = block;
    let Method { name, message, extra, output, cfgs } = method;
    let (impl_generics, self_ty) = (item.generics.split_for_impl().0, &item.self_ty);
    let where_clause = block.where_clause(&[shared(block), block.included(message)]);
    let (pattern, context) = match extra {
        Some(extra) => (quote!(context), placed(extra.span(), quote!(context))),
        None => (quote!(_), TokenStream::new()),
    };
    let own = call(*output, quote!(Self::#name), quote!(self, received, #context));
    let done = placed(*output, quote!(.await));
    let result = call(*output, quote!(#root::HandlerOutput::into_result), quote!(#own #done));
    // It stands at the place of the user's method, where a future that is not `Send` is told.
    let signature = quote! {
        async fn handle_message(
            &self,
            received: #root::Received<#message>,
            #pattern: &mut #root::Context,
        ) -> ::core::result::Result<(), #root::HandlerError>
    };
    let signature = placed(name.span(), signature);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #impl_generics #root::Handle<#message> for #self_ty #where_clause {
            #signature {
                #result
            }
        }
    }
}

/// ```text
/// impl Handle<Closed> for Teller
/// where Teller: Send + Sync + 'static, AccountCommand: Includes<Closed> {
///     async fn handle_message(&self, _: Received<Closed>, _: &mut Context) -> Result<…> {
///         Ok(())
///     }
/// }
/// ```
fn skip_impl(block: &Block, message: &Type) -> TokenStream {
    let Block { args: Args { root, .. }, item, .. } = block;
    let (impl_generics, self_ty) = (item.generics.split_for_impl().0, &item.self_ty);
    let where_clause = block.where_clause(&[shared(block), block.included(message)]);
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Handle<#message> for #self_ty #where_clause {
            async fn handle_message(
                &self,
                _: #root::Received<#message>,
                _: &mut #root::Context,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                ::core::result::Result::Ok(())
            }
        }
    }
}

/// ```text
/// impl Handler for Teller where Teller: Send + Sync + 'static {
///     type Set = AccountCommand;
///     const NAME: &'static str = "Teller";
///     fn skips(message_type: &str) -> bool {
///         is_named::<Closed>(message_type)
///     }
///     async fn handle(&self, received: Received<AccountCommand>, …) -> Result<…> {
///         HandledBy::handled_by(received, self, context).await
///     }
/// }
/// ```
fn handler_impl(block: &Block) -> TokenStream {
    let Block { args: Args { set, root, .. }, item, .. } = block;
    let (impl_generics, self_ty) = (item.generics.split_for_impl().0, &item.self_ty);
    let where_clause = block.where_clause(&[shared(block)]);
    let name = name(&block.args, item);
    let handled = quote!(#root::HandledBy::handled_by(received, self, context).await);
    let handled = placed(set.span(), handled);
    let skips = block.args.skips_fn();
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Handler for #self_ty #where_clause {
            type Set = #set;
            const NAME: &'static str = #name;

            #skips

            async fn handle(
                &self,
                received: #root::Received<#set>,
                context: &mut #root::Context,
            ) -> ::core::result::Result<(), #root::HandlerError> {
                #handled
            }
        }
    }
}

/// That a handler is shared between threads. It follows from the trait, but as a predicate it is
/// told once, on the type, and not again on the future of each method.
fn shared(block: &Block) -> TokenStream {
    let self_ty = &block.item.self_ty;
    let bound = quote!(#self_ty: ::core::marker::Send + ::core::marker::Sync + 'static);
    placed(self_ty.span(), bound)
}

/// The given name, or that of the self type.
fn name(args: &Args, item: &ItemImpl) -> LitStr {
    match (&args.name, &*item.self_ty) {
        (Some(name), _) => name.clone(),
        (None, Type::Path(path)) => match path.path.segments.last() {
            Some(last) => plain_name(&last.ident),
            None => LitStr::new("", item.self_ty.span()),
        },
        (None, other) => LitStr::new("", other.span()),
    }
}

/// An impl that keeps the uses of a faulty handler from failing too.
fn fallback(args: &Args, item: &ItemImpl) -> TokenStream {
    let Args { set, root, .. } = args;
    let (impl_generics, _, where_clause) = item.generics.split_for_impl();
    let self_ty = &item.self_ty;
    let name = name(args, item);
    quote! {
        #[automatically_derived]
        impl #impl_generics #root::Handler for #self_ty #where_clause {
            type Set = #set;
            const NAME: &'static str = #name;

            async fn handle(
                &self,
                _: #root::Received<#set>,
                _: &mut #root::Context,
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
        (quote!(#[handler(#args)] #item), attribute(args, item))
    }

    #[test]
    fn each_method_handles_one_message() {
        let item = quote! {
            impl Teller {
                async fn deposit(&self, message: Received<Deposit>) {
                    self.ledger.add(message.amount).await;
                }

                async fn withdraw(
                    &self,
                    message: evenfold::Received<Withdraw>,
                    context: &mut Context,
                ) -> Result<Receipt, Overdrawn> {
                    self.ledger.take(message.amount, context).await
                }
            }
        };
        let (from, made) = made(quote!(AccountCommand, skip(Close)), item);
        check(from, made, expect_file!["../tests/expand/handler/methods.rs"]);
    }

    #[test]
    fn a_handler_may_be_generic() {
        let item = quote! {
            impl<L: Ledger> Teller<L> {
                async fn deposit(&self, _: Received<Deposit>) {}
            }
        };
        let (from, made) = made(quote!(AccountCommand, name = "teller", crate = es), item);
        check(from, made, expect_file!["../tests/expand/handler/generic.rs"]);
    }

    #[test]
    fn a_fault_leaves_the_block_and_an_impl_behind() {
        let item = quote! {
            impl Teller {
                fn deposit(&self, _: Received<Deposit>) {}
            }
        };
        let (from, made) = made(quote!(AccountCommand), item);
        check(from, made, expect_file!["../tests/expand/handler/fault.rs"]);
    }
}
