//! The macros of evenfold: text in, text out.
//!
//! Owns the entry points alone; what each macro does is told at its re-export in the `evenfold`
//! crate. Each has a file of its own, `methods.rs` reads an impl block for both attributes, and
//! how a fault is reported is in `diagnostics.rs`.

mod attr;
mod diagnostics;
#[cfg(test)]
mod golden;
mod handler;
mod message;
mod messages;
mod methods;
mod paths;
mod reducer;
mod set;
mod signature;
mod snapshot;
mod wire;

use proc_macro::TokenStream;

#[expect(missing_docs, reason = "documented where evenfold re-exports it")]
#[proc_macro_derive(Message, attributes(message, serde))]
pub fn derive_message(item: TokenStream) -> TokenStream {
    message::derive(item.into()).into()
}

#[expect(missing_docs, reason = "documented where evenfold re-exports it")]
#[proc_macro_derive(Messages, attributes(messages))]
pub fn derive_messages(item: TokenStream) -> TokenStream {
    messages::derive(item.into()).into()
}

#[expect(missing_docs, reason = "documented where evenfold re-exports it")]
#[proc_macro_attribute]
pub fn reducer(args: TokenStream, item: TokenStream) -> TokenStream {
    reducer::attribute(args.into(), item.into()).into()
}

#[expect(missing_docs, reason = "documented where evenfold re-exports it")]
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::attribute(args.into(), item.into()).into()
}

#[expect(missing_docs, reason = "documented where evenfold re-exports it")]
#[proc_macro_derive(Snapshot, attributes(snapshot))]
pub fn derive_snapshot(item: TokenStream) -> TokenStream {
    snapshot::derive_snapshot(item.into()).into()
}

#[expect(missing_docs, reason = "documented where evenfold re-exports it")]
#[proc_macro_derive(Shape, attributes(snapshot))]
pub fn derive_shape(item: TokenStream) -> TokenStream {
    snapshot::derive_shape(item.into()).into()
}
