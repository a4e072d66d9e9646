//! `eventcore` with `eventcore-postgres`.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use eventcore::{Event, ProjectionConfig, Projector, StreamId, StreamPosition, run_projection};
use eventcore_postgres::PostgresEventStore;
use eventcore_types::{
    BatchSize, EventFilter, EventPage, EventReader, EventStore, StreamPrefix, StreamVersion,
    StreamWrites,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::account::{Account, BATCH, Deposit, deposits, fresh, loaded};
use crate::peer::{Peer, Stopwatch, check_loaded, check_replayed, until_handled};
use crate::seed;

/// What is read at once in a replay.
const PAGE: usize = 1_000;

/// An event of eventcore names its stream, so the account is named by its stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum AccountEvent {
    Deposited { account: StreamId, amount: u64, note: String },
    Withdrawn { account: StreamId, amount: u64 },
}

impl Event for AccountEvent {
    fn stream_id(&self) -> &StreamId {
        match self {
            Self::Deposited { account, .. } | Self::Withdrawn { account, .. } => account,
        }
    }

    fn event_type_name() -> &'static str {
        "AccountEvent"
    }
}

impl AccountEvent {
    fn apply_to(&self, account: &mut Account) {
        match self {
            Self::Deposited { amount, .. } => account.deposit(*amount),
            Self::Withdrawn { amount, .. } => account.withdraw(*amount),
        }
    }
}

fn stream(category: &str, account: &str) -> Result<StreamId> {
    Ok(StreamId::try_new(format!("{category}-{account}"))?)
}

fn deposited(stream: &StreamId, deposit: Deposit) -> AccountEvent {
    let Deposit { amount, note, .. } = deposit;
    AccountEvent::Deposited { account: stream.clone(), amount, note }
}

struct EventCore {
    store: PostgresEventStore,
    url: String,
}

pub async fn prepare(url: &str, replay: usize) -> Result<Box<dyn Peer>> {
    let pool = seed::pool(url).await?;
    let store = PostgresEventStore::from_pool(pool.clone());
    store.migrate().await;
    for chunk in seed::chunks(replay) {
        let mut ids = Vec::new();
        let mut streams = Vec::new();
        let mut data = Vec::new();
        for seed in chunk {
            let category = if seed.log { "log" } else { "account" };
            let stream = stream(category, &seed.deposit.account)?;
            data.push(serde_json::to_value(deposited(&stream, seed.deposit))?);
            streams.push(stream.to_string());
            ids.push(Uuid::now_v7());
        }
        // Its own trigger gives each row its version.
        sqlx::query(
            "INSERT INTO eventcore_events (event_id, stream_id, event_type, event_data, metadata)
             SELECT id, stream, $4, data, '{}'
             FROM unnest($1::uuid[], $2::text[], $3::jsonb[]) WITH ORDINALITY
                AS seed (id, stream, data, number)
             ORDER BY number",
        )
        .bind(ids)
        .bind(streams)
        .bind(data)
        .bind(AccountEvent::event_type_name())
        .execute(&pool)
        .await?;
    }
    seed::settle(&pool).await?;
    Ok(Box::new(EventCore { store, url: url.to_owned() }))
}

impl EventCore {
    /// What `execute` does after it loaded the streams of a command.
    async fn write(
        &self,
        stream: &StreamId,
        events: Vec<AccountEvent>,
        version: usize,
    ) -> Result<()> {
        let writes =
            StreamWrites::new().register_stream(stream.clone(), StreamVersion::new(version))?;
        let writes = events.into_iter().try_fold(writes, StreamWrites::append)?;
        self.store.append_events(writes).await?;
        Ok(())
    }

    async fn load_one(&self, stream: &StreamId) -> Result<Account> {
        let mut events = self.store.read_stream::<AccountEvent>(stream.clone()).await?;
        let mut account = Account::default();
        while let Some(event) = events.next().await {
            event?.apply_to(&mut account);
        }
        Ok(account)
    }

    async fn replay_all(&self, count: usize) -> Result<usize> {
        let mut found = 0;
        let mut after: Option<StreamPosition> = None;
        while found < count {
            let size = BatchSize::new(PAGE.min(count - found));
            let page = match after {
                None => EventPage::first(size),
                Some(position) => EventPage::after(position, size),
            };
            let filter = EventFilter::prefix(StreamPrefix::try_new("log-")?);
            let events = self.store.read_events::<AccountEvent>(filter, page).await?;
            found += events.len();
            after = events.last().map(|(_, position)| *position);
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

#[async_trait(?Send)]
impl Peer for EventCore {
    async fn append(&mut self, count: usize) -> Result<Duration> {
        let (account, deposits) = deposits(count + 1);
        let stream = stream("account", &account)?;
        let mut events = deposits.into_iter().map(|deposit| vec![deposited(&stream, deposit)]);
        self.write(&stream, events.next().context("no events")?, 0).await?;
        let mut watch = Stopwatch::default();
        for (version, events) in (1..).zip(events) {
            watch.of(self.write(&stream, events, version)).await?;
        }
        Ok(watch.total())
    }

    async fn batch(&mut self, count: usize) -> Result<Duration> {
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let (account, deposits) = deposits(BATCH);
            let stream = stream("account", &account)?;
            let events = deposits.into_iter().map(|deposit| deposited(&stream, deposit)).collect();
            watch.after_first(number, self.write(&stream, events, 0)).await?;
        }
        Ok(watch.total())
    }

    async fn load(&mut self, events: usize, count: usize) -> Result<Duration> {
        let stream = stream("account", &loaded(events))?;
        self.load_one(&stream).await?;
        let mut watch = Stopwatch::default();
        for _ in 0..count {
            check_loaded(&watch.of(self.load_one(&stream)).await?, events)?;
        }
        Ok(watch.total())
    }

    async fn replay(&mut self, count: usize) -> Result<Duration> {
        self.replay_all(1).await?;
        let mut watch = Stopwatch::default();
        check_replayed(watch.of(self.replay_all(count)).await?, count)?;
        Ok(watch.total())
    }

    async fn end(&mut self, count: usize) -> Result<Duration> {
        let (handled, mut seen) = mpsc::unbounded_channel::<String>();
        // On connections of its own: who follows takes a lock of the session, which the next one must find
        // free.
        let pool = seed::pool(&self.url).await?;
        let store = PostgresEventStore::from_pool(pool.clone());
        // With its defaults, which look again after 50 ms in which nothing came, and after 100 ms else.
        let projection = tokio::spawn(async move {
            run_projection(Heard { handled }, &store, ProjectionConfig::default().continuous())
                .await
        });
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let stream = stream("account", &fresh())?;
            let event = deposited(&stream, Deposit::of(&stream, 0));
            let there_and_back = async {
                self.write(&stream, vec![event], 0).await?;
                until_handled(&mut seen, stream.as_ref()).await
            };
            watch.after_first(number, there_and_back).await?;
        }
        projection.abort();
        projection.await.ok();
        pool.close().await;
        Ok(watch.total())
    }
}

struct Heard {
    handled: mpsc::UnboundedSender<String>,
}

impl Projector for Heard {
    type Event = AccountEvent;
    type Error = Infallible;
    type Context = ();

    fn name(&self) -> &str {
        "peers"
    }

    fn apply(
        &mut self,
        event: AccountEvent,
        _: StreamPosition,
        (): &mut (),
    ) -> Result<(), Infallible> {
        _ = self.handled.send(event.stream_id().to_string());
        Ok(())
    }
}
