//! `postgres-es`, the PostgreSQL store of `cqrs-es`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventRepository, PersistedEventStore};
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, EventStore, Query};
use postgres_es::{PostgresEventRepository, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::account::{Account, AccountEvent, BATCH, Deposit, deposits, fresh, loaded};
use crate::peer::{Peer, Stopwatch, check_loaded, check_replayed};
use crate::seed;

/// The schema that its documentation asks for; the crate has no migration.
const SCHEMA: &str = "
    CREATE TABLE events
    (
        aggregate_type text                         NOT NULL,
        aggregate_id   text                         NOT NULL,
        sequence       bigint CHECK (sequence >= 0) NOT NULL,
        event_type     text                         NOT NULL,
        event_version  text                         NOT NULL,
        payload        json                         NOT NULL,
        metadata       json                         NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )";

/// The account, or one of the log: what is replayed together is an aggregate's type.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger<const LOG: bool>(Account);

impl<const LOG: bool> Aggregate for Ledger<LOG> {
    const TYPE: &'static str = if LOG { "log" } else { "account" };
    type Command = Deposit;
    type Event = AccountEvent;
    type Error = Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        command: Deposit,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Infallible> {
        sink.write(command.event(), self).await;
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        self.0.apply(&event);
    }
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Deposited { .. } => "Deposited".to_owned(),
            Self::Withdrawn { .. } => "Withdrawn".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

struct PostgresEs {
    pool: PgPool,
    store: PersistedEventStore<PostgresEventRepository, Ledger<false>>,
}

pub async fn prepare(url: &str, replay: usize) -> Result<Box<dyn Peer>> {
    let pool = seed::pool(url).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    for chunk in seed::chunks(replay) {
        let mut types = Vec::new();
        let mut ids = Vec::new();
        let mut sequences = Vec::new();
        let mut payloads = Vec::new();
        for seed in chunk {
            types.push(if seed.log { Ledger::<true>::TYPE } else { Ledger::<false>::TYPE });
            sequences.push(i64::try_from(seed.position)? + 1);
            ids.push(seed.deposit.account.clone());
            payloads.push(serde_json::to_value(seed.deposit.event())?);
        }
        sqlx::query(
            "INSERT INTO events
             SELECT type, id, sequence, 'Deposited', '1.0', payload, '{}'
             FROM unnest($1::text[], $2::text[], $3::bigint[], $4::json[])
                AS seed (type, id, sequence, payload)",
        )
        .bind(types)
        .bind(ids)
        .bind(sequences)
        .bind(payloads)
        .execute(&pool)
        .await?;
    }
    seed::settle(&pool).await?;
    let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
    Ok(Box::new(PostgresEs { pool, store }))
}

impl PostgresEs {
    /// Appends to an aggregate as it was loaded at a sequence, which is what a command does.
    async fn write(&self, account: &str, events: Vec<AccountEvent>, after: usize) -> Result<()> {
        let context = EventStoreAggregateContext {
            aggregate_id: account.to_owned(),
            aggregate: Ledger::default(),
            current_sequence: after,
            current_snapshot: None,
        };
        self.store.commit(events, context, HashMap::new()).await?;
        Ok(())
    }

    async fn load_one(&self, account: &str) -> Result<Account> {
        Ok(self.store.load_aggregate(account).await?.aggregate.0)
    }

    async fn replay_all(&self, count: usize) -> Result<usize> {
        let repository = PostgresEventRepository::new(self.pool.clone());
        let mut events = repository.stream_all_events::<Ledger<true>>().await?;
        let mut found = 0;
        while found < count {
            let event: EventEnvelope<Ledger<true>> =
                events.next(&[]).await.context("the log ended")??;
            std::hint::black_box(&event.payload);
            found += 1;
        }
        Ok(found)
    }
}

#[async_trait(?Send)]
impl Peer for PostgresEs {
    async fn append(&mut self, count: usize) -> Result<Duration> {
        let (account, mut deposits) = deposits(count + 1);
        self.write(&account, vec![deposits.remove(0).event()], 0).await?;
        let mut watch = Stopwatch::default();
        for (after, deposit) in (1..).zip(deposits) {
            watch.of(self.write(&account, vec![deposit.event()], after)).await?;
        }
        Ok(watch.total())
    }

    async fn batch(&mut self, count: usize) -> Result<Duration> {
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let (account, deposits) = deposits(BATCH);
            let events = deposits.into_iter().map(Deposit::event).collect();
            watch.after_first(number, self.write(&account, events, 0)).await?;
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

    /// Its queries are called in the process after the commit and before `execute` returns; another
    /// process never hears of the event.
    async fn end(&mut self, count: usize) -> Result<Duration> {
        let handled = Arc::new(AtomicUsize::new(0));
        let query = Counter(Arc::clone(&handled));
        let cqrs = postgres_cqrs::<Ledger<false>>(self.pool.clone(), vec![Box::new(query)], ());
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let account = fresh();
            let execute = cqrs.execute(&account, Deposit::of(&account, 0));
            watch.after_first(number, execute).await?;
            let handled = handled.load(Ordering::Relaxed);
            ensure!(handled == number + 1, "handled {handled}, expected {}", number + 1);
        }
        Ok(watch.total())
    }
}

struct Counter(Arc<AtomicUsize>);

#[async_trait]
impl Query<Ledger<false>> for Counter {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Ledger<false>>]) {
        self.0.fetch_add(events.len(), Ordering::Relaxed);
    }
}
