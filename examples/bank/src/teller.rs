//! Who handles commands, and who carries the money of a transfer to the other account.

use crate::account::Account;
use crate::messages::*;
use evenfold::{Entities, Transacted, prelude::*};

type Answer = Result<Transacted, Error>;

pub(crate) struct Teller(pub(crate) Entities<Account>);

#[handler(AccountCommand)]
impl Teller {
    async fn open(&self, command: Received<Open>) -> Answer {
        self.decide(&command, |account| account.open(&command.owner)).await
    }
    async fn deposit(&self, command: Received<Deposit>) -> Answer {
        self.decide(&command, |account| account.deposit(command.amount)).await
    }
    async fn withdraw(&self, command: Received<Withdraw>) -> Answer {
        self.decide(&command, |account| account.withdraw(command.amount)).await
    }
    async fn transfer(&self, command: Received<Transfer>) -> Answer {
        self.decide(&command, |account| account.send(&command.to, command.amount)).await
    }
    async fn close(&self, command: Received<Close>) -> Answer {
        self.decide(&command, Account::close).await
    }
}

impl Teller {
    /// A refusal is an event too, so that it is known tomorrow what was refused and why.
    async fn decide<M: Message>(
        &self,
        command: &Received<M>,
        decide: impl Fn(&Account) -> Result<AccountEvent, &'static str> + Send,
    ) -> Answer {
        let refused = |reason: &str| Refused { command: M::TYPE.into(), reason: reason.into() };
        self.0
            .transact(command.entity_id()?, move |account| {
                Ok(vec![decide(account).unwrap_or_else(|reason| refused(reason).into())])
            })
            .following(command)
            .await
    }
}

pub(crate) struct Courier(pub(crate) Entities<Account>);

#[handler(
    AccountEvent,
    skip(Opened, Deposited, Withdrawn, TransferReceived, TransferReturned, Closed, Refused)
)]
impl Courier {
    async fn transfer_sent(&self, event: Received<TransferSent>) -> Answer {
        let (from, amount) = (event.entity_id()?.to_string(), event.amount);
        let receive = |to: &Account| Ok(vec![to.receive(from.clone(), amount)]);
        self.0.transact(event.to.as_str(), receive).following(&event).await
    }
    async fn transfer_declined(&self, event: Received<TransferDeclined>) -> Answer {
        let returned = |_: &Account| Ok(vec![TransferReturned { amount: event.amount }.into()]);
        self.0.transact(event.from.as_str(), returned).following(&event).await
    }
}
