//! The suite that proves that a store keeps the laws its traits name.
//!
//! A file per family of laws, a function per law; `laws.rs` lists them all, once. What a backend
//! must tell of itself is in [`Backend`], what came of a run in `report.rs`.

mod laws;
mod report;
mod subject;

mod abilities;
mod backlog;
mod browse;
mod category_filter;
mod concurrency;
mod consumer_group;
mod content;
mod expected_version;
mod idempotent_id;
mod leases;
mod leases_at_once;
mod merged;
mod parking;
mod progress;
mod read_category;
mod read_stream;
mod transaction;
mod unreadable_progress;
mod write;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use evenfold_core::Error;
use evenfold_core::store::{Ability, MessageStore};
use futures::FutureExt;
use futures::future::BoxFuture;

pub use report::{Outcome, Report};

use laws::{LAWS, Law};
use subject::{Opened, Subject};

/// A backend as the suite needs it: a name, fresh stores, and how to open one.
///
/// # Examples
///
/// The whole of a backend's conformance test, here that of the memory store:
///
/// ```
/// use std::sync::Arc;
///
/// use evenfold_core::store::MessageStore;
/// use evenfold_core::{Error, Memory};
/// use evenfold_testkit::conformance::Backend;
/// use futures::FutureExt;
/// use futures::future::{BoxFuture, ready};
///
/// struct InMemory;
///
/// impl Backend for InMemory {
///     type Home = Memory;
///
///     fn name(&self) -> &str {
///         "memory"
///     }
///
///     fn home(&self) -> BoxFuture<'_, Result<Memory, Error>> {
///         ready(Ok(Memory::new())).boxed()
///     }
///
///     fn open<'a>(
///         &'a self,
///         home: &'a Memory,
///     ) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>> {
///         let store: Arc<dyn MessageStore> = Arc::new(home.clone());
///         ready(Ok(store)).boxed()
///     }
///
///     // A store with connections overrides `spawn` too:
///     // tokio::spawn(task).map(drop).boxed()
/// }
///
/// evenfold_testkit::conformance!(InMemory, #[tokio::test]);
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// #     evenfold_testkit::conformance::run(&InMemory).await.assert();
/// # }
/// ```
pub trait Backend: Send + Sync {
    /// Where a store stands: what it takes to open it. What is left of it goes when this is
    /// dropped.
    type Home: Send + Sync;

    /// The name in reports, as in `sqlite`.
    fn name(&self) -> &str;

    /// Makes a place for a fresh, empty store, which shares nothing with any other.
    ///
    /// # Errors
    ///
    /// When it cannot be made; then the law fails.
    fn home(&self) -> BoxFuture<'_, Result<Self::Home, Error>>;

    /// Opens the store that stands there. It is opened again, after the first was dropped, if the
    /// store says that it is durable; and twice at a time if it says that processes share it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened; then the law fails.
    fn open<'a>(
        &'a self,
        home: &'a Self::Home,
    ) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>>;

    /// Starts a task; the future returned ends with it.
    ///
    /// As it stands here the tasks of a law take turns. Hand them to the runtime instead, and its
    /// threads make the races that the laws of concurrency are about.
    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        task
    }
}

/// Proves every law on a fresh store each, goes on where one is broken, and tells what came of it.
///
/// For a report in one piece; a backend's own tests are made by
/// [`conformance!`](macro@crate::conformance).
pub async fn run<B: Backend>(backend: &B) -> Report {
    let mut report = Report::new(backend.name());
    for law in LAWS {
        report.add(law.name, outcome(backend, law).await);
    }
    report
}

/// Proves the law of this name on a fresh store, and joins the outcome to the report of the backend
/// in the folder that `$EVENFOLD_LAWS_DIR` names, if it does.
///
/// # Panics
///
/// When the law is broken, or there is none of this name.
pub async fn check<B: Backend>(backend: &B, name: &str) {
    let law = LAWS.iter().find(|law| law.name == name);
    let outcome = match law {
        Some(law) => outcome(backend, law).await,
        None => Outcome::Failed(format!("there is no law `{name}`")),
    };
    let noted = Report::note(backend.name(), name, &outcome);
    assert!(noted.is_ok(), "the outcome was not noted: {noted:?}");
    if let Outcome::Skipped(ability) = outcome {
        say(&format!("skipped: {} cannot: {ability}", backend.name()));
    }
    assert!(!matches!(outcome, Outcome::Failed(_)), "{}: {outcome}", backend.name());
}

#[expect(clippy::print_stdout, reason = "a test tells on stdout what it skipped")]
fn say(text: &str) {
    println!("{text}");
}

async fn outcome<B: Backend>(backend: &B, law: &Law) -> Outcome {
    let proof = AssertUnwindSafe(prove(backend, law)).catch_unwind();
    match proof.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Failed(format!("{error:?}")),
        Err(panic) => Outcome::Failed(text_of(&*panic)),
    }
}

async fn prove<B: Backend>(backend: &B, law: &Law) -> Result<Outcome, Error> {
    let opened = Opened { backend, home: backend.home().await? };
    let subject = Subject(&opened);
    if let Some(ability) = law.needs {
        let store = subject.open().await?;
        if !has(&*store, ability) {
            return Ok(Outcome::Skipped(ability));
        }
    }
    (law.proof)(&subject).await?;
    Ok(Outcome::Passed)
}

fn has(store: &dyn MessageStore, ability: Ability) -> bool {
    store.abilities().contains(&ability)
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
