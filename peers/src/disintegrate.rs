//! `disintegrate` with `disintegrate-postgres`, its payloads in JSON.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use async_trait::async_trait;
use disintegrate::serde::json::Json;
use disintegrate::{
    Event, EventListener, EventSourcedStateStore, EventStore, LoadState, NoSnapshot,
    PersistedEvent, StateMutate, StateQuery, StreamItem, StreamQuery, query,
};
use disintegrate_postgres::{PgEventId, PgEventListener, PgEventListenerConfig, PgEventStore};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::account::{Account, BATCH, Deposit, deposits, fresh, loaded};
use crate::peer::{Peer, Stopwatch, check_loaded, check_replayed, until_handled};
use crate::seed;

/// Disintegrate has no categories: what is read together is told apart by the types of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[stream(AccountEvent, [Deposited, Withdrawn])]
#[stream(LogEvent, [Logged, Unlogged])]
enum DomainEvent {
    Deposited {
        #[id]
        account: String,
        amount: u64,
        note: String,
    },
    Withdrawn {
        #[id]
        account: String,
        amount: u64,
    },
    Logged {
        #[id]
        account: String,
        amount: u64,
        note: String,
    },
    Unlogged {
        #[id]
        account: String,
        amount: u64,
    },
}

fn deposited(deposit: Deposit) -> DomainEvent {
    let Deposit { account, amount, note } = deposit;
    DomainEvent::Deposited { account, amount, note }
}

fn logged(deposit: Deposit) -> DomainEvent {
    let Deposit { account, amount, note } = deposit;
    DomainEvent::Logged { account, amount, note }
}

#[derive(Debug, Clone, Serialize, Deserialize, StateQuery)]
#[state_query(AccountEvent)]
struct AccountState {
    #[id]
    account: String,
    state: Account,
}

impl StateMutate for AccountState {
    fn mutate(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::Deposited { amount, .. } => self.state.deposit(amount),
            AccountEvent::Withdrawn { amount, .. } => self.state.withdraw(amount),
        }
    }
}

type Store = PgEventStore<DomainEvent, Json<DomainEvent>>;
type States = EventSourcedStateStore<PgEventId, DomainEvent, Store, NoSnapshot>;

struct Disintegrate {
    store: Store,
    states: States,
}

pub async fn prepare(url: &str, replay: usize) -> Result<Box<dyn Peer>> {
    let pool = seed::pool(url).await?;
    let store = match Store::try_new(pool.clone(), Json::default()).await {
        Ok(store) => store,
        Err(error) => by_hand(&pool).await.with_context(|| format!("after {error}"))?,
    };
    for chunk in seed::chunks(replay) {
        let events = chunk
            .into_iter()
            .map(|seed| if seed.log { logged(seed.deposit) } else { deposited(seed.deposit) });
        store.append_without_validation(events.collect()).await?;
    }
    seed::settle(&pool).await?;
    let states = EventSourcedStateStore::new(store.clone(), NoSnapshot);
    Ok(Box::new(Disintegrate { store, states }))
}

/// The schema by hand, which its documentation allows: its own migration writes a number as
/// `0xFFFFFFFF`, a syntax error before PostgreSQL 16. Nothing else differs.
async fn by_hand(pool: &PgPool) -> Result<Store> {
    let server: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
        .fetch_one(pool)
        .await?;
    ensure!(server < 160_000, "its migration failed");
    sqlx::raw_sql(
        "CREATE FUNCTION event_store_begin_epoch() RETURNS void AS $$
         DECLARE
             id BIGINT;
             db_id INT;
         BEGIN
             SELECT last_value INTO id FROM seq_event_event_id;
             SELECT oid INTO db_id FROM pg_database WHERE datname = current_database();

             PERFORM pg_try_advisory_xact_lock_shared(db_id, 0);
             PERFORM pg_try_advisory_xact_lock_shared(1, (id & 4294967295)::bit(32)::integer);
             PERFORM pg_try_advisory_xact_lock_shared(2, (id >> 32)::bit(32)::integer);
         END;
         $$ LANGUAGE plpgsql;
         ALTER TABLE event ADD COLUMN account TEXT;
         CREATE INDEX idx_event_account ON event (account) WHERE account IS NOT NULL;",
    )
    .execute(pool)
    .await?;
    Ok(Store::new_uninitialized(pool.clone(), Json::default()))
}

fn of_account(account: &str) -> StreamQuery<PgEventId, AccountEvent> {
    query!(AccountEvent; account == account.to_owned())
}

impl Disintegrate {
    /// Appends after the version that a decision was made on, and returns the next.
    async fn write(
        &self,
        events: Vec<DomainEvent>,
        query: StreamQuery<PgEventId, AccountEvent>,
        version: PgEventId,
    ) -> Result<PgEventId> {
        let persisted = self.store.append(events, query, version).await?;
        Ok(persisted.last().context("nothing was appended")?.id())
    }

    async fn load_one(&self, account: &str) -> Result<Account> {
        let query = AccountState { account: account.to_owned(), state: Account::default() };
        let loaded = self.states.load(query).await.map_err(|error| anyhow!(error))?;
        Ok(loaded.state().state.clone())
    }

    async fn replay_all(&self, count: usize) -> Result<usize> {
        let query = query!(LogEvent);
        let mut items = self.store.stream::<LogEvent>(&query);
        let mut found = 0;
        while found < count {
            match items.next().await.context("the log ended")?? {
                StreamItem::Event(event) => {
                    std::hint::black_box(&*event);
                    found += 1;
                }
                StreamItem::End(_) => break,
            }
        }
        Ok(found)
    }
}

#[async_trait(?Send)]
impl Peer for Disintegrate {
    async fn append(&mut self, count: usize) -> Result<Duration> {
        let (account, mut deposits) = deposits(count + 1);
        let query = of_account(&account);
        let first = vec![deposited(deposits.remove(0))];
        let mut version = self.write(first, query.clone(), 0).await?;
        let mut watch = Stopwatch::default();
        for deposit in deposits {
            let events = vec![deposited(deposit)];
            version = watch.of(self.write(events, query.clone(), version)).await?;
        }
        Ok(watch.total())
    }

    async fn batch(&mut self, count: usize) -> Result<Duration> {
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let (account, deposits) = deposits(BATCH);
            let events = deposits.into_iter().map(deposited).collect();
            watch.after_first(number, self.write(events, of_account(&account), 0)).await?;
        }
        Ok(watch.total())
    }

    async fn load(&mut self, events: usize, count: usize) -> Result<Duration> {
        let account = loaded(events);
        self.load_one(&account).await?;
        let mut watch = Stopwatch::default();
        for _ in 0..count {
            check_loaded(&watch.of(self.load_one(&account)).await?, events)?;
        }
        Ok(watch.total())
    }

    async fn replay(&mut self, count: usize) -> Result<Duration> {
        let mut watch = Stopwatch::default();
        check_replayed(watch.of(self.replay_all(count)).await?, count)?;
        Ok(watch.total())
    }

    async fn end(&mut self, count: usize) -> Result<Duration> {
        let (handled, mut seen) = mpsc::unbounded_channel();
        let listener = Listener { query: query!(AccountEvent), handled };
        // What its documentation calls real time; the poll is for what a notification misses.
        let config = PgEventListenerConfig::poller(Duration::from_secs(1)).with_notifier();
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = PgEventListener::builder(self.store.clone())
            .register_listener(listener, config)
            .start_with_shutdown(async { _ = stopped.await });
        let listener = tokio::spawn(listener);
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let account = fresh();
            let (query, events) = (of_account(&account), vec![deposited(Deposit::of(&account, 0))]);
            let there_and_back = async {
                self.write(events, query, 0).await?;
                until_handled(&mut seen, &account).await
            };
            watch.after_first(number, there_and_back).await?;
        }
        _ = stop.send(());
        listener.await??;
        Ok(watch.total())
    }
}

struct Listener {
    query: StreamQuery<PgEventId, AccountEvent>,
    handled: mpsc::UnboundedSender<String>,
}

#[async_trait]
impl EventListener<PgEventId, AccountEvent> for Listener {
    type Error = Infallible;

    fn id(&self) -> &'static str {
        "peers"
    }

    fn query(&self) -> &StreamQuery<PgEventId, AccountEvent> {
        &self.query
    }

    async fn handle(
        &self,
        event: PersistedEvent<PgEventId, AccountEvent>,
    ) -> Result<(), Self::Error> {
        let (AccountEvent::Deposited { account, .. } | AccountEvent::Withdrawn { account, .. }) =
            event.into_inner();
        _ = self.handled.send(account);
        Ok(())
    }
}
