//! The memory store keeps every law of the suite.

use std::sync::Arc;

use evenfold_core::store::MessageStore;
use evenfold_core::{Error, Memory};
use evenfold_testkit::conformance::Backend;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

struct InMemory;

impl Backend for InMemory {
    type Home = Memory;

    fn name(&self) -> &'static str {
        "memory"
    }

    fn home(&self) -> BoxFuture<'_, Result<Memory, Error>> {
        ready(Ok(Memory::new())).boxed()
    }

    fn open<'a>(&'a self, home: &'a Memory) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>> {
        let store: Arc<dyn MessageStore> = Arc::new(home.clone());
        ready(Ok(store)).boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        tokio::spawn(task).map(drop).boxed()
    }
}

evenfold_testkit::conformance!(
    InMemory,
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
);
