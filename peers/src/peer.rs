//! What is asked of every peer, and how it is timed.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::account::{self, Account};

/// A peer whose schema and data are there.
#[async_trait(?Send)]
pub trait Peer {
    /// So many appends of one event each to one stream, one after the other, each its own transaction
    /// that checks the version. The stream is fresh, and has an event before the first that counts.
    async fn append(&mut self, count: usize) -> Result<Duration>;

    /// So many appends of [`account::BATCH`] events at once, each to a new stream.
    async fn batch(&mut self, count: usize) -> Result<Duration>;

    /// So many loads of the account of so many events.
    async fn load(&mut self, events: usize, count: usize) -> Result<Duration>;

    /// Reads and decodes so many events from the beginning of the log.
    async fn replay(&mut self, count: usize) -> Result<Duration>;

    /// So many appends, after each of which a running subscriber is waited for.
    async fn end(&mut self, count: usize) -> Result<Duration>;
}

/// Why a peer does not do a work.
#[derive(Debug)]
pub struct NotOffered(pub &'static str);

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotOffered {}

/// A subscriber that has not handled an event by then has lost it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a subscriber has handled the event of this account; before the first one it handles the past.
pub async fn until_handled(seen: &mut UnboundedReceiver<String>, account: &str) -> Result<()> {
    loop {
        let heard = timeout(PATIENCE, seen.recv()).await.context("an event got lost")?;
        if heard.context("the subscriber ended")? == account {
            return Ok(());
        }
    }
}

/// Adds up what the peer's own calls took.
#[derive(Debug, Default)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    pub async fn of<F: Future>(&mut self, call: F) -> F::Output {
        let began = Instant::now();
        let output = call.await;
        self.0 += began.elapsed();
        output
    }

    /// Counts all but number 0, which warms the connection.
    pub async fn after_first<F: Future>(&mut self, number: usize, call: F) -> F::Output {
        match number {
            0 => call.await,
            _ => self.of(call).await,
        }
    }

    pub fn total(self) -> Duration {
        self.0
    }
}

/// A loaded state is that of all events, each once.
pub fn check_loaded(found: &Account, events: usize) -> Result<()> {
    let expected = account::expected(events);
    ensure!(*found == expected, "loaded {found:?}, expected {expected:?}");
    Ok(())
}

/// A replay read as many events as asked, and each of them was decoded.
pub fn check_replayed(found: usize, count: usize) -> Result<()> {
    ensure!(found == count, "replayed {found} events, expected {count}");
    Ok(())
}
