//! A handler that is run by the mark of the transaction that it gets, and for as long as that can commit.
//!
//! Owns nothing but that: a store knows by the mark a call that would wait for the end of the transaction
//! that it is made in, and a statement on a server that the store has left would be waited for in vain.
//! The mark is `store/inside.rs` in evenfold-core; what a handler makes of a message is `dispatch.rs`.

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
        let (mark, lost) = (context.inside().unwrap_or_default(), context.lost());
        let handling = self.0.dispatch(recorded, is_replay, context);
        async move {
            tokio::select! {
                biased;
                answer = mark.run(handling) => answer,
                error = lost => Err(Fault::of_store(error)),
            }
        }
        .boxed()
    }
}
