//! evenfold against what a user would pick instead, at the same work on the same server.
//!
//! Owns the comparisons. Our side of the work is `ours.rs`; each peer is a process of the package in
//! `peers/`, which is told by lines what to do (`theirs.rs`). They are asked for by the word `peers`,
//! and when the table is recorded: to build them takes some minutes.

mod ours;
mod theirs;

use std::time::Duration;

use evenfold_tests::Outcome;
use evenfold_tests::asked;

use crate::harness::{Pace, Report, compare_at};
use ours::Ours;
use theirs::Theirs;

/// A work as the peers know it, its title and picture, and how often it is done in a turn.
const WORKS: [(&str, &str, &str, u32); 6] = [
    ("append", "Peers: append an event, expecting a version", "peers-append", 100),
    ("batch", "Peers: append 100 events to a new stream", "peers-batch", 5),
    ("load100", "Peers: load an entity of 100 events", "peers-load-100", 20),
    ("load10000", "Peers: load an entity of 10,000 events", "peers-load-10000", 1),
    ("replay", "Peers: read and decode the events of the log", "peers-replay", 20_000),
    ("end", "Peers: from a command to the read model", "peers-end-to-end", 3),
];

/// How many events the log has.
const LOG: u32 = 20_000;

/// A turn that takes longer than this is not taken as often.
const LONG: Duration = Duration::from_secs(2);

pub(crate) async fn all(report: &mut Report) -> Outcome {
    let Some(programs) = theirs::programs() else { return Ok(()) };
    let ours = Ours::prepare(LOG).await?;
    let mut peers = Vec::new();
    for (program, name) in programs {
        peers.push(Theirs::start(&program, name, LOG).await?);
    }
    for (work, title, file, times) in WORKS {
        report.part(title, file);
        for peer in &mut peers {
            let name = format!("{work}: evenfold / {}", peer.version);
            if !asked::for_this("peers") && !asked::for_this(&name) {
                continue;
            }
            // What a peer does not offer, or fails at, is said and not left out.
            let pace = match peer.ask(work, times).await? {
                Ok(once) if once * times > LONG => Pace::Slowest,
                Ok(_) => Pace::Slow,
                Err(reason) => {
                    report.note(format!("{work}: {}: {reason}", peer.version))?;
                    continue;
                }
            };
            let one = async || ours.turn(work, times).await;
            let other = async || Ok(peer.ask(work, times).await??);
            report.add(compare_at(pace, name, Some(1.0), one, other).await?)?;
        }
    }
    Ok(())
}
