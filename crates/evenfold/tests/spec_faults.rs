//! Handlers with a fault in them are found out, each by the delivery that shows it.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    clippy::allow_attributes,
    reason = "tests fail by a panic"
)]

mod story;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use evenfold::handler::Handler;
use evenfold::message::Encode;
use evenfold::prelude::*;
use evenfold::{Entities, ExpectedVersion, Position, Store, Transacted, Uuid};
use evenfold_testkit::{Delivery, Recording, Spec, state_of};
use expect_test::{Expect, expect};
use futures::FutureExt;
use story::{Account, AccountCommand, Deposit, Deposited, Withdrawn};

/// A handler of deposits that does what a closure-like method says.
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

/// What a spec says that a handler breaks, without the place of the spec.
async fn said<H: Handler>(spec: Spec<'_, H>) -> String {
    let panic = AssertUnwindSafe(spec.into_future()).catch_unwind().await.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    let (text, place) = text.rsplit_once("\nthe spec stands at ").unwrap();
    assert!(place.starts_with(file!()), "{place}");
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

fn follower(store: Store) -> Follower {
    Follower { accounts: store.entities() }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_expected_is_shown_beside_what_was() {
    let spec = Spec::of(|store| follower(Store::new(store)))
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

faulty!(Loose { accounts: Entities<Account> }, |it, command| {
    let happens = |_: &Account| Ok(vec![Deposited { amount: command.amount }.into()]);
    it.accounts.transact(command.entity_id()?, happens).await?;
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_follow_is_told_at_once() {
    is_said(
        deposit_of_5(|store| Loose { accounts: store.entities() }),
        expect![[r#"
            `Loose` breaks its spec when the message comes once

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

#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_follow_is_written_twice_when_the_message_comes_twice() {
    let spec = deposit_of_5(|store| Loose { accounts: store.entities() });
    is_said(
        spec.without_following("an old service"),
        expect![[r#"
            `Loose` breaks its spec when the message comes twice

            `account-123` was expected to get
                Deposited {"amount":5}
            and got
                Deposited {"amount":5}  (it does not follow the message)
                Deposited {"amount":5}  (it does not follow the message)

            when
                account:command-123  Deposit {"amount":5}

            left out
                following: an old service

            what happened
                1. read of `account-123` from 0: 0 messages
                2. write to `account-123`, expecting no stream: wrote Deposited
                   it came again
                3. read of `account-123` from 0: 1 message
                4. write to `account-123`, expecting version 0: wrote Deposited
        "#]],
    )
    .await;
}

faulty!(Remembers { store: Store, seen: Mutex<Vec<Uuid>> }, |it, command| {
    let id = command.recorded().id;
    if it.seen.lock().unwrap().contains(&id) {
        return Ok(());
    }
    it.store.write("account-123", Deposited { amount: command.amount }).await?;
    it.seen.lock().unwrap().push(id);
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_handler_that_remembers_in_memory_what_it_did_is_found_out_by_a_crash() {
    let spec = deposit_of_5(|store| Remembers { store, seen: Mutex::default() });
    is_said(spec.without_following("it remembers"), expect![[r#"
        `Remembers` breaks its spec when it crashes after its 1st call to the store, the write to `account-123`, and the message comes again

        `account-123` was expected to get
            Deposited {"amount":5}
        and got
            Deposited {"amount":5}  (it does not follow the message)
            Deposited {"amount":5}  (it does not follow the message)

        when
            account:command-123  Deposit {"amount":5}

        left out
            following: it remembers

        what happened
            1. write to `account-123`, expecting any version: wrote Deposited, and here it crashed
               it came again, to a new handler
            2. write to `account-123`, expecting any version: wrote Deposited
    "#]]).await;
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

faulty!(Swallower { store: Store }, |it, command| {
    let stream = StreamName::new("account-123")?;
    let version = it.store.messages().stream_version(&stream).await?;
    let write = it.store.write(&stream, Deposited { amount: command.amount });
    let written = write.expecting(version).following(&command).await;
    if written.is_err_and(|error| error.is_conflict()) {
        return Ok(()); // somebody else will have done it
    }
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_swallowed_conflict_is_found_out_by_a_faster_writer() {
    is_said(deposit_of_5(|store| Swallower { store }), expect![[r#"
        `Swallower` breaks its spec when another writer is faster at its 2nd call to the store, the write to `account-123`

        `account-123` was expected to get
            Deposited {"amount":5}
        and got
            nothing

        when
            account:command-123  Deposit {"amount":5}

        what happened
            1. look at the version of `account-123`: no stream
               another writer wrote WrittenMeanwhile to `account-123`
            2. write to `account-123`, expecting no stream: stream `account-123` was expected to be at no stream and is at version 0
    "#]]).await;
}

faulty!(Optimist { store: Store }, |it, command| {
    let write = it.store.write("account-123", Deposited { amount: command.amount });
    drop(write.following(&command).await);
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_cannot_be_taken_for_one_that_did() {
    is_said(deposit_of_5(|store| Optimist { store }), expect![[r#"
        `Optimist` breaks its spec when there is no answer to its 1st call to the store, the write to `account-123`

        `account-123` was expected to get
            Deposited {"amount":5}
        and got
            nothing

        when
            account:command-123  Deposit {"amount":5}

        what happened
            1. write to `account-123`, expecting any version: no answer
            2. write to `account-123`, expecting any version: no answer
            3. write to `account-123`, expecting any version: no answer
    "#]]).await;
}

faulty!(Stubborn { store: Store }, |it, command| {
    let stream = StreamName::new("account-123")?;
    for number in 1.. {
        let id = Uuid::from_u128(command.recorded().id.as_u128() + number);
        let deposited = [Deposited { amount: command.amount }.encode(id)?];
        match it.store.messages().write(&stream, &deposited, ExpectedVersion::Any).await {
            Err(error) if error.is_unavailable() && number < 3 => {}
            answer => return answer.map(drop).map_err(HandlerError::from),
        }
    }
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_write_that_is_sent_again_under_another_id_is_found_out_by_a_lost_reply() {
    let spec = deposit_of_5(|store| Stubborn { store }).without_following("it has ids of its own");
    caught(
        spec,
        "when the reply is lost to its 1st call to the store, \
         the write to `account-123`",
        "2. write to `account-123`, expecting any version: wrote Deposited",
    )
    .await;
}

faulty!(Forgetful { accounts: Entities<Account>, store: Store }, |it, command| {
    let happens = |_: &Account| Ok(vec![Deposited { amount: command.amount }.into()]);
    let deposited = it.accounts.transact("123", happens).following(&command).await?;
    if let Transacted::Written(_) = deposited {
        it.store.write("audit-1", Deposited { amount: command.amount }).following(&command).await?;
    }
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_second_write_that_hangs_on_the_first_is_lost_in_a_crash_between_them() {
    let spec = deposit_of_5(|store| Forgetful { accounts: store.entities(), store })
        .then("audit-1", [Deposited { amount: 5 }]);
    is_said(spec, expect![[r#"
        `Forgetful` breaks its spec when it crashes after its 2nd call to the store, the write to `account-123`, and the message comes again

        `audit-1` was expected to get
            Deposited {"amount":5}
        and got
            nothing

        when
            account:command-123  Deposit {"amount":5}

        what happened
            1. read of `account-123` from 0: 0 messages
            2. write to `account-123`, expecting no stream: wrote Deposited, and here it crashed
               it came again, to a new handler
            3. read of `account-123` from 0: 1 message
            4. write to `account-123`, expecting version 0: had Deposited before
    "#]]).await;
}

faulty!(Newest { store: Store }, |it, command| {
    let stream = StreamName::new("account-123")?;
    let version = it.store.messages().stream_version(&stream).await?;
    let number = version.map_or(0, Position::get).unsigned_abs();
    let deposited = Deposited { amount: command.amount + number };
    it.store.write(&stream, deposited).following(&command).await?;
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_content_that_changes_with_the_state_is_found_out_by_a_second_delivery() {
    let spec = Spec::of(|store| Newest { store: Store::new(store) })
        .given("account-123", [Deposited { amount: 1 }])
        .when("account:command-123", Deposit { amount: 5 })
        .then("account-123", [Deposited { amount: 5 }]);
    caught(spec, "when the message comes twice", "is taken by a message of other content").await;
}

faulty!(Counter { store: Store, total: Mutex<u64> }, |it, command| {
    let total = {
        let mut total = it.total.lock().unwrap();
        *total += command.amount;
        *total
    };
    if total >= 10 {
        it.store.write("account-123", Deposited { amount: total }).following(&command).await?;
    }
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_total_in_memory_is_found_out_by_a_restart_between_messages() {
    let spec = Spec::of(|store| Counter { store: Store::new(store), total: Mutex::default() })
        .when("account:command-123", Deposit { amount: 5 })
        .when("account:command-123", Deposit { amount: 6 })
        .then("account-123", [Deposited { amount: 11 }])
        .without(Delivery::Again, "it would be found out by this too");
    caught(spec, "when each message comes to a handler that was just made", "nothing").await;
}

faulty!(Hasty { accounts: Entities<Account>, store: Store }, |it, command| {
    let account = it.accounts.load("123").await?.state;
    if account.balance < command.amount {
        return Ok(reject("the balance is too low")?);
    }
    it.store.write("account-123", Withdrawn { amount: command.amount }).following(&command).await?;
    Ok(())
});

#[tokio::test(start_paused = true)]
async fn a_decision_that_expects_no_version_is_found_out_by_who_writes_meanwhile() {
    let spec = Spec::of(|recording| {
        let store = Store::new(recording);
        Hasty { accounts: store.entities(), store }
    })
    .given("account-123", [Deposited { amount: 5 }])
    .meanwhile("account-123", [Withdrawn { amount: 5 }])
    .when("account:command-123", Deposit { amount: 5 })
    .then_rejected("the balance is too low");
    is_said(
        spec,
        expect![[r#"
            `Hasty` breaks its spec when the message comes once

            the answer to Deposit was expected to be
                a rejection: the balance is too low
            and is
                it is handled

            `account-123` was expected to get
                nothing
            and got
                Withdrawn {"amount":5}

            given
                account-123  Deposited {"amount":5}

            when
                account:command-123  Deposit {"amount":5}

            what happened
                1. read of `account-123` from 0: 1 message
                   another writer wrote Withdrawn to `account-123`
                2. write to `account-123`, expecting any version: wrote Withdrawn
        "#]],
    )
    .await;
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
    let spec = deposit_of_5(follower).meanwhile("account-124", [Deposited { amount: 1 }]);
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
    Spec::of(|store| follower(Store::new(store)))
        .when("account:command-123", Deposit { amount: 5 })
        .await;
}

#[test]
#[should_panic(expected = "`account-123` is not of the category `account:command`")]
fn a_message_in_a_stream_of_another_category_is_refused() {
    let spec = Spec::of(|store| follower(Store::new(store)));
    drop(spec.when("account-123", Deposit { amount: 5 }));
}

static READ: Mutex<u64> = Mutex::new(0);

#[derive(Default, Debug, PartialEq)]
struct Impure(u64);

#[reducer(story::AccountEvent, skip(Withdrawn))]
impl Impure {
    fn deposited(&mut self, event: &Deposited) {
        let mut read = READ.lock().unwrap();
        *read += event.amount;
        self.0 = *read;
    }
}

#[test]
fn a_reducer_that_reads_what_is_not_in_the_state_is_found_out() {
    let fault = state_of::<Impure>("account-123", [Deposited { amount: 5 }]).unwrap_err();
    assert_eq!(
        format!("{fault:#}"),
        "reducing `account-123` twice: the same messages in the same order make the same state, \
         but made first\nImpure(\n    5,\n)\nand then\nImpure(\n    10,\n)"
    );
}

/// Writes cents and reads whole amounts.
mod cents {
    use evenfold::__private::serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(amount: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(amount * 100)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(of: D) -> Result<u64, D::Error> {
        u64::deserialize(of)
    }
}

#[derive(Message)]
struct Charged {
    #[serde(with = "cents")]
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum Charges {
    Charged(Charged),
}

#[derive(Default, Debug, PartialEq)]
struct Bill(u64);

#[reducer(Charges)]
impl Bill {
    fn charged(&mut self, event: &Charged) {
        self.0 += event.amount;
    }
}

#[test]
fn a_message_that_is_read_otherwise_than_it_was_written_is_found_out() {
    let fault = state_of::<Bill>("account-123", [Charged { amount: 5 }]).unwrap_err();
    assert_eq!(
        format!("{fault:#}"),
        "reading back `Charged` at position 0 of `account-123` (global position 1): \
         it was `{\"amount\":500}` and is `{\"amount\":50000}`"
    );
}

#[test]
#[should_panic(expected = "no message comes yet: say `.when(…)` first")]
fn an_answer_to_no_message_is_refused() {
    drop(Spec::of(|store| follower(Store::new(store))).then_rejected("no"));
}
