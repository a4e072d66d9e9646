//! `es-entity`, whose statements are checked when this is built: `.sqlx` holds what the check needs.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use es_entity::{
    EntityEvents, EntityEventsBuilder, EntityHydrationError, EsEntity, EsEvent, EsRepo, FromCaller,
    IntoEvents, TryFromEvents,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::account::{self, BATCH, Deposit, deposits, loaded, seeds};
use crate::peer::{NotOffered, Peer, Stopwatch, check_loaded};
use crate::seed;

es_entity::entity_id! { AccountId }

#[derive(Debug, Serialize, Deserialize, EsEvent)]
#[serde(tag = "type", rename_all = "snake_case")]
#[es_event(id = "AccountId")]
pub enum AccountEvent {
    Deposited { account: String, amount: u64, note: String },
    Withdrawn { account: String, amount: u64 },
}

fn deposited(deposit: Deposit) -> AccountEvent {
    let Deposit { account, amount, note } = deposit;
    AccountEvent::Deposited { account, amount, note }
}

#[derive(EsEntity)]
#[es_entity(new = "NewAccount", event = "AccountEvent")]
pub struct Account {
    pub id: AccountId,
    pub state: account::Account,
    events: EntityEvents<AccountEvent>,
}

impl Account {
    fn deposit(&mut self, deposit: Deposit) {
        self.state.deposit(deposit.amount);
        self.events.push(deposited(deposit));
    }
}

impl TryFromEvents<AccountEvent> for Account {
    fn try_from_events(events: EntityEvents<AccountEvent>) -> Result<Self, EntityHydrationError> {
        let mut state = account::Account::default();
        for event in events.iter_all() {
            match event {
                AccountEvent::Deposited { amount, .. } => state.deposit(*amount),
                AccountEvent::Withdrawn { amount, .. } => state.withdraw(*amount),
            }
        }
        Ok(Self { id: *events.id(), state, events })
    }
}

/// An account that begins with its first deposits.
pub struct NewAccount {
    id: AccountId,
    deposits: Vec<Deposit>,
}

impl IntoEvents<AccountEvent> for NewAccount {
    type IdSource = FromCaller;

    fn into_events(
        self,
        builder: EntityEventsBuilder<AccountEvent, FromCaller>,
    ) -> EntityEvents<AccountEvent> {
        builder.initial_events(self.id, self.deposits.into_iter().map(deposited))
    }
}

#[derive(EsRepo)]
#[es_repo(
    entity = "Account",
    id(ty = "AccountId", source = caller),
    tbl = "accounts",
    events_tbl = "account_events"
)]
pub struct Accounts {
    pool: PgPool,
}

struct EsEntityPeer {
    accounts: Accounts,
}

fn id_of(account: &str) -> Result<AccountId> {
    Ok(AccountId::from(Uuid::parse_str(account)?))
}

fn new_account(account: &str, deposits: Vec<Deposit>) -> Result<NewAccount> {
    Ok(NewAccount { id: id_of(account)?, deposits })
}

/// The log is left out, for nothing reads events of many entities.
pub async fn prepare(url: &str, _: usize) -> Result<Box<dyn Peer>> {
    let pool = seed::pool(url).await?;
    sqlx::raw_sql(include_str!("es_entity.sql")).execute(&pool).await?;
    let accounts = Accounts { pool: pool.clone() };
    for events in [account::SHORT, account::LONG] {
        let account = loaded(events);
        let deposits = seeds(0).map(|seed| seed.deposit).filter(|it| it.account == account);
        accounts.create(new_account(&account, deposits.collect())?).await.context("create")?;
    }
    seed::settle(&pool).await?;
    Ok(Box::new(EsEntityPeer { accounts }))
}

impl EsEntityPeer {
    async fn load_one(&self, id: AccountId) -> Result<Account> {
        self.accounts.find_by_id(id).await.context("find_by_id")
    }
}

#[async_trait(?Send)]
impl Peer for EsEntityPeer {
    async fn append(&mut self, count: usize) -> Result<Duration> {
        let (account, mut deposits) = deposits(count + 1);
        let first = vec![deposits.remove(0)];
        let mut account = self.accounts.create(new_account(&account, first)?).await?;
        let mut watch = Stopwatch::default();
        for deposit in deposits {
            account.deposit(deposit);
            watch.of(self.accounts.update(&mut account)).await?;
        }
        Ok(watch.total())
    }

    async fn batch(&mut self, count: usize) -> Result<Duration> {
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let (account, deposits) = deposits(BATCH);
            let account = new_account(&account, deposits)?;
            watch.after_first(number, self.accounts.create(account)).await?;
        }
        Ok(watch.total())
    }

    async fn load(&mut self, events: usize, count: usize) -> Result<Duration> {
        let id = id_of(&loaded(events))?;
        self.load_one(id).await?;
        let mut watch = Stopwatch::default();
        for _ in 0..count {
            check_loaded(&watch.of(self.load_one(id)).await?.state, events)?;
        }
        Ok(watch.total())
    }

    async fn replay(&mut self, _: usize) -> Result<Duration> {
        bail!(NotOffered("it loads entities and does not read events of many"))
    }

    async fn end(&mut self, _: usize) -> Result<Duration> {
        bail!(NotOffered("it has no subscribers; they are in another crate, obix"))
    }
}
