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
use tokio::time::timeout;

use crate::harness::{Pace, Report, compare_at};
use crate::postgres::server::Core;
use ours::Ours;
use theirs::{Program, Theirs};

/// What is done by all: as the peers know it, and how often in a turn.
type Work = (&'static str, u32);

/// Each with the title and the picture of its part.
const WORKS: [(Work, &str, &str); 6] = [
    (("append", 100), "Peers: append an event, expecting a version", "peers-append"),
    (("batch", 5), "Peers: append 100 events to a new stream", "peers-batch"),
    (("load100", 20), "Peers: load an entity of 100 events", "peers-load-100"),
    (("load10000", 1), "Peers: load an entity of 10,000 events", "peers-load-10000"),
    (("replay", LOG), "Peers: read and decode the events of the log", "peers-replay"),
    (("end", 10), "Peers: from a command to the read model", "peers-end-to-end"),
];

/// How many events the log has, and then one that is replayed alone, in all rounds.
const LOG: u32 = 20_000;
const LONG_LOG: u32 = 1_000_000;

/// A turn that takes longer than this is not taken as often, and one that would take so long is not
/// taken at all.
const LONG: Duration = Duration::from_secs(2);
const TOO_LONG: Duration = Duration::from_mins(1);

/// To make the long log takes a peer no longer, or it is not asked to read it.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) async fn all(report: &mut Report) -> Outcome {
    let Some(programs) = theirs::programs() else { return Ok(()) };
    short(report, &programs).await?;
    if asked::quickly() { Ok(()) } else { long(report, &programs).await }
}

/// What is a round trip or a few of them, with the server on our core.
async fn short(report: &mut Report, programs: &[Program]) -> Outcome {
    let ours = Ours::prepare(LOG, Core::Ours).await?;
    let mut peers = Vec::new();
    for program in programs {
        let mut peer = Theirs::start(program).await?;
        peer.prepare(LOG).await?;
        peers.push(peer);
    }
    for (work, title, file) in WORKS {
        report.part(title, file);
        for peer in &mut peers {
            compare(report, work.0, work, &ours, peer).await?;
        }
    }
    Ok(())
}

/// What is read in pages, with the server on another core.
async fn long(report: &mut Report, programs: &[Program]) -> Outcome {
    let called = "replay of 1,000,000";
    report.part("Peers: read and decode a log of 1,000,000 events", "peers-replay-1000000");
    let mut ours = None;
    for program in programs {
        let mut peer = Theirs::start(program).await?;
        if !is_asked(called, &peer) {
            continue;
        }
        let ours = match &mut ours {
            Some(ours) => &*ours,
            none => &*none.insert(Ours::prepare(LONG_LOG, Core::Another).await?),
        };
        let Ok(prepared) = timeout(PATIENCE, peer.prepare(LONG_LOG)).await else {
            let took = format!("not done, for the log was not made in {} s", PATIENCE.as_secs());
            report.note(format!("{called}: {}: {took}", peer.version))?;
            continue;
        };
        prepared?;
        compare(report, called, ("replay", LONG_LOG), ours, &mut peer).await?;
    }
    Ok(())
}

fn is_asked(called: &str, peer: &Theirs) -> bool {
    asked::for_this("peers") || asked::for_this(&name(called, peer))
}

fn name(called: &str, peer: &Theirs) -> String {
    format!("{called}: evenfold / {}", peer.version)
}

/// What a peer does not offer, fails at, or takes too long for, is said and not left out.
async fn compare(
    report: &mut Report,
    called: &str,
    (work, times): Work,
    ours: &Ours,
    peer: &mut Theirs,
) -> Outcome {
    if !is_asked(called, peer) {
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
    // A peer whose pages are the slower the further it reads is not seen by its first.
    if few < times && timeout(TOO_LONG, peer.ask(work, times)).await.is_err() {
        let longer = format!("not done, for it takes more than {} s", TOO_LONG.as_secs());
        return Ok(report.note(format!("{called}: {}: {longer}", peer.version))?);
    }
    let pace = if first * times > LONG { Pace::Slowest } else { Pace::Slow };
    let name = name(called, peer);
    let one = async || ours.turn(work, times).await;
    let other = async || Ok(peer.ask(work, times).await??);
    report.add(compare_at(pace, name, Some(1.0), one, other).await?)?;
    Ok(())
}
