//! A crowd of processes that share the work of one subscriber, while they are started, stopped,
//! killed and paused by chance, and somebody writes for them.
//!
//! The processes are `src/bin/colleague.rs`. Chance is a seed, which decides who is hit how; when is
//! up to the machine. What must be true in the end stands with the tests.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use evenfold::message::{Encode, NewMessage};
use evenfold::prelude::*;
use evenfold::stores::CategoryQuery;
use evenfold::{GlobalPosition, Ids, Position, Store, TimeOrderedIds};
use evenfold_tests::{Deposited, Outcome, Withdrawn};
use futures::TryStreamExt;
use tokio::process::{Child, Command};

/// How many work at most; at least one is neither paused nor about to leave.
const SIZE: usize = 5;
pub(crate) const BUCKETS: u16 = 16;
pub(crate) const TERM: Duration = Duration::from_millis(600);
/// Between two blows.
pub(crate) const PAUSE: Duration = Duration::from_millis(400);

/// Numbers by chance (splitmix64): the same seed gives the same for ever.
pub(crate) struct Chance(pub u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

/// What was done to the crowd.
#[derive(Default)]
pub(crate) struct Blows {
    pub(crate) started: u32,
    pub(crate) stopped: u32,
    pub(crate) killed: u32,
    pub(crate) paused: u32,
}

impl Blows {
    /// Some were killed and some paused: else nothing was shown.
    pub(crate) fn have_fallen(&self) -> bool {
        self.killed > 0 && self.paused > 0
    }
}

impl fmt::Display for Blows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { started, stopped, killed, paused } = self;
        write!(f, "{started} started, {stopped} stopped, {killed} killed, ")?;
        write!(f, "{paused} paused past their lease")
    }
}

struct Colleague {
    child: Child,
    /// Until when it is paused.
    paused: Option<Instant>,
}

pub(crate) struct Crowd {
    url: String,
    role: &'static str,
    chance: Chance,
    working: Vec<Colleague>,
    leaving: Vec<Child>,
    pub(crate) blows: Blows,
}

impl Crowd {
    pub(crate) fn new(url: &str, role: &'static str, seed: u64) -> Self {
        let (working, leaving) = (Vec::new(), Vec::new());
        let (chance, blows) = (Chance(seed), Blows::default());
        Self { url: url.to_owned(), role, chance, working, leaving, blows }
    }

    pub(crate) fn start(&mut self) -> Outcome {
        self.blows.started += 1;
        let (number, term) = (self.blows.started.to_string(), TERM.as_millis().to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_colleague"))
            .args([&self.url, self.role, &number, &term])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        self.working.push(Colleague { child, paused: None });
        Ok(())
    }

    /// Does something to somebody. An error when one of them has ended by itself.
    pub(crate) async fn strike(&mut self) -> Outcome {
        self.check()?;
        self.resume(|paused| paused <= Instant::now()).await?;
        let awake = self.working.iter().filter(|it| it.paused.is_none()).count();
        let act = self.chance.below(6);
        if awake < 2 || (act < 2 && self.working.len() < SIZE) {
            return self.start();
        }
        let victim = self.chance.below(awake.try_into()?).try_into()?;
        let mut victims = (0..).zip(&self.working).filter(|(_, it)| it.paused.is_none());
        let (victim, _) = victims.nth(victim).ok_or("nobody is awake")?;
        let victim: usize = victim;
        match act {
            0 | 1 => self.stop(victim).await,
            2 | 3 => self.kill(victim).await,
            _ => {
                let longer = Duration::from_millis(self.chance.below(1000));
                let colleague = self.working.get_mut(victim).ok_or("nobody is there")?;
                signal(&colleague.child, "STOP").await?;
                colleague.paused = Some(Instant::now() + TERM + TERM / 5 + longer);
                self.blows.paused += 1;
                Ok(())
            }
        }
    }

    /// Strikes again and again, for so long.
    pub(crate) async fn storm(&mut self, time: Duration) -> Outcome {
        let end = Instant::now() + time;
        let mut pause = tokio::time::interval(PAUSE);
        while Instant::now() < end {
            pause.tick().await;
            self.strike().await?;
        }
        Ok(())
    }

    async fn kill(&mut self, victim: usize) -> Outcome {
        let Colleague { mut child, .. } = self.working.remove(victim);
        child.kill().await?;
        self.blows.killed += 1;
        Ok(())
    }

    async fn stop(&mut self, victim: usize) -> Outcome {
        let Colleague { child, .. } = self.working.remove(victim);
        signal(&child, "TERM").await?;
        self.leaving.push(child);
        self.blows.stopped += 1;
        Ok(())
    }

    /// Nobody is paused any more, or about to leave, and at least two work.
    pub(crate) async fn calm(&mut self) -> Outcome {
        self.resume(|_| true).await?;
        self.check()?;
        for mut child in std::mem::take(&mut self.leaving) {
            ended_well(child.wait().await?)?;
        }
        while self.working.len() < 2 {
            self.start()?;
        }
        Ok(())
    }

    /// Everybody is asked to stop, and does.
    pub(crate) async fn disperse(&mut self) -> Outcome {
        self.calm().await?;
        while !self.working.is_empty() {
            self.stop(0).await?;
        }
        for mut child in std::mem::take(&mut self.leaving) {
            ended_well(child.wait().await?)?;
        }
        Ok(())
    }

    async fn resume(&mut self, is_over: impl Fn(Instant) -> bool) -> Outcome {
        for colleague in &mut self.working {
            if colleague.paused.is_some_and(&is_over) {
                signal(&colleague.child, "CONT").await?;
                colleague.paused = None;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Outcome {
        for colleague in &mut self.working {
            if let Some(status) = colleague.child.try_wait()? {
                return Err(format!("a process ended by itself: {status}").into());
            }
        }
        Ok(())
    }
}

/// Who is told before he listens has ended by the signal itself.
fn ended_well(status: ExitStatus) -> Outcome {
    const TERM: Option<i32> = Some(15);
    if status.success() || status.signal() == TERM {
        Ok(())
    } else {
        Err(format!("a process failed: {status}").into())
    }
}

async fn signal(child: &Child, name: &str) -> Outcome {
    let id = child.id().ok_or("the process has ended")?.to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status().await?;
    if status.success() { Ok(()) } else { Err(format!("{name} was not sent to {id}").into()) }
}

/// Writes for a crowd: one message at a time, its number in its stream as its amount.
pub(crate) struct Writer {
    pub(crate) store: Store,
    /// The category is `account`, the id of a stream its number from 1.
    pub(crate) written: Vec<u64>,
}

impl Writer {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone(), written: Vec::new() }
    }

    /// Writes the next message of a stream; again and again where the store does not answer.
    pub(crate) async fn write(&mut self, stream: usize) -> Outcome {
        if self.written.len() < stream {
            self.written.resize(stream, 0);
        }
        let count = stream.checked_sub(1).and_then(|index| self.written.get_mut(index));
        let count = count.ok_or("streams are counted from 1")?;
        let message: NewMessage = Deposited::of(*count).encode(TimeOrderedIds.next())?;
        loop {
            match self.store.write(account(stream)?, message.clone()).await {
                Err(error) if error.is_unavailable() => {}
                written => break written.map(drop)?,
            }
        }
        *count += 1;
        Ok(())
    }

    /// Which streams the subscriber is behind in.
    async fn behind(&self, subscriber: &str) -> Outcome<String> {
        let place = self.store.place(subscriber, "account")?.buckets(BUCKETS);
        let mut told = format!("`{subscriber}` has not come to the end of");
        for (id, _) in (1..).zip(&self.written).filter(|(_, count)| **count > 0) {
            let stream = account(id)?;
            let last = self.store.messages().last_message(&stream, None).await?;
            let last = last.map(|last| last.global_position);
            let done = place.of(&stream).await?;
            if done < last {
                let bucket = stream.cardinal_hash().unwrap_or_default().unsigned_abs();
                let bucket = bucket % u64::from(BUCKETS);
                write!(told, "\n{stream}, bucket {bucket}: {done:?} of {last:?}")?;
            }
        }
        Ok(told)
    }

    pub(crate) fn total(&self) -> u64 {
        self.written.iter().sum()
    }

    /// Waits until the subscriber is done with everything.
    pub(crate) async fn wait_for(&self, subscriber: &str, at_most: Duration) -> Outcome {
        let end = Instant::now() + at_most;
        let place = self.store.place(subscriber, "account")?.buckets(BUCKETS);
        for (stream, count) in (1..).zip(&self.written).filter(|(_, count)| **count > 0) {
            let last = Position::new(i64::try_from(*count)? - 1)?;
            let left = end.saturating_duration_since(Instant::now());
            if !place.wait_for(&account(stream)?, last, left).await? {
                return Err(self.behind(subscriber).await?.into());
            }
        }
        Ok(())
    }
}

/// What was noted of each stream, in the order of the notes.
pub(crate) async fn seen(store: &Store) -> Outcome<BTreeMap<usize, Vec<u64>>> {
    let query = CategoryQuery::new("seen".parse()?);
    let mut notes = std::pin::pin!(store.read_category(query, GlobalPosition::START));
    let mut seen: BTreeMap<_, Vec<_>> = BTreeMap::new();
    while let Some(note) = notes.try_next().await? {
        let id = note.stream_name.entity_id().ok_or("no id")?.to_string().parse()?;
        seen.entry(id).or_default().push(note.decode::<Withdrawn>()?.amount);
    }
    Ok(seen)
}

pub(crate) fn account(id: usize) -> Outcome<StreamName> {
    Ok(StreamName::new(format!("account-{id}"))?)
}
