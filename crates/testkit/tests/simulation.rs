//! The subscriber in thousands of small worlds, and the laws against planted bugs.
//!
//! `EVENFOLD_SEED=7` runs one world and prints what happens in a breach; `EVENFOLD_SEEDS=100000` runs
//! so many.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::panic::resume_unwind;
use std::thread;

use evenfold_testkit::simulation::{Bug, Law, Simulation};

const SEEDS: u64 = 3_000;
const WORKERS: u64 = 4;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Runs so many seeds, side by side, and returns those that fail by the law that they break.
fn failures(seeds: u64) -> BTreeMap<Law, Vec<u64>> {
    let failed = |seed| Some((Simulation::new(seed).run().err()?.law(), seed));
    let work = |worker| {
        let seeds = (0..seeds).filter(|seed| seed % WORKERS == worker);
        seeds.filter_map(failed).collect::<Vec<_>>()
    };
    let mut by_law: BTreeMap<Law, Vec<u64>> = BTreeMap::new();
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..WORKERS).map(|worker| scope.spawn(move || work(worker))).collect();
        for worker in workers {
            let failed = worker.join().unwrap_or_else(|panic| resume_unwind(panic));
            for (law, seed) in failed {
                by_law.entry(law).or_default().push(seed);
            }
        }
    });
    by_law
}

#[test]
fn every_law_is_kept_in_every_world() {
    if let Some(seed) = number("EVENFOLD_SEED") {
        let failure = Simulation::new(seed).run().err();
        assert!(failure.is_none(), "{}", failure.unwrap());
        return;
    }
    let seeds = number("EVENFOLD_SEEDS").unwrap_or(SEEDS);
    let failures = failures(seeds);
    let mut said = String::new();
    for (law, seeds) in &failures {
        let first = Simulation::new(*seeds.iter().min().unwrap()).run().unwrap_err();
        writeln!(said, "{law}: {} seeds, {:?}\n{first}", seeds.len(), &seeds[..seeds.len().min(9)])
            .unwrap();
    }
    assert!(failures.is_empty(), "{said}");
}

/// Plants a fault, and asserts that some world of the first so many breaks just this law.
fn catches(bug: Bug, law: Law) {
    let run = |seed| Simulation::new(seed).bug(bug).run().err();
    let is_caught = (0..SEEDS).filter_map(run).any(|failure| failure.law() == law);
    assert!(is_caught, "{bug:?} never breaks the law `{law}`");
}

#[test]
fn a_message_that_is_done_before_it_is_finished_is_caught() {
    catches(Bug::DoneBeforeFinished, Law::Progress);
}

#[test]
fn a_lost_lease_that_is_ignored_is_caught() {
    catches(Bug::LostLeaseIgnored, Law::Leases);
}

#[test]
fn parked_messages_that_hold_nothing_back_are_caught() {
    catches(Bug::ParkedNotRead, Law::HeldBack);
}

#[test]
fn a_flush_that_is_skipped_is_caught() {
    catches(Bug::FlushSkipped, Law::Drained);
}

#[test]
fn a_watermark_that_is_read_after_the_messages_is_caught() {
    catches(Bug::WatermarkAfterRows, Law::Progress);
}

#[test]
fn a_stream_in_two_lanes_is_caught() {
    catches(Bug::StreamInTwoLanes, Law::Order);
}

#[test]
fn a_commit_that_compares_nothing_is_caught() {
    catches(Bug::CommitWithoutCompare, Law::ExactlyOnce);
}

#[test]
fn a_record_that_compares_nothing_is_caught() {
    catches(Bug::RecordWithoutCompare, Law::ExactlyOnce);
}

#[test]
fn crashes_that_are_not_counted_are_caught() {
    catches(Bug::BegunNotRecorded, Law::Poison);
}

#[test]
fn a_start_that_is_not_recorded_is_caught() {
    catches(Bug::StartNotRecorded, Law::Start);
}

#[test]
fn a_call_that_is_never_answered_is_caught() {
    catches(Bug::FailedReadNotAnswered, Law::Alive);
}

#[test]
fn a_hold_up_that_is_not_told_is_caught() {
    catches(Bug::HoldUpNotTold, Law::Alive);
}
