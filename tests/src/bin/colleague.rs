//! One process of a crowd that shares the work of a subscriber, and is killed or paused at any moment.
//!
//! What its handlers do can be counted afterwards: a message for each one handled, or a row of a
//! table. It judges nothing; who starts and kills it is `tests/crowd`.

use std::io;
use std::time::Duration;

use evenfold::postgres::Transaction;
use evenfold::prelude::*;
use evenfold::{ErrorPolicy, Host, Store, Subscriber};
use evenfold_tests::{AccountEvent, Deposited, Outcome, Withdrawn, poisoned};

/// As many as the tests wait for.
const BUCKETS: u16 = 16;

#[tokio::main]
async fn main() -> Outcome {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false);
    log.with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let [url, role, number, term] = *args else {
        return Err("usage: colleague URL count|park|mend NUMBER TERM_MS".into());
    };
    let store = connect(url).await?;
    let share = |subscriber: Subscriber| -> Outcome<Subscriber> {
        Ok(subscriber
            .leased(BUCKETS)
            .lease_term(Duration::from_millis(term.parse()?))
            .poll_interval(Duration::from_millis(20))
            .error_delay(Duration::from_millis(50))
            .progress_interval(20))
    };
    let notes = |is_mended| Notes { store: store.clone(), is_mended };
    let parks = |is_mended| {
        let policy = ErrorPolicy::park().retries(1).delays(PAUSE, PAUSE);
        share(store.subscriber("parks", notes(is_mended)).concurrency(4).errors(policy))
    };
    let host = match role {
        "count" => {
            let counts = Counts { number: number.parse()? };
            // Its own statements fail where the server goes away, as if it was their fault.
            let policy = ErrorPolicy::stop().retries(20).delays(PAUSE, 10 * PAUSE);
            let counts = store.subscriber("counts", counts).transactional().errors(policy);
            let notes = store.subscriber("notes", notes(true)).concurrency(4);
            Host::new().subscriber(share(notes)?).subscriber(share(counts)?)
        }
        "park" => Host::new().subscriber(parks(false)?),
        "mend" => Host::new().subscriber(parks(true)?),
        _ => return Err(format!("there is no role `{role}`").into()),
    };
    Ok(host.run().await?.into_result().map(drop)?)
}

const PAUSE: Duration = Duration::from_millis(10);

/// It may come while the server is away.
async fn connect(url: &str) -> Outcome<Store> {
    loop {
        match evenfold::connect(url).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(PAUSE).await,
            connected => return Ok(connected?),
        }
    }
}

/// Writes a message for each one that it handles, to a stream for each stream.
struct Notes {
    store: Store,
    is_mended: bool,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Notes {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        let Recorded { stream_name, position, .. } = event.recorded();
        if !self.is_mended && poisoned(stream_name, *position) {
            return Err("it is poison".into());
        }
        let id = stream_name.entity_id().ok_or("a stream without an id")?;
        let seen = format!("seen-{id}");
        let note = Withdrawn::of(event.amount);
        self.store.write(seen.as_str(), note).following(&event).await?;
        Ok(())
    }
}

/// Counts in tables of its own, which would show a message that is counted twice.
struct Counts {
    number: i32,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Counts {
    async fn deposited(
        &self,
        event: Received<Deposited>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        let connection = context.require::<Transaction>()?.connection();
        let Recorded { stream_name, position, .. } = event.recorded();
        sqlx::query("INSERT INTO journal (stream, position, colleague) VALUES ($1, $2, $3)")
            .bind(stream_name.as_str())
            .bind(position.get())
            .bind(self.number)
            .execute(&mut *connection)
            .await?;
        let count = "
            INSERT INTO counters AS counter VALUES ($1, 1, $2, ($2 <> 0)::int)
            ON CONFLICT (stream) DO UPDATE SET
                count = counter.count + 1,
                disorder = counter.disorder + (excluded.last <> counter.last + 1)::int,
                last = excluded.last";
        sqlx::query(count)
            .bind(stream_name.as_str())
            .bind(position.get())
            .execute(connection)
            .await?;
        Ok(())
    }
}
