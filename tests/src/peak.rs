//! How much memory a read, or a subscriber, takes at its peak, for a program whose allocator is [`PeakAlloc`].
//!
//! Memory that SQLite itself takes is not counted: it is a fixed cache of pages; neither is that of a
//! server.

use evenfold::prelude::*;
use evenfold::projector::Projector;
use evenfold::stores::CategoryQuery;
use evenfold::{ExpectedVersion, GlobalPosition, Store, Subscriber};
use futures::TryStreamExt;
use peak_alloc::PeakAlloc;
use sqlx::{Connection, PgConnection};

use crate::{Account, AccountEvent, Deposited, Outcome, Withdrawn};

/// Makes a stream of so many messages, a thousand at a time.
///
/// # Errors
///
/// Those of the store.
pub async fn fill(store: &Store, stream: &StreamName, messages: u64) -> Outcome {
    let mut written = 0;
    while written < messages {
        let batch = (messages - written).min(1000);
        let events = (0..batch).map(|_| Deposited::of(1));
        store.write_all(stream.clone(), events).expecting(ExpectedVersion::Any).await?;
        written += batch;
    }
    Ok(())
}

/// Projects a stream and tells how many bytes were in use at the peak, beyond those before it.
///
/// # Errors
///
/// Those of the store; or the stream has not this many messages.
pub async fn projecting(store: &Store, stream: &StreamName, messages: u64) -> Outcome<usize> {
    let projector = Projector::<Account>::of_reducer();
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let projection = projector.run_on_stream(store.messages(), stream).await?;
    let peak = PeakAlloc.peak_usage() - before;
    if projection.state.events != messages {
        return Err(format!("{} of {messages} messages", projection.state.events).into());
    }
    Ok(peak)
}

/// Makes a category of so many messages, in 1,000 streams, in a Postgres database: by the server,
/// which is quicker than any client.
///
/// # Errors
///
/// Those of the server.
pub async fn generate(url: &str, category: &str, messages: u64) -> Outcome {
    let mut connection = PgConnection::connect(url).await?;
    let insert = "
        INSERT INTO message_store.messages (stream_name, position, type, data)
        SELECT
            $1 || '-' || n % 1000, n / 1000, 'Deposited', jsonb_build_object(
                'accountId', 'a3f0c2d4e5b6', 'amount', 1, 'time', '2026-11-23T14:15:16.123Z'
            )
        FROM generate_series(0, $2 - 1) AS n";
    sqlx::query(insert)
        .bind(category)
        .bind(i64::try_from(messages)?)
        .execute(&mut connection)
        .await?;
    sqlx::query("ANALYZE message_store.messages").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Reads a category to its end and tells how many bytes were in use at the peak, beyond those before
/// it.
///
/// # Errors
///
/// Those of the store; or the category has not this many messages.
pub async fn reading(store: &Store, category: &str, messages: u64) -> Outcome<usize> {
    let query = CategoryQuery::new(category.parse()?);
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let mut count = 0;
    let mut read = store.read_category(query, GlobalPosition::START);
    while let Some(recorded) = read.try_next().await? {
        count += recorded.decode::<Deposited>()?.amount;
    }
    let peak = PeakAlloc.peak_usage() - before;
    if count != messages {
        return Err(format!("{count} of {messages} messages").into());
    }
    Ok(peak)
}

/// Handles messages, and that is all.
struct Idler;

#[handler(AccountEvent, skip(Withdrawn))]
impl Idler {
    async fn deposited(&self, _: Received<Deposited>) {
        tokio::task::yield_now().await;
    }
}

/// A subscriber of accounts that handles 16 at a time, and does nothing with them.
pub fn idler(store: &Store, id: &str) -> Subscriber {
    store.subscriber(id, Idler).concurrency(16)
}

/// Lets a subscriber handle everything there is for it; how many messages, and how many bytes were in
/// use at the peak, beyond those before it.
///
/// # Errors
///
/// Those of the subscriber.
pub async fn subscribing(subscriber: Subscriber) -> Outcome<(u64, usize)> {
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let polled = subscriber.run_until_caught_up().await?;
    Ok((polled.handled, PeakAlloc.peak_usage().saturating_sub(before)))
}
