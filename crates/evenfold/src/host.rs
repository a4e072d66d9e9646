//! Several subscribers in one process, and how they stop.
//!
//! Owns the signals, the draining, and the report of why each subscriber stopped.

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::Error;
use crate::subscriber::{Polled, Poller, StopReason, Stopped, Subscriber};
use crate::telemetry;
use evenfold_core::error::Invalid;

/// Runs several subscribers until a signal, or until all have caught up.
///
/// Laws:
/// - *The message in hand is finished.* When asked to stop, each subscriber finishes the message it
///   handles, records its progress, and stops.
/// - *No failure goes unseen.* When one stops because something failed, the others are asked to
///   stop too, and the answer says of each why it stopped.
///
/// # Examples
///
/// ```
/// use evenfold::prelude::*;
/// use evenfold::Host;
///
/// # #[derive(Message)]
/// # struct Deposited { amount: u64 }
/// # #[derive(Messages)]
/// # #[messages(category = "account")]
/// # enum AccountEvent { Deposited(Deposited) }
/// struct Printer;
///
/// #[handler(AccountEvent)]
/// impl Printer {
///     async fn deposited(&self, event: Received<Deposited>) {
///         println!("{} got {}", event.recorded().stream_name, event.amount);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let store = evenfold::connect("memory:").await?;
/// store.send::<AccountEvent>("123", Deposited { amount: 5 }).await?;
///
/// let stops = Host::new()
///     .subscriber(store.subscriber("printer", Printer))
///     .run_until_caught_up()
///     .await?;
/// assert_eq!(stops.into_result()?.handled, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a host does nothing until it is run"]
pub struct Host {
    subscribers: Vec<Subscriber>,
}

/// Why each subscriber of a host stopped, in the order they were added.
#[derive(Clone, Debug)]
#[must_use = "a subscriber may have stopped because something failed"]
pub struct Stops(Vec<Stopped>);

impl Stops {
    /// Why each stopped.
    pub fn iter(&self) -> impl Iterator<Item = &Stopped> {
        self.0.iter()
    }

    /// What all of them did together.
    ///
    /// # Errors
    ///
    /// The first failure, when a subscriber stopped because something failed or was abandoned.
    pub fn into_result(self) -> Result<Polled, Error> {
        let mut all = Polled::default();
        for stopped in &self.0 {
            if let Some(error) = stopped.error() {
                return Err(error.clone());
            }
            if matches!(stopped.reason, StopReason::Abandoned) {
                let doing = format!("running subscriber `{}`", stopped.subscriber);
                return Err(Error::failed(doing, "it was abandoned on a second signal"));
            }
            all += stopped.polled;
        }
        all.caught_up = self.0.iter().all(|stopped| stopped.polled.caught_up);
        Ok(all)
    }
}

impl Host {
    /// A host without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subscriber.
    pub fn subscriber(mut self, subscriber: Subscriber) -> Self {
        self.subscribers.push(subscriber);
        self
    }

    /// Runs until Ctrl-C or SIGTERM, or until a subscriber fails. A second signal abandons what is
    /// still being done. Signals that come after that do nothing: the process takes them from its
    /// first run on.
    ///
    /// # Errors
    ///
    /// When a subscriber's options are refused, or signals cannot be listened for; nothing has run
    /// then.
    pub async fn run(self) -> Result<Stops, Error> {
        let order = Order::on_signals()?;
        Ok(run(self.into_pollers()?, &order).await)
    }

    /// Runs until the future is done, or until a subscriber fails; signals are left alone.
    ///
    /// # Errors
    ///
    /// When a subscriber's options are refused; nothing has run then.
    pub async fn run_until(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Stops, Error> {
        let order = Order::after(stop);
        Ok(run(self.into_pollers()?, &order).await)
    }

    /// Runs until no subscriber has anything more to read, what they wrote for each other included;
    /// or until Ctrl-C, SIGTERM, or a failure.
    ///
    /// Law: they take turns in the order they were added, each until it has caught up, round after
    /// round until one brings nothing new. So the same messages lead to the same result, every time.
    ///
    /// # Errors
    ///
    /// When a subscriber's options are refused, or signals cannot be listened for; nothing has run
    /// then.
    pub async fn run_until_caught_up(self) -> Result<Stops, Error> {
        let order = Order::on_signals()?;
        let mut pollers = self.into_pollers()?;
        let reasons = tokio::select! {
            reasons = catch_up(&mut pollers, &order.stop) => reasons,
            () = order.abandon.cancelled() => vec![StopReason::Abandoned; pollers.len()],
        };
        let stopped = pollers.into_iter().zip(reasons).map(|(poller, why)| poller.stopped(why));
        Ok(Stops(stopped.collect()))
    }

    /// Two subscribers with one record of progress would each pass over what the other handled.
    fn into_pollers(self) -> Result<Vec<Poller>, Error> {
        if self.subscribers.is_empty() {
            let rule = "a host runs at least one; add it by `.subscriber(…)`";
            return Err(Invalid::new("number of subscribers", 0, rule).into());
        }
        let mut pollers: Vec<Poller> = Vec::with_capacity(self.subscribers.len());
        for subscriber in self.subscribers {
            pollers.extend(subscriber.into_pollers()?);
        }
        let each = || pollers.iter().enumerate();
        let twin = each().find(|(index, poller)| {
            let mut before = pollers.iter().take(*index);
            before.any(|other| other.shares_progress_with(poller))
        });
        if let Some((_, poller)) = twin {
            let stream = poller.progress();
            let rule = format!("another of this host keeps its progress in `{stream}` too");
            return Err(Invalid::new("subscriber id", poller.id(), rule).into());
        }
        Ok(pollers)
    }
}

async fn run(pollers: Vec<Poller>, order: &Order) -> Stops {
    let tasks: Vec<_> = pollers
        .into_iter()
        .map(|poller| {
            let (stop, abandon) = (order.stop.clone(), order.abandon.clone());
            let id = poller.id().to_owned();
            // Dropping the host's future drops its subscribers, as with any other future.
            (id, AbortOnDropHandle::new(tokio::spawn(run_one(poller, stop, abandon))))
        })
        .collect();
    let mut stops = Vec::with_capacity(tasks.len());
    for (subscriber, task) in tasks {
        // A panic is caught where it happens; a task is cancelled only with its whole runtime.
        let abandoned = Stopped::abandoned(subscriber);
        stops.push(task.await.unwrap_or(abandoned));
    }
    Stops(stops)
}

async fn run_one(
    mut poller: Poller,
    stop: CancellationToken,
    abandon: CancellationToken,
) -> Stopped {
    let reason = tokio::select! {
        reason = poller.run(&stop) => reason,
        () = abandon.cancelled() => StopReason::Abandoned,
    };
    if let StopReason::Failed(_) = reason {
        stop.cancel();
    }
    poller.stopped(reason)
}

/// One subscriber's work may be another's: all have caught up when a whole round found nothing.
async fn catch_up(pollers: &mut [Poller], stop: &CancellationToken) -> Vec<StopReason> {
    let mut reasons = loop {
        let mut reasons = Vec::with_capacity(pollers.len());
        let mut done = 0;
        for poller in &mut *pollers {
            let (more, reason) = poller.catch_up(stop).await;
            done += more;
            reasons.push(reason);
            if let Some(StopReason::Failed(_)) = reasons.last() {
                stop.cancel();
            }
        }
        if done == 0 || stop.is_cancelled() {
            break reasons;
        }
    };
    for (poller, reason) in pollers.iter_mut().zip(&mut reasons) {
        if let Some(failed) = poller.leave().await {
            *reason = failed;
        }
    }
    reasons
}

/// The order to stop, and the one to abandon everything; both go out from one task.
struct Order {
    stop: CancellationToken,
    abandon: CancellationToken,
    _sender: AbortOnDropHandle<()>,
}

impl Order {
    fn sent_by<F, S>(sender: F) -> Self
    where
        F: FnOnce(CancellationToken, CancellationToken) -> S,
        S: Future<Output = ()> + Send + 'static,
    {
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(sender(stop.clone(), abandon.clone()));
        Self { stop, abandon, _sender: AbortOnDropHandle::new(task) }
    }

    fn after(done: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::sent_by(|stop, _| async move {
            done.await;
            stop.cancel();
        })
    }

    fn on_signals() -> Result<Self, Error> {
        let mut signals = Signals::listen()?;
        Ok(Self::sent_by(|stop, abandon| async move {
            signals.next().await;
            stop.cancel();
            telemetry::stopping();
            signals.next().await;
            abandon.cancel();
        }))
    }
}

/// Ctrl-C, and SIGTERM where there is one.
#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|e| Error::failed("listening for signals", e));
        Ok(Self(listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the same as where it can fail")]
    fn listen() -> Result<Self, Error> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
