//! What the testkit's specs of handlers and of state prove, on handlers written with the facade.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    clippy::allow_attributes,
    reason = "tests fail by a panic"
)]

mod faults;
mod state;
#[path = "../story/mod.rs"]
mod story;
mod texts;
mod within;
mod written_by_a_user;

use std::panic::AssertUnwindSafe;

use evenfold::handler::Handler;
use evenfold::prelude::*;
use evenfold::{Entities, Store};
use evenfold_testkit::{Recording, Spec};
use expect_test::Expect;
use futures::FutureExt;

use story::{Account, AccountCommand, Deposit, Deposited};

/// A handler of deposits, with these fields and this body of its method.
macro_rules! faulty {
    ($name:ident { $($field:ident: $of:ty),* }, |$it:ident, $command:ident| $body:block) => {
        struct $name { $($field: $of),* }

        #[handler(AccountCommand)]
        impl $name {
            async fn deposit(&self, $command: Received<Deposit>) -> Result<(), HandlerError> {
                let $it = self;
                $body
            }
        }
    };
}
use faulty;

/// What a spec says that a handler breaks, without the place of the spec.
async fn said<H: Handler>(spec: Spec<'_, H>) -> String {
    let panic = AssertUnwindSafe(spec.into_future()).catch_unwind().await.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    let (text, place) = text.rsplit_once("\nthe spec stands at ").unwrap();
    assert!(place.starts_with("crates/evenfold/tests/spec/"), "{place}");
    text.to_owned()
}

/// A spec that a deposit of 5 is written once.
fn deposit_of_5<'a, H: Handler<Set = AccountCommand>>(
    make: impl Fn(Store) -> H + Send + Sync + 'a,
) -> Spec<'a, H> {
    Spec::of(move |recording: Recording| make(Store::new(recording)))
        .when("account:command-123", Deposit { amount: 5 })
        .then("account-123", [Deposited { amount: 5 }])
}

/// The first line: which delivery it was, and the rest.
async fn caught<H: Handler>(spec: Spec<'_, H>, by: &str, saying: &str) {
    let text = said(spec).await;
    let first = text.lines().next().unwrap();
    assert!(first.ends_with(by), "{text}");
    assert!(text.contains(saying), "{text}");
}

async fn is_said<H: Handler>(spec: Spec<'_, H>, expected: Expect) {
    expected.assert_eq(&said(spec).await);
}

faulty!(Follower { accounts: Entities<Account> }, |it, command| {
    let happens = |_: &Account| Ok(vec![Deposited { amount: command.amount }.into()]);
    it.accounts.transact(command.entity_id()?, happens).following(&command).await?;
    Ok(())
});

fn follower(store: &Store) -> Follower {
    Follower { accounts: store.entities() }
}
