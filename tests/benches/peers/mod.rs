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

/// What is done by all: as the peers know it, and how often in a turn.
type Work = (&'static str, u32);

/// Each with the title and the picture of its part.
const WORKS: [(Work, &str, &str); 6] = [
    (("append", 100), "Peers: append an event, expecting a version", "peers-append"),
    (("batch", 5), "Peers: append 100 events to a new stream", "peers-batch"),
    (("load100", 20), "Peers: load an entity of 100 events", "peers-load-100"),
    (("load10000", 1), "Peers: load an entity of 10,000 events", "peers-load-10000"),
    (("replay", LOG), "Peers: read and decode the events of the log", "peers-replay"),
    (("end", 3), "Peers: from a command to the read model", "peers-end-to-end"),
];

/// How many events the log has, and then one that is replayed alone, in all rounds.
const LOG: u32 = 20_000;
const LONG_LOG: u32 = 1_000_000;

/// A turn that takes longer than this is not taken as often, and one that would take so long is not
/// taken at all.
const LONG: Duration = Duration::from_secs(2);
const TOO_LONG: Duration = Duration::from_mins(2);

pub(crate) async fn all(report: &mut Report) -> Outcome {
    let Some(programs) = theirs::programs() else { return Ok(()) };
    let ours = Ours::prepare(LOG).await?;
    let mut peers = Vec::new();
    for (program, name) in &programs {
        peers.push(Theirs::start(program, name, LOG).await?);
    }
    for (work, title, file) in WORKS {
        report.part(title, file);
        for peer in &mut peers {
            compare(report, work.0, work, &ours, peer).await?;
        }
    }
    drop((ours, peers));
    if asked::quickly() {
        return Ok(());
    }
    report.part("Peers: read and decode a log of 1,000,000 events", "peers-replay-1000000");
    let ours = Ours::prepare(LONG_LOG).await?;
    for (program, name) in &programs {
        let mut peer = Theirs::start(program, name, LONG_LOG).await?;
        compare(report, "replay of 1,000,000", ("replay", LONG_LOG), &ours, &mut peer).await?;
    }
    Ok(())
}

/// What a peer does not offer, fails at, or takes too long for, is said and not left out.
async fn compare(
    report: &mut Report,
    called: &str,
    (work, times): Work,
    ours: &Ours,
    peer: &mut Theirs,
) -> Outcome {
    let name = format!("{called}: evenfold / {}", peer.version);
    if !asked::for_this("peers") && !asked::for_this(&name) {
        return Ok(());
    }
    let few = times.min(LOG);
    let first = match peer.ask(work, few).await? {
        Ok(first) => first,
        Err(reason) => return Ok(report.note(format!("{called}: {}: {reason}", peer.version))?),
    };
    if first * times > TOO_LONG && few < times {
        let would = (first * times).as_secs();
        let note = format!("{called}: {}: not done, for it would take {would} s", peer.version);
        return Ok(report.note(note)?);
    }
    let pace = if first * times > LONG { Pace::Slowest } else { Pace::Slow };
    let one = async || ours.turn(work, times).await;
    let other = async || Ok(peer.ask(work, times).await??);
    report.add(compare_at(pace, name, Some(1.0), one, other).await?)?;
    Ok(())
}
