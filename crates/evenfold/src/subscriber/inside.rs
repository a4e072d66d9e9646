//! A handler that is run by the mark of the transaction that it gets.
//!
//! Owns nothing but that: a store knows by it a call that would wait for the end of the transaction that
//! it is made in. The mark is `store/inside.rs` in evenfold-core; what a handler makes of a message is
//! `dispatch.rs`.

use std::sync::Arc;

use evenfold_core::handler::Context;
use evenfold_core::message::Recorded;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::dispatch::{Answer, Dispatch, Fault};

pub(super) struct Marked(pub(super) Box<dyn Dispatch>);

impl Dispatch for Marked {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn category(&self) -> &'static str {
        self.0.category()
    }

    fn dispatch<'a>(
        &'a self,
        recorded: &'a Arc<Recorded>,
        is_replay: bool,
        context: &'a mut Context,
    ) -> BoxFuture<'a, Result<Answer, Fault>> {
        let mark = context.inside();
        let handling = self.0.dispatch(recorded, is_replay, context);
        match mark {
            Some(mark) => async move { mark.run(handling).await }.boxed(),
            None => handling,
        }
    }
}
