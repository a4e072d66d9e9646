//! Handlers with a fault in them are found out, each by the delivery that shows it.

use std::sync::Mutex;

use evenfold::message::Encode;
use evenfold::prelude::*;
use evenfold::{Entities, ExpectedVersion, Position, Store, Transacted, Uuid};
use evenfold_testkit::{Delivery, NotedTransaction, Spec};
use expect_test::expect;

use crate::story::{Account, AccountCommand, Deposit, Deposited, Withdrawn};
use crate::{caught, deposit_of_5, faulty, is_said};

faulty!(Loose { accounts: Entities<Account> }, |it, command| {
    let happens = |_: &Account| Ok(vec![Deposited { amount: command.amount }.into()]);
    it.accounts.transact(command.entity_id()?, happens).await?;
    Ok(())
});

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

struct Totals(Mutex<u64>);

#[handler(AccountCommand)]
impl Totals {
    async fn deposit(
        &self,
        command: Received<Deposit>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        let mut total = self.0.lock().unwrap();
        *total += command.amount;
        let transaction = context.transaction::<NotedTransaction>().ok_or("no transaction")?;
        transaction.note(format!("total = {total}"));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_differs_when_the_message_comes_again_is_found_out() {
    let spec = Spec::of(|_| Totals(Mutex::default()))
        .when("account:command-123", Deposit { amount: 5 })
        .then_noted(["total = 5"]);
    caught(
        spec,
        "when the message comes twice",
        "the effects in transactions were expected to be\n    total = 5\nand are\n    total = 10\n",
    )
    .await;
}
