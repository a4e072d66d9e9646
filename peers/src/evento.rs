//! `evento` on PostgreSQL, whose payloads are `bitcode` and not JSON.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use evento::cursor::Args;
use evento::metadata::{Event, Metadata};
use evento::migrator::{Migrate, Plan};
use evento::projection::Projection;
use evento::subscription::{Context, SubscriptionBuilder};
use evento::{Aggregate, EventFilter, Executor, Postgres, TenantFilter};
use sqlx09::postgres::PgPoolOptions;
use tokio::sync::mpsc;
use ulid::Ulid;

use crate::account::{self, BATCH, Deposit, deposits, fresh, loaded};
use crate::peer::{Peer, Stopwatch, check_loaded, check_replayed, until_handled};
use crate::seed;

/// What is read at once in a replay. A load reads a hundred at once, which nobody can change.
const PAGE: usize = 1_000;

#[evento::aggregate(name = "peers/Account")]
pub enum Account {
    Deposited { account: String, amount: u64, note: String },
    Withdrawn { account: String, amount: u64 },
}

/// Evento reads together what is of one type of aggregate, so the log is of another.
#[evento::aggregate(name = "peers/Log")]
pub enum Log {
    Logged { account: String, amount: u64, note: String },
    Unlogged { account: String, amount: u64 },
}

#[evento::projection]
#[evento::snapshot(none)]
pub struct AccountView {
    state: account::Account,
}

#[evento::handler]
async fn on_deposited(event: Event<Deposited>, view: &mut AccountView) -> Result<()> {
    view.state.deposit(event.data.amount);
    Ok(())
}

#[evento::handler]
async fn on_withdrawn(event: Event<Withdrawn>, view: &mut AccountView) -> Result<()> {
    view.state.withdraw(event.data.amount);
    Ok(())
}

#[evento::subscription]
async fn hear<E: Executor>(context: &Context<'_, E>, event: Event<Deposited>) -> Result<()> {
    let handled: mpsc::UnboundedSender<String> = context.extract();
    handled.send(event.data.account.clone())?;
    Ok(())
}

fn deposited(deposit: Deposit) -> Deposited {
    let Deposit { account, amount, note } = deposit;
    Deposited { account, amount, note }
}

fn logged(deposit: Deposit) -> Logged {
    let Deposit { account, amount, note } = deposit;
    Logged { account, amount, note }
}

struct Evento {
    store: Postgres,
}

pub async fn prepare(url: &str, replay: usize) -> Result<Box<dyn Peer>> {
    let pool =
        PgPoolOptions::new().max_connections(5).test_before_acquire(false).connect(url).await?;
    let mut connection = pool.acquire().await?;
    evento::sql_migrator::new::<sqlx09::Postgres>()?
        .run(&mut *connection, &Plan::apply_all())
        .await?;
    drop(connection);
    let store: Postgres = pool.into();
    // A millisecond for each event, so that they lie in time as if written one after the other.
    let end = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut at = end - Duration::from_millis((replay + account::SHORT + account::LONG) as u64);
    for chunk in seed::chunks(replay) {
        let mut events = Vec::new();
        for seed in chunk {
            at += Duration::from_millis(1);
            let account = seed.deposit.account.clone();
            let (aggregate_type, name, data) = if seed.log {
                (Log::aggregate_type(), "Logged", bitcode::encode(&logged(seed.deposit)))
            } else {
                (Account::aggregate_type(), "Deposited", bitcode::encode(&deposited(seed.deposit)))
            };
            events.push(evento::Event {
                id: Ulid::generate(),
                aggregate_id: account,
                aggregate_type: aggregate_type.to_owned(),
                version: u16::try_from(seed.position + 1)?,
                name: name.to_owned(),
                routing_key: None,
                tenant: String::new(),
                data,
                metadata: Metadata::default(),
                timestamp: at.as_secs(),
                timestamp_subsec: at.subsec_millis(),
            });
        }
        store.replicate(events).await?;
    }
    seed::settle(&seed::pool(url).await?).await?;
    Ok(Box::new(Evento { store }))
}

impl Evento {
    async fn write(&self, account: &str, events: &[Deposited], version: u16) -> Result<()> {
        let mut write = evento::append(account);
        write.original_version(version);
        for event in events {
            write.event(event);
        }
        write.commit(&self.store).await?;
        Ok(())
    }

    async fn load_one(&self, account: &str) -> Result<account::Account> {
        let view: Option<AccountView> = Projection::<_, AccountView>::new::<Account>()
            .handler(on_deposited())
            .handler(on_withdrawn())
            // As its documentation has it for commands; it is the faster of the two.
            .strict()
            .load(account)
            .execute(&self.store)
            .await?;
        Ok(view.context("there is no such account")?.state)
    }

    async fn replay_all(&self, count: usize) -> Result<usize> {
        let filters: Arc<[EventFilter]> = Arc::from([EventFilter::by_type::<Log>()]);
        let mut found = 0;
        let mut cursor = None;
        while found < count {
            let size = u16::try_from(PAGE.min(count - found))?;
            let filters = Some(Arc::clone(&filters));
            let args = Args::forward(size, cursor.take());
            let page = self.store.read(filters, None, TenantFilter::All, args, None).await?;
            for edge in &page.edges {
                std::hint::black_box(LogEvent::try_from(&edge.node)?);
            }
            found += page.edges.len();
            cursor = page.page_info.end_cursor;
            if page.edges.is_empty() || cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

#[async_trait(?Send)]
impl Peer for Evento {
    async fn append(&mut self, count: usize) -> Result<Duration> {
        let (account, deposits) = deposits(count + 1);
        let events: Vec<_> = deposits.into_iter().map(deposited).collect();
        let (first, others) = events.split_first().context("no events")?;
        self.write(&account, std::slice::from_ref(first), 0).await?;
        let mut watch = Stopwatch::default();
        for (version, event) in (1..).zip(others) {
            watch.of(self.write(&account, std::slice::from_ref(event), version)).await?;
        }
        Ok(watch.total())
    }

    async fn batch(&mut self, count: usize) -> Result<Duration> {
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let (account, deposits) = deposits(BATCH);
            let events: Vec<_> = deposits.into_iter().map(deposited).collect();
            watch.after_first(number, self.write(&account, &events, 0)).await?;
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
        self.replay_all(1).await?;
        let mut watch = Stopwatch::default();
        check_replayed(watch.of(self.replay_all(count)).await?, count)?;
        Ok(watch.total())
    }

    async fn end(&mut self, count: usize) -> Result<Duration> {
        let (handled, mut seen) = mpsc::unbounded_channel::<String>();
        // With its defaults: a write in the process wakes it, and it handles what is a second old.
        let subscription = SubscriptionBuilder::new("peers")
            .data(handled)
            .handler(hear())
            .start_from_latest()
            .start(&self.store)
            .await?;
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let account = fresh();
            let event = deposited(Deposit::of(&account, 0));
            let there_and_back = async {
                self.write(&account, &[event], 0).await?;
                until_handled(&mut seen, &account).await
            };
            watch.after_first(number, there_and_back).await?;
        }
        subscription.shutdown().await?;
        Ok(watch.total())
    }
}
