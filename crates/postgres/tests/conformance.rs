//! The Postgres store keeps the laws of a store, on Message DB as its own scripts install it and on
//! our schema; each law has a fresh database, and a role that may do no more than a service.

use std::sync::Arc;

use evenfold_core::store::MessageStore;
use evenfold_core::{Error, Memory};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use evenfold_testkit::conformance::Backend;
use evenfold_testkit::model;
use futures::FutureExt;
use futures::future::BoxFuture;

/// The database that `cargo xtask test` makes by Message DB's scripts.
const MESSAGE_DB: &str = "message_db";

/// The role that those scripts make, and ours too.
const ROLE: &str = "message_store";

struct On(&'static str);

impl Backend for On {
    type Home = TestDatabase;

    fn name(&self) -> &'static str {
        self.0
    }

    fn home(&self) -> BoxFuture<'_, Result<TestDatabase, Error>> {
        async {
            match self.0 {
                "postgres-message-db" => TestDatabase::from_template(MESSAGE_DB).await,
                _ => TestDatabase::new().await,
            }
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        home: &'a TestDatabase,
    ) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>> {
        async {
            let store = Postgres::connect(&home.url_as(ROLE)).await?;
            assert_eq!(store.schema().is_ours(), self.0 == "postgres", "{store:?}");
            let store: Arc<dyn MessageStore> = Arc::new(store);
            Ok(store)
        }
        .boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        tokio::spawn(task).map(drop).boxed()
    }
}

async fn answers_as_memory_does(backend: On) -> Result<(), Box<dyn std::error::Error>> {
    let home = backend.home().await?;
    let store = backend.open(&home).await?;
    let tally = model::compare(&Memory::new(), &*store, 20_261, 400).await?;
    assert!(tally.count("write", "conflict") > 4, "{tally}");
    Ok(())
}

mod message_db {
    use super::On;

    evenfold_testkit::conformance!(
        On("postgres-message-db"),
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    );

    #[tokio::test]
    async fn whatever_is_asked_at_random_it_answers_as_memory_does()
    -> Result<(), Box<dyn std::error::Error>> {
        super::answers_as_memory_does(On("postgres-message-db")).await
    }
}

mod ours {
    use super::On;

    evenfold_testkit::conformance!(
        On("postgres"),
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    );

    #[tokio::test]
    async fn whatever_is_asked_at_random_it_answers_as_memory_does()
    -> Result<(), Box<dyn std::error::Error>> {
        super::answers_as_memory_does(On("postgres")).await
    }
}
