//! Handlers that write in the transaction of their message, which a spec hands out.

use evenfold::handler::Handler;
use evenfold::prelude::*;
use evenfold::{ExpectedVersion, Store};
use evenfold_testkit::Spec;

use crate::story::{AccountCommand, Deposit, Deposited};
use crate::{caught, deposit_of_5};

/// A handler of deposits that writes in its transaction.
macro_rules! within {
    ($name:ident, |$store:ident, $command:ident, $context:ident| $body:block) => {
        struct $name(Store);

        #[handler(AccountCommand)]
        impl $name {
            async fn deposit(
                &self,
                $command: Received<Deposit>,
                $context: &mut Context,
            ) -> Result<(), HandlerError> {
                let Self($store) = self;
                $body
            }
        }
    };
}

fn of<H: Handler<Set = AccountCommand>>(make: fn(Store) -> H) -> Spec<'static, H> {
    deposit_of_5(make).then("audit-1", [Deposited { amount: 5 }])
}

// By the store itself the second would be lost by a crash between the two: see `faults.rs`.
within!(Audited, |store, command, context| {
    let deposited = || Deposited { amount: command.amount };
    let write = store.write("account-123", deposited()).following(&command);
    if !write.through(context).await?.is_repetition() {
        store.write("audit-1", deposited()).following(&command).through(context).await?;
    }
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn what_is_written_in_the_transaction_is_written_once_and_together() {
    of(Audited).await;
}

within!(Loose, |store, command, context| {
    store.write("account-123", Deposited { amount: command.amount }).through(context).await?;
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_write_in_the_transaction_that_does_not_follow_is_found_out() {
    let spec = deposit_of_5(Loose).without_following("an old service");
    caught(
        spec,
        "when the message comes twice",
        "2. write to `account-123` in the transaction, expecting any version: wrote Deposited",
    )
    .await;
}

within!(Trusting, |store, command, context| {
    let write = store.write("account-123", Deposited { amount: command.amount });
    drop(write.following(&command).through(context).await);
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_write_in_the_transaction_that_is_taken_for_done_is_found_out() {
    let by = "there is no answer to its 1st call to the store, the write to `account-123` in the \
              transaction";
    caught(deposit_of_5(Trusting), by, "no answer").await;
}

within!(Undecided, |store, command, context| {
    let write = store.write("account-123", Deposited { amount: command.amount });
    write.following(&command).through(context).await?;
    Err("it thinks better of it".into())
});

#[tokio::test(start_paused = true)]
async fn who_fails_has_written_nothing_in_the_transaction() {
    Spec::of(|store| Undecided(Store::new(store)))
        .when("account:command-123", Deposit { amount: 5 })
        .then_failed("it thinks better of it")
        .await;
}

// The transaction is overtaken by its own handler, which no delivery mends.
within!(Beside, |store, command, context| {
    let deposited = || Deposited { amount: command.amount };
    let write = store.write("account-123", deposited()).expecting(ExpectedVersion::NoStream);
    write.following(&command).step("in").through(context).await?;
    store.write("account-123", deposited()).following(&command).step("beside").await?;
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_commit_that_cannot_be_is_a_failure_of_the_message() {
    Spec::of(|store| Beside(Store::new(store)))
        .when("account:command-123", Deposit { amount: 5 })
        .then("account-123", [Deposited { amount: 5 }])
        .then_failed("expected to be at no stream")
        .only_once("it fails the first time alone")
        .await;
}
