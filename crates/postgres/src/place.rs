//! The host where a store is, of several, and how it comes to another one.
//!
//! Owns what makes a store doubt that it is at the right host, and that one call at a time looks where
//! that is. Nothing runs beside the calls: whoever waits for an answer, looks. What the hosts are asked
//! is in `hosts.rs`.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{Future, TryStreamExt};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow};
use sqlx::{Either, Execute, Executor, PgTransaction, Postgres};
use tokio::sync::{Mutex as Turn, watch};
use tokio::time::{sleep, timeout};

use crate::connections::{Connections, Way};
use crate::error::is_of_host;
use crate::fault::Fault;
use crate::hosts::{ANSWER, Asked, Hosts, name};
use crate::kept::{Slot, poured};
use crate::options::PATIENCE;

/// A call that waits for longer looks whether the store is at the right host: one that is cut off, or
/// that waits for its standbys in vain, does not say so.
const SLOW: Duration = Duration::from_secs(1);

/// Between two rounds of asking, growing from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Leads each call to the host that suits.
#[derive(Clone)]
pub(crate) struct Place(Arc<Inner>);

struct Inner {
    hosts: Hosts,
    pool: PgPoolOptions,
    pooler: bool,
    at: watch::Sender<At>,
    /// Is had by who looks, so that the others wait for what that one finds; when it was looked last.
    turn: Turn<Option<Instant>>,
    /// What the hosts said the last time that none suited.
    said: Mutex<Option<Fault>>,
}

/// Where a store is.
#[derive(Clone, Debug)]
struct At {
    /// To that host alone. They go with it, so that no call is ever answered by another.
    on: Connections,
    host: String,
    /// How often it has changed.
    moves: u64,
    in_doubt: bool,
    is_closed: bool,
}

impl Place {
    /// At one of the hosts.
    pub(crate) fn new(
        hosts: Hosts,
        host: &PgConnectOptions,
        pool: PgPoolOptions,
        pooler: bool,
    ) -> Self {
        let target = hosts.target;
        // A host may have come to be a standby since it was asked, and reads would not tell.
        let pool = pool.after_connect(move |connection, _| Box::pin(target.check(connection)));
        let on = connections(&pool, host, pooler);
        let host = name(host);
        let at = At { on, host, moves: 0, in_doubt: false, is_closed: false };
        let (at, said) = (watch::Sender::new(at), Mutex::default());
        Self(Arc::new(Inner { hosts, pool, pooler, at, turn: Turn::default(), said }))
    }

    /// What leads to the host where the store is now.
    pub(crate) fn on(&self) -> Connections {
        self.now().on
    }

    /// What each of the hosts says that it is.
    pub(crate) async fn ask(&self) -> Vec<Asked> {
        self.0.hosts.ask().await
    }

    /// The first row of the answer to a query.
    pub(crate) async fn row<'q>(
        &self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let at = self.ready().await?;
        self.watched(&at, at.on.alone().fetch_optional(query)).await
    }

    /// All answers to a query, as they come.
    pub(crate) fn stream<'e, 'q: 'e>(
        &'e self,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>> {
        poured(|slot| async {
            let at = self.ready().await?;
            self.pour(&at, at.on.alone(), query, slot).await
        })
    }

    async fn pour<'q>(
        &self,
        at: &At,
        way: Way<'_>,
        query: impl Execute<'q, Postgres> + 'q,
        slot: Arc<Slot<Either<PgQueryResult, PgRow>>>,
    ) -> Result<(), sqlx::Error> {
        let mut answers = way.fetch_many(query);
        while let Some(answer) = self.watched(at, answers.try_next()).await? {
            slot.put(answer).await;
        }
        Ok(())
    }

    /// Begins a transaction, which stays where it is begun.
    pub(crate) async fn begin(&self) -> Result<(PgTransaction<'static>, Stay), sqlx::Error> {
        let at = self.ready().await?;
        let (begun, _) = self.watched(&at, at.on.begin()).await?;
        Ok((begun, Stay { place: self.clone(), at }))
    }

    /// Waits for calls under way and closes the connections.
    pub(crate) async fn close(&self) {
        self.0.at.send_if_modified(|at| {
            at.is_closed = true;
            false
        });
        Box::pin(self.on().close()).await;
    }

    fn now(&self) -> At {
        self.0.at.borrow().clone()
    }

    /// Where a call is to go; while that is in doubt it waits, as it would for a connection.
    async fn ready(&self) -> Result<At, sqlx::Error> {
        let at = self.now();
        if !at.in_doubt || at.is_closed {
            return Ok(at);
        }
        match timeout(PATIENCE, self.search()).await {
            Ok(at) => Ok(at),
            Err(_) => Err(match self.said().clone() {
                Some(fault) => sqlx::Error::Configuration(fault.into()),
                None => sqlx::Error::PoolTimedOut,
            }),
        }
    }

    /// Looks until it is known where the store is to be.
    async fn search(&self) -> At {
        let mut turn = self.0.turn.lock().await;
        let (mut pause, last) = PAUSES;
        loop {
            let at = self.now();
            if !at.in_doubt || at.is_closed {
                return at;
            }
            if !self.look(&mut turn).await {
                sleep(pause).await;
                pause = last.min(pause * 2);
            }
        }
    }

    /// Asks the hosts, and goes where one suits.
    async fn look(&self, turn: &mut Option<Instant>) -> bool {
        *turn = Some(Instant::now());
        match self.0.hosts.find(Some(&self.now().host), ANSWER).await {
            Ok(host) => self.go(host),
            Err(fault) => {
                *self.said() = Some(fault);
                return false;
            }
        }
        true
    }

    fn go(&self, host: &PgConnectOptions) {
        let name = name(host);
        let mut left = None;
        self.0.at.send_if_modified(|at| {
            at.in_doubt = false;
            // Where it is the same host, connections that broke go one by one.
            let moves = at.host != name && !at.is_closed;
            if moves {
                let on = connections(&self.0.pool, host, self.0.pooler);
                left = Some(std::mem::replace(&mut at.on, on));
                at.host.clone_from(&name);
                at.moves += 1;
            }
            moves
        });
        if let Some(left) = left {
            left.leave();
        }
    }

    /// Waits for an answer, and looks whether it is waited for in the right place. Where it is not, the
    /// call ends: nobody knows whether a host that was left did what it was asked.
    async fn watched<T>(
        &self,
        at: &At,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return answer.map_err(|error| self.heard(at, error)),
                () = self.left(at) => return Err(gone(at)),
                () = self.look_after_a_while() => {}
            }
        }
    }

    async fn left(&self, at: &At) {
        let mut changes = self.0.at.subscribe();
        // It ends in an error when there is no sender, and we hold that.
        drop(changes.wait_for(|now| now.moves != at.moves).await);
    }

    /// However many calls wait, it is looked once in that time.
    async fn look_after_a_while(&self) {
        sleep(SLOW).await;
        if let Ok(mut turn) = self.0.turn.try_lock()
            && turn.is_none_or(|last| last.elapsed() >= SLOW)
        {
            self.look(&mut turn).await;
        }
    }

    /// Doubts the host when an error may be that of its end, and tells of a pool that was left.
    fn heard(&self, at: &At, error: sqlx::Error) -> sqlx::Error {
        let is_of_host = is_of_host(&error);
        let mut is_there = true;
        self.0.at.send_if_modified(|now| {
            is_there = now.moves == at.moves;
            now.in_doubt |= is_there && is_of_host;
            false
        });
        match error {
            sqlx::Error::PoolClosed if !is_there => gone(at),
            error => error,
        }
    }

    fn said(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host of a transaction, which does not go over with its store: what waits for it ends then.
#[derive(Debug)]
pub(crate) struct Stay {
    place: Place,
    at: At,
}

impl Stay {
    /// Waits for an answer, as long as the store is there.
    pub(crate) async fn watched<T>(
        &self,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        self.place.watched(&self.at, call).await
    }

    /// All answers to a query, as they come.
    pub(crate) fn stream<'e, 'q: 'e>(
        &'e self,
        way: Way<'e>,
        query: impl Execute<'q, Postgres> + 'q,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>> {
        poured(|slot| self.place.pour(&self.at, way, query, slot))
    }
}

/// Connections to one host.
fn connections(pool: &PgPoolOptions, host: &PgConnectOptions, pooler: bool) -> Connections {
    Connections::own(pool.clone().connect_lazy_with(host.clone()), pooler)
}

fn gone(at: &At) -> sqlx::Error {
    let said = format!("the store left `{}` for another host", at.host);
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionAborted, said))
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options of its hosts hold a password.
        f.debug_struct("Place").field("host", &self.now().host).finish_non_exhaustive()
    }
}
