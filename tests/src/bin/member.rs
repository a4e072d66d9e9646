//! One process of several: it writes to a store, reads from it, or serves until it is told to stop.
//!
//! Tests start it and drive it by lines: it says what it does on standard output, and goes on when
//! it gets a line. It judges nothing; what must be true of what it says stands with the tests.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use evenfold::message::NewMessage;
use evenfold::prelude::*;
use evenfold::stores::Written;
use evenfold::{ExpectedVersion, Host, Ids, Position, Store, TimeOrderedIds};
use evenfold_tests::{AccountEvent, Deposited, Outcome, Withdrawn};
use tokio::sync::{Mutex, Notify, mpsc};

/// The stream that all writers write to.
const SHARED: &str = "account-shared";

#[tokio::main]
async fn main() -> Outcome {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match *args {
        ["serve", url] => serve(&evenfold::connect(url).await?).await,
        ["write", url, name, count] => {
            write(&evenfold::connect(url).await?, name, count.parse()?).await
        }
        ["read", url, id, total] => read(&evenfold::connect(url).await?, id, total.parse()?).await,
        _ => Err("usage: member serve URL | write URL NAME COUNT | read URL ID TOTAL".into()),
    }
}

fn say(what: impl std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}

/// The lines of standard input. Not tokio's: a read of its would keep the process from ending.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Handles a message for as long as it is not told to go on.
struct Slow {
    go_on: Mutex<mpsc::UnboundedReceiver<String>>,
}

#[handler(AccountEvent)]
impl Slow {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        say(format_args!("in hand {}", event.recorded().position))?;
        self.go_on.lock().await.recv().await;
        Ok(say(format_args!("done {}", event.recorded().position))?)
    }

    async fn withdrawn(&self, _: Received<Withdrawn>) {}
}

struct Quick;

#[handler(AccountEvent, skip(Withdrawn))]
impl Quick {
    async fn deposited(&self, _: Received<Deposited>) {}
}

async fn serve(store: &Store) -> Outcome {
    let slow = Slow { go_on: Mutex::new(lines()) };
    let stops = Host::new()
        .subscriber(store.subscriber("slow", slow))
        .subscriber(store.subscriber("quick", Quick))
        .run()
        .await?;
    for stopped in stops.iter() {
        say(stopped)?;
    }
    Ok(())
}

/// Writes to a stream of its own, where nobody is in its way, and to the one that all write to, in
/// turns and always expecting a version.
async fn write(store: &Store, name: &str, count: u64) -> Outcome {
    let (own, shared) = (StreamName::new(format!("account-{name}"))?, StreamName::new(SHARED)?);
    lines().recv().await;
    let mut version = None;
    let mut conflicts = 0;
    for amount in 0..count {
        let mine = encode(&Deposited::of(amount))?;
        version = Some(settled(store, &own, &mine, ExpectedVersion::from(version)).await?.last());
        let ours = encode(&Deposited::of(amount))?;
        loop {
            let seen: Option<Position> = store.messages().stream_version(&shared).await?;
            match settled(store, &shared, &ours, ExpectedVersion::from(seen)).await {
                Ok(_) => break,
                Err(error) if error.is_conflict() => conflicts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(say(format_args!("conflicts {conflicts}"))?)
}

fn encode(event: &Deposited) -> Result<NewMessage, Error> {
    evenfold::message::Encode::encode(event, TimeOrderedIds.next())
}

/// A write whose outcome is unknown is sent again under the same id.
async fn settled(
    store: &Store,
    stream: &StreamName,
    message: &NewMessage,
    expected: ExpectedVersion,
) -> Result<Written, Error> {
    loop {
        match store.write(stream.clone(), message.clone()).expecting(expected).await {
            Err(error) if error.is_unavailable() => {}
            outcome => return outcome,
        }
    }
}

/// Says of each message where it stands, and stops after so many.
struct Listing {
    total: u64,
    seen: Mutex<u64>,
    complete: Arc<Notify>,
}

#[handler(AccountEvent, skip(Withdrawn))]
impl Listing {
    async fn deposited(&self, event: Received<Deposited>) -> Result<(), HandlerError> {
        let recorded = event.recorded();
        let Recorded { stream_name, position, global_position, id, .. } = recorded;
        say(format_args!("{global_position} {stream_name} {position} {id}"))?;
        let mut seen = self.seen.lock().await;
        *seen += 1;
        if *seen >= self.total {
            self.complete.notify_one();
        }
        Ok(())
    }
}

async fn read(store: &Store, id: &str, total: u64) -> Outcome {
    let complete = Arc::new(Notify::new());
    let listing = Listing { total, seen: Mutex::new(0), complete: Arc::clone(&complete) };
    // Small pages and short pauses, so that it is nearly always at the end of what there is.
    let subscriber = store.subscriber(id, listing).batch_size(7);
    let subscriber = subscriber.poll_interval(Duration::from_millis(1));
    let stop = async move { complete.notified().await };
    Host::new().subscriber(subscriber).run_until(stop).await?.into_result()?;
    Ok(())
}
