//! Every subscriber that a store knows of, with its lag, its state and why.
//!
//! Owns what is told of each. How it is found out is in `survey.rs`, what lag is in `lag.rs`.

use std::fmt;

use evenfold_core::store::{ConsumerGroup, MemberStatus, Place, Reads, SubscriberId};
use time::OffsetDateTime;

use super::lag::Lag;
use super::survey::survey;
use crate::{Category, Error, Store};

/// A subscriber, as its records say: one that is a group is one.
///
/// `Display` makes a line of it for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberStatus {
    /// Its id.
    pub subscriber: SubscriberId,
    /// What it reads.
    pub reads: Reads,
    /// The category that its messages are correlated with, where it is filtered so.
    pub correlation: Option<Category>,
    /// Its version; each has a status of its own.
    pub version: u32,
    /// What it does; of a group, what is worst among its parts.
    pub state: SubscriberState,
    /// The place that it is done with, none before the first message; of a group the lowest.
    pub progress: Option<Place>,
    /// How far it is behind what is recorded; of a group all parts together. None where that cannot be
    /// said: its record is unreadable, or it was replaced.
    pub lag: Option<Lag>,
    /// When it recorded that.
    pub since: OffsetDateTime,
    /// How many messages it has set aside.
    pub parked: usize,
    /// When the oldest of them was set aside.
    pub parked_since: Option<OffsetDateTime>,
    /// Its parts: one, or of a group those that have begun.
    pub parts: Vec<PartStatus>,
    /// The members of a group by leases that live now, with the buckets that they hold.
    pub members: Vec<MemberStatus>,
}

/// A part of what a subscriber does: all of it, or of a group a static member or a bucket that is
/// shared by leases.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartStatus {
    /// Which part of a group; none where it is all.
    pub member: Option<ConsumerGroup>,
    /// What it does.
    pub state: SubscriberState,
    /// The place that it is done with.
    pub progress: Option<Place>,
    /// How far it is behind.
    pub lag: Option<Lag>,
    /// When it recorded that.
    pub since: OffsetDateTime,
}

/// What a subscriber does, by its last record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriberState {
    /// It is done with everything there is.
    Idle,
    /// There is something before it. It has not recorded that it has begun with it, which it does
    /// only where it counts crashes; whether a process runs, the store does not know.
    Behind,
    /// It has begun with messages. When that was long ago, the process may have died.
    Working,
    /// It does not go on, for this reason: it tries a message again and again, finds no room to park one,
    /// or reads several categories by one cursor and waits for a transaction that has not ended.
    Held(String),
    /// It has stopped, for this reason.
    Stopped(String),
    /// This version of it has taken over.
    Replaced(u32),
    /// Its last record does not read, so it cannot run.
    Unreadable(String),
}

impl Store {
    /// Every subscriber that has ever recorded progress in this store, with its lag, its state and
    /// why; sorted by id, then by what it reads.
    ///
    /// For people and tools. It lists the categories, reads the notes of what is parked, and counts
    /// what each subscriber has before it, so it costs what those reads cost.
    ///
    /// # Errors
    ///
    /// When the store fails. A record that does not read is no error, but a state.
    ///
    /// # Examples
    ///
    /// ```
    /// use evenfold::prelude::*;
    /// use evenfold::subscriber::SubscriberState;
    /// # #[derive(Message)] struct Deposited { amount: u64 }
    /// # #[derive(Messages)] #[messages(category = "account")]
    /// # enum AccountEvent { Deposited(Deposited) }
    /// # struct Printer;
    /// # #[handler(AccountEvent)]
    /// # impl Printer {
    /// #     async fn deposited(&self, _: Received<Deposited>) -> Result<(), HandlerError> {
    /// #         Err("the paper is jammed".into())
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let store = evenfold::connect("memory:").await?;
    /// # store.send::<AccountEvent>("123", Deposited { amount: 5 }).await?;
    /// # let policy = evenfold::ErrorPolicy::stop().retries(0);
    /// # store.subscriber("printer", Printer).errors(policy).run_until_caught_up().await.unwrap_err();
    /// for status in store.status().await? {
    ///     println!("{status}"); // printer of account: stopped: … the paper is jammed; …
    /// #   assert!(matches!(&status.state, SubscriberState::Stopped(why) if why.ends_with("jammed")));
    /// #   assert!(status.to_string().starts_with("printer of account: stopped: handling"));
    ///     assert_eq!(status.lag.unwrap().messages, 1);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn status(&self) -> Result<Vec<SubscriberStatus>, Error> {
        survey(self.messages()).await
    }
}

impl SubscriberState {
    /// How much it asks for somebody's attention.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::Replaced(_) => 0,
            Self::Idle => 1,
            Self::Behind => 2,
            Self::Working => 3,
            Self::Held(_) => 4,
            Self::Stopped(_) => 5,
            Self::Unreadable(_) => 6,
        }
    }
}

impl fmt::Display for SubscriberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Behind => f.write_str("behind"),
            Self::Working => f.write_str("working"),
            Self::Held(reason) => write!(f, "held: {reason}"),
            Self::Stopped(reason) => write!(f, "stopped: {reason}"),
            Self::Replaced(by) => write!(f, "replaced by version {by}"),
            Self::Unreadable(fault) => write!(f, "unreadable: {fault}"),
        }
    }
}

impl fmt::Display for SubscriberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.subscriber)?;
        if self.version > 1 {
            write!(f, " version {}", self.version)?;
        }
        write!(f, " of {}", self.reads)?;
        if let Some(correlation) = &self.correlation {
            write!(f, " correlated with {correlation}")?;
        }
        write!(f, ": {}; ", self.state)?;
        match self.progress {
            Some(place) => write!(f, "at {place}")?,
            None => f.write_str("at the start")?,
        }
        match self.lag {
            Some(Lag { messages: 0, .. }) => f.write_str(", nothing before it")?,
            Some(Lag { messages, time }) => {
                write!(f, ", {messages} before it for {} s", time.as_secs())?;
            }
            None => {}
        }
        if self.parked > 0 {
            write!(f, ", {} parked", self.parked)?;
        }
        if let Some(since) = self.parked_since {
            write!(f, " since {since}")?;
        }
        if let Some(group) = self.parts.first().and_then(|part| part.member) {
            let (parts, size, members) = (self.parts.len(), group.size(), self.members.len());
            write!(f, ", {parts} of {size} parts, {members} members by leases")?;
        }
        write!(f, "; recorded {}", self.since)
    }
}
