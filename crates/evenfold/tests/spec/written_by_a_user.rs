//! Specs of handlers, written as a user of the testkit writes them.

use std::sync::{Arc, Mutex};

use evenfold::message::Metadata;
use evenfold::prelude::*;
use evenfold::{Entities, ExpectedVersion, Store, Transacted};
use evenfold_testkit::{Delivery, NotedTransaction, Recording, Spec};

#[derive(Message)]
struct Open {
    owner: String,
}
#[derive(Message)]
struct Deposit {
    amount: u64,
}
#[derive(Message)]
struct Withdraw {
    amount: u64,
}
#[derive(Messages)]
#[messages(category = "account:command")]
enum AccountCommand {
    Open(Open),
    Deposit(Deposit),
    Withdraw(Withdraw),
}

#[derive(Message)]
struct Opened {
    owner: String,
}
#[derive(Message)]
struct Deposited {
    amount: u64,
}
#[derive(Message)]
struct Withdrawn {
    amount: u64,
}
#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Opened(Opened),
    Deposited(Deposited),
    Withdrawn(Withdrawn),
}

#[derive(Default)]
struct Account {
    owner: String,
    balance: u64,
}

#[reducer(AccountEvent)]
impl Account {
    fn opened(&mut self, event: &Opened) {
        self.owner.clone_from(&event.owner);
    }
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
    fn withdrawn(&mut self, event: &Withdrawn) -> Result<(), &'static str> {
        self.balance = self.balance.checked_sub(event.amount).ok_or("more than there is")?;
        Ok(())
    }
}

struct Teller {
    accounts: Entities<Account>,
}

#[handler(AccountCommand)]
impl Teller {
    async fn open(&self, command: Received<Open>) -> Result<Transacted, Error> {
        let opened = |account: &Account| match account.owner.as_str() {
            "" => Ok(vec![Opened { owner: command.owner.clone() }.into()]),
            _ => reject("the account is open already"),
        };
        self.accounts.transact(command.entity_id()?, opened).following(&command).await
    }
    async fn deposit(&self, command: Received<Deposit>) -> Result<Transacted, Error> {
        let deposited = |_: &Account| Ok(vec![Deposited { amount: command.amount }.into()]);
        self.accounts.transact(command.entity_id()?, deposited).following(&command).await
    }
    async fn withdraw(&self, command: Received<Withdraw>) -> Result<Transacted, Error> {
        let amount = command.amount;
        let withdrawn = |account: &Account| match account.balance.checked_sub(amount) {
            Some(_) => Ok(vec![Withdrawn { amount }.into()]),
            None => reject("the balance is too low"),
        };
        self.accounts.transact(command.entity_id()?, withdrawn).following(&command).await
    }
}

fn teller(store: Recording) -> Teller {
    Teller { accounts: Store::new(store).entities() }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_is_written_once_however_the_command_comes() {
    Spec::of(|store| Teller { accounts: Store::new(store).entities() })
        .when("account:command-123", Deposit { amount: 5 })
        .then("account-123", [Deposited { amount: 5 }])
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_decided_on_and_is_not_what_is_written() {
    Spec::of(teller)
        .given("account-123", [Opened { owner: "Ann".into() }])
        .given("account-123", [Deposited { amount: 50 }, Deposited { amount: 20 }])
        .when("account:command-123", Withdraw { amount: 60 })
        .then("account-123", [Withdrawn { amount: 60 }])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_beyond_the_balance_is_rejected() {
    Spec::of(teller)
        .given("account-123", [Deposited { amount: 50 }])
        .when("account:command-123", Withdraw { amount: 60 })
        .then_rejected("the balance is too low")
        .await;
}

#[tokio::test(start_paused = true)]
async fn of_two_writers_the_slower_decides_again() {
    Spec::of(teller)
        .given("account-123", [Deposited { amount: 50 }])
        .meanwhile("account-123", [Withdrawn { amount: 40 }])
        .when("account:command-123", Withdraw { amount: 30 })
        .then_rejected("the balance is too low")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_reads_what_it_wrote_for_an_earlier_message() {
    Spec::of(teller)
        .when("account:command-123", Open { owner: "Ann".into() })
        .when("account:command-123", Deposit { amount: 50 })
        .when("account:command-123", Withdraw { amount: 50 })
        .when("account:command-123", Withdraw { amount: 1 })
        .then_rejected("the balance is too low")
        .then("account-123", [Opened { owner: "Ann".into() }])
        .then("account-123", [AccountEvent::from(Deposited { amount: 50 })])
        .then("account-123", [Withdrawn { amount: 50 }])
        .await;
}

/// Answers whoever asks, fails without a name to answer to, and knows a model and a name's owner.
struct Clerk(Store);

#[handler(AccountCommand)]
impl Clerk {
    async fn open(&self, command: Received<Open>) -> Result<(), HandlerError> {
        let owner = format!("owner-{}", command.owner);
        let claim = self.0.write(owner, Opened { owner: command.owner.clone() });
        match claim.expecting(ExpectedVersion::NoStream).following(&command).await {
            Err(error) if error.is_conflict() => Ok(reject("the name is taken")?),
            written => written.map(drop).map_err(HandlerError::from),
        }
    }
    async fn deposit(&self, command: Received<Deposit>) -> Result<(), HandlerError> {
        self.0.reply(&command, Deposited { amount: command.amount }).await?;
        Ok(())
    }
    async fn withdraw(
        &self,
        command: Received<Withdraw>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        let transaction = context.transaction::<NotedTransaction>().ok_or("no transaction")?;
        transaction.note(format!("asked for {}", command.amount));
        Ok(())
    }
}

fn clerk(store: Recording) -> Clerk {
    Clerk(Store::new(store))
}

#[tokio::test(start_paused = true)]
async fn a_reply_follows_the_message_that_asks_for_it() {
    let metadata = Metadata {
        reply_stream_name: Some(StreamName::new("desk-1").unwrap()),
        correlation_stream_name: Some(StreamName::new("visit-7").unwrap()),
        ..Metadata::default()
    };
    Spec::of(clerk)
        .when("account:command-123", Deposit { amount: 5 })
        .metadata(metadata)
        .then("desk-1", [Deposited { amount: 5 }])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_by_words_of_its_text() {
    Spec::of(clerk)
        .when("account:command-123", Deposit { amount: 5 })
        .then_failed("it has no reply stream name")
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_effect_in_a_transaction_is_committed() {
    Spec::of(clerk)
        .when("account:command-123", Withdraw { amount: 5 })
        .when("account:command-123", Withdraw { amount: 7 })
        .then_noted(["asked for 5", "asked for 7"])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_rightly_ends_otherwise_is_left_out_with_the_reason() {
    Spec::of(clerk)
        .when("account:command-123", Open { owner: "Ann".into() })
        .then("owner-Ann", [Opened { owner: "Ann".into() }])
        .without(Delivery::Conflict, "a name that somebody else took is rejected")
        .await;
    Spec::of(clerk)
        .given("owner-Ann", [Opened { owner: "Ann".into() }])
        .when("account:command-123", Open { owner: "Ann".into() })
        .then_rejected("the name is taken")
        .await;
}

struct Postman(Arc<Mutex<Vec<u64>>>);

#[handler(AccountEvent, skip(Opened, Withdrawn))]
impl Postman {
    async fn deposited(&self, event: Received<Deposited>) {
        self.0.lock().unwrap().push(event.amount);
    }
}

#[tokio::test]
async fn a_handler_with_an_effect_outside_can_be_brought_its_message_only_once() {
    let mails = Arc::default();
    Spec::of(|_| Postman(Arc::clone(&mails)))
        .when("account-123", Deposited { amount: 5 })
        .then_nothing()
        .only_once("a mail cannot be called back")
        .await;
    assert_eq!(*mails.lock().unwrap(), [5]);
}
