//! Our side of the work that peers do: the same events, on our schema.

use std::time::{Duration, Instant};

use evenfold::prelude::*;
use evenfold::stores::CategoryQuery;
use evenfold::{ExpectedVersion, GlobalPosition, Ids, Position, Store, TimeOrderedIds};
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::Outcome;
use futures::TryStreamExt;
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::postgres::server::Core;

/// The data of an event, as long as that of the peers.
#[derive(Clone, Message)]
struct Deposited {
    account: String,
    amount: u64,
    note: String,
}

#[derive(Message)]
struct Withdrawn {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
}

#[derive(Default)]
struct Account {
    balance: u64,
    events: u32,
}

#[reducer(AccountEvent)]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
        self.events += 1;
    }

    fn withdrawn(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
        self.events += 1;
    }
}

/// A read model that tells when it has an event.
struct View(UnboundedSender<String>);

#[handler(AccountEvent, skip(Withdrawn))]
impl View {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        Ok(self.0.send(event.account.clone())?)
    }
}

const NOTE: &str = "salary for the month of November, paid by the usual standing order; \
                    see the agreement of last year, page 12";
const BATCH: u32 = 100;

pub(super) struct Ours {
    store: Store,
    log: Category,
    /// Gone with this handle.
    _database: TestDatabase,
}

impl Ours {
    pub(super) async fn prepare(log: u32, core: Core) -> Outcome<Self> {
        let database = TestDatabase::new().await?;
        core.take_server(&database.url()).await?;
        let store = evenfold::connect(&database.url()).await?;
        for (id, events) in [("100", 100), ("10000", 10_000)] {
            write(&store, &format!("account-{id}"), events).await?;
        }
        for account in 0..1000 {
            write(&store, &format!("log-{account}"), log / 1000).await?;
        }
        let mut connection = PgConnection::connect(&database.url()).await?;
        sqlx::query("VACUUM ANALYZE").execute(&mut connection).await?;
        Ok(Self { store, log: "log".parse()?, _database: database })
    }

    /// How long a work took once.
    pub(super) async fn turn(&self, work: &str, times: u32) -> Outcome<Duration> {
        let took = match work {
            "append" => self.append(times).await?,
            "batch" => self.batch(times).await?,
            "load100" => self.load("100", 100, times).await?,
            "load10000" => self.load("10000", 10_000, times).await?,
            "replay" => self.replay(times).await?,
            _ => self.end_to_end(times).await?,
        };
        Ok(took / times)
    }

    async fn append(&self, times: u32) -> Outcome<Duration> {
        let account = fresh();
        let stream = StreamName::new(format!("account-{account}"))?;
        let mut last = self.store.write(&stream, deposit(&account)).await?.last();
        let events: Vec<_> = (0..times).map(|_| deposit(&account)).collect();
        let begin = Instant::now();
        for event in events {
            let expected = ExpectedVersion::At(last);
            last = self.store.write(&stream, event).expecting(expected).await?.last();
        }
        let took = begin.elapsed();
        whole(last, times + 1)?;
        Ok(took)
    }

    async fn batch(&self, times: u32) -> Outcome<Duration> {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let account = fresh();
            let stream = StreamName::new(format!("account-{account}"))?;
            let events: Vec<_> = (0..BATCH).map(|_| deposit(&account)).collect();
            let begin = Instant::now();
            let write = self.store.write_all(&stream, events);
            let written = write.expecting(ExpectedVersion::NoStream).await?;
            took += begin.elapsed();
            whole(written.last(), BATCH)?;
        }
        Ok(took)
    }

    async fn load(&self, id: &str, events: u32, times: u32) -> Outcome<Duration> {
        let accounts = self.store.entities::<Account>();
        let begin = Instant::now();
        for _ in 0..times {
            all(accounts.load(id).await?.state.events, events)?;
        }
        Ok(begin.elapsed())
    }

    async fn replay(&self, events: u32) -> Outcome<Duration> {
        let query = CategoryQuery::new(self.log.clone());
        let begin = Instant::now();
        let mut messages = std::pin::pin!(self.store.read_category(&query, GlobalPosition::START));
        let mut found = 0;
        while let Some(recorded) = messages.try_next().await? {
            found += u32::from(AccountEvent::decode(&recorded)?.is_some());
            if found == events {
                break;
            }
        }
        let took = begin.elapsed();
        all(found, events)?;
        Ok(took)
    }

    async fn end_to_end(&self, times: u32) -> Outcome<Duration> {
        // It has no past to read.
        let head = self.store.messages().category_head(&AccountEvent::category()).await?;
        let (told, mut seen) = unbounded_channel();
        let view = self.store.subscriber(&format!("view{}", fresh()), View(told));
        let view = view.start_at(head.map_or(GlobalPosition::START, GlobalPosition::next));
        let view = tokio::spawn(view.run());
        let mut took = Duration::ZERO;
        for time in 0..=times {
            let account = fresh();
            let event = deposit(&account);
            let begin = Instant::now();
            self.store.send::<AccountEvent>(&account, event).await?;
            let handled = seen.recv().await;
            // The first finds everything cold.
            if time > 0 {
                took += begin.elapsed();
            }
            all(u32::from(handled.as_ref() == Some(&account)), 1)?;
        }
        view.abort();
        Ok(took)
    }
}

async fn write(store: &Store, stream: &str, events: u32) -> Outcome {
    store.write_all(stream, (0..events).map(|_| deposit(stream))).await?;
    Ok(())
}

fn deposit(account: &str) -> Deposited {
    Deposited { account: account.to_owned(), amount: 100, note: NOTE.to_owned() }
}

fn fresh() -> String {
    TimeOrderedIds.next().to_string()
}

/// That the stream has so many events.
fn whole(last: Position, events: u32) -> Outcome {
    all(u32::try_from(last.get() + 1)?, events)
}

fn all(count: u32, of: u32) -> Outcome {
    if count == of { Ok(()) } else { Err(format!("{count} of {of}").into()) }
}
