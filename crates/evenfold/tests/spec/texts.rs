//! What a spec says that is broken in every delivery, or cannot be checked.

use std::sync::atomic::{AtomicU64, Ordering};

use evenfold::prelude::*;
use evenfold::{Entities, Store};
use evenfold_testkit::{Delivery, Spec};
use expect_test::expect;

use crate::story::{Account, AccountCommand, Deposit, Deposited};
use crate::{caught, deposit_of_5, faulty, follower, is_said};

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_expected_is_shown_beside_what_was() {
    let spec = Spec::of(|store| follower(&Store::new(store)))
        .given("account-123", [Deposited { amount: 1 }, Deposited { amount: 2 }])
        .when("account:command-123", Deposit { amount: 5 })
        .then("account-123", [Deposited { amount: 7 }])
        .then("account-124", [Deposited { amount: 8 }]);
    is_said(
        spec,
        expect![[r#"
            `Follower` breaks its spec when the message comes once

            `account-123` was expected to get
                Deposited {"amount":7}
            and got
                Deposited {"amount":5}

            `account-124` was expected to get
                Deposited {"amount":8}
            and got
                nothing

            given
                account-123  Deposited {"amount":1}
                account-123  Deposited {"amount":2}

            when
                account:command-123  Deposit {"amount":5}

            what happened
                1. read of `account-123` from 0: 2 messages
                2. write to `account-123`, expecting version 1: wrote Deposited
        "#]],
    )
    .await;
}

faulty!(Unmarked { accounts: Entities<Account> }, |it, command| {
    let happens = |_: &Account| Ok(vec![Deposited { amount: command.amount }.into()]);
    it.accounts.transact(command.entity_id()?, happens).await?;
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_follow_is_told_at_once() {
    is_said(
        deposit_of_5(|store| Unmarked { accounts: store.entities() }),
        expect![[r#"
            `Unmarked` breaks its spec when the message comes once

            Deposited at position 0 of `account-123` does not follow the message,
            so it is written again whenever the message comes again: say `.following(&message)`

            when
                account:command-123  Deposit {"amount":5}

            what happened
                1. read of `account-123` from 0: 0 messages
                2. write to `account-123`, expecting no stream: wrote Deposited
        "#]],
    )
    .await;
}

faulty!(Twofold { store: Store }, |it, command| {
    for amount in [2, 3] {
        it.store.write("account-123", Deposited { amount }).following(&command).await?;
    }
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn two_writes_to_a_stream_without_steps_are_found_out_by_the_first_delivery() {
    let spec = Spec::of(|store| Twofold { store: Store::new(store) })
        .when("account:command-123", Deposit { amount: 5 })
        .then("account-123", [Deposited { amount: 2 }, Deposited { amount: 3 }]);
    is_said(spec, expect![[r#"
        `Twofold` breaks its spec when the message comes once

        the answer to Deposit was expected to be
            it is handled
        and is
            a failure: stream to follow to `account-123`: the message was followed to this stream before; name each write: `.step("…")`

        `account-123` was expected to get
            Deposited {"amount":2}
            Deposited {"amount":3}
        and got
            Deposited {"amount":2}

        when
            account:command-123  Deposit {"amount":5}

        what happened
            1. write to `account-123`, expecting any version: wrote Deposited
    "#]]).await;
}

faulty!(Strays { store: Store }, |it, command| {
    it.store.write("acount-123", Deposited { amount: command.amount }).following(&command).await?;
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_write_to_another_stream_is_found_out_by_the_first_delivery() {
    caught(
        deposit_of_5(|store| Strays { store }),
        "when the message comes once",
        "`acount-123` was expected to get\n    nothing\nand got\n    Deposited {\"amount\":5}\n",
    )
    .await;
}

faulty!(Panics { store: Store }, |it, command| {
    drop(it.store.clone());
    assert!(command.amount > 5, "no more than 5");
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_with_its_text() {
    caught(
        deposit_of_5(|store| Panics { store }),
        "when the message comes once",
        "and is\n    a failure: it panicked: no more than 5\n",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_was_to_come_in_between_and_could_not_is_told() {
    let spec =
        deposit_of_5(|store| follower(&store)).meanwhile("account-124", [Deposited { amount: 1 }]);
    caught(
        spec,
        "when the message comes once",
        "nobody came in between, for it never wrote to `account-124`\n",
    )
    .await;
}

#[tokio::test]
#[should_panic(expected = "the spec does not say what happens: say `.then(…)`")]
async fn a_spec_that_says_nothing_of_the_outcome_fails() {
    Spec::of(|store| follower(&Store::new(store)))
        .when("account:command-123", Deposit { amount: 5 })
        .await;
}

#[test]
#[should_panic(expected = "`account-123` is not of the category `account:command`")]
fn a_message_in_a_stream_of_another_category_is_refused() {
    let spec = Spec::of(|store| follower(&Store::new(store)));
    drop(spec.when("account-123", Deposit { amount: 5 }));
}

#[test]
#[should_panic(expected = "no message comes yet: say `.when(…)` first")]
fn an_answer_to_no_message_is_refused() {
    drop(Spec::of(|store| follower(&Store::new(store))).then_rejected("no"));
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_handler_is_harmed_in_every_way() {
    let count = async |left_out: &[Delivery]| {
        let made = AtomicU64::new(0);
        let mut spec = deposit_of_5(|store| {
            made.fetch_add(1, Ordering::Relaxed);
            follower(&store)
        });
        for delivery in left_out {
            spec = spec.without(*delivery, "to count the others");
        }
        spec.await;
        made.load(Ordering::Relaxed)
    };
    // Its calls are a read and a write that expects a version. Out of each crash, two are made.
    let all = count(&[]).await;
    assert_eq!(all, 1 + 1 + 1 + 2 * 2 + 1 + 2);
    for (delivery, makes) in [
        (Delivery::Again, 1),
        (Delivery::Restart, 0),
        (Delivery::Conflict, 1),
        (Delivery::Crash, 4),
        (Delivery::LostReply, 1),
        (Delivery::NoAnswer, 2),
    ] {
        assert_eq!(count(&[delivery]).await, all - makes, "{delivery:?}");
    }
}

faulty!(Patient { store: Store }, |it, command| {
    let deposited = || Deposited { amount: command.amount };
    loop {
        match it.store.write("account-123", deposited()).following(&command).await {
            Err(error) if error.is_unavailable() => {}
            answer => return answer.map(drop).map_err(HandlerError::from),
        }
    }
});

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_gives_up_gets_its_answer_in_the_end() {
    deposit_of_5(|store| Patient { store }).await;
}
