//! The macros: a message, a set of messages, a state, a handler.
//!
//! Owns their documentation. What they write out is made in the `evenfold-macros` crate, and the
//! traits it fulfils are in [`message`](crate::message), [`reducer`](crate::reducer) and
//! [`handler`](crate::handler).

pub use evenfold_macros::{Message, Messages, handler, reducer};
