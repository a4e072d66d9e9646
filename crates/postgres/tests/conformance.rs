//! The Postgres store keeps the laws of a store, on Message DB 1.3 as its own scripts install it, on 1.2
//! with leases beside it, on a Message DB that was adopted, on our schema, and where its URL names several
//! hosts; each law has a fresh database, and a role that may do no more than a service.

use crate::common::{MESSAGE_DB, figures, with};
use std::sync::Arc;

use evenfold_core::store::MessageStore;
use evenfold_core::{Error, Ids, Memory, TimeOrderedIds};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Install, Postgres};
use evenfold_testkit::conformance::Backend;
use evenfold_testkit::model::{self, Tally};
use futures::FutureExt;
use futures::future::BoxFuture;

/// The role that those scripts make, and ours too.
const ROLE: &str = "message_store";

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A backend by its name.
struct On(&'static str);

impl Backend for On {
    type Home = TestDatabase;

    fn name(&self) -> &'static str {
        self.0
    }

    fn home(&self) -> BoxFuture<'_, Result<TestDatabase, Error>> {
        async {
            // The databases that `cargo xtask test` makes by Message DB's scripts.
            match self.0 {
                "postgres-message-db" => TestDatabase::from_template(MESSAGE_DB).await,
                "postgres-message-db-1.2-leases" => with("message_db_1_2", Install::Leases).await,
                "postgres-adopted" => with(MESSAGE_DB, Install::Adopt).await,
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
            let mut url = home.url_as(ROLE);
            // The others write in groups, which these laws hardly do.
            if matches!(self.0, "postgres-adopted" | "postgres-message-db-1.2-leases") {
                url.push_str("&group_append=no");
            }
            if self.0 == "postgres-several-hosts" {
                let folder = url.split_once("?host=").map(|(_, folder)| folder.to_owned());
                url = format!("{url},{}", folder.unwrap_or_default());
            }
            let store = Postgres::connect(&url).await?;
            let is_ours = matches!(self.0, "postgres" | "postgres-several-hosts");
            assert_eq!(store.schema().is_ours(), is_ours, "{store:?}");
            assert_eq!(store.schema().has_leases(), self.0 != "postgres-message-db", "{store:?}");
            let store: Arc<dyn MessageStore> = Arc::new(store);
            Ok(store)
        }
        .boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        tokio::spawn(task).map(drop).boxed()
    }
}

async fn answers_as_memory_does(backend: On) -> Outcome {
    for seed in [1, 2, 3, 20_261] {
        let tally = compared(&backend, seed, 300).await?;
        for answer in ["written", "conflict"] {
            assert!(tally.count("write", answer) > 0, "seed {seed} has no {answer}: {tally}");
        }
    }
    Ok(())
}

/// An error says the seed and the step, so that it can be had again.
async fn answers_what_nobody_has_asked_before(backend: On) -> Outcome {
    let (_, seed) = TimeOrderedIds.next().as_u64_pair();
    let tally = compared(&backend, seed, 600).await?;
    figures::tell(&format!("{}-model", backend.0), format_args!("seed {seed}, 600 steps"))?;
    assert!(tally.count("write", "written") > 0, "seed {seed}: {tally}");
    Ok(())
}

async fn compared(backend: &On, seed: u64, steps: u32) -> Outcome<Tally> {
    let home = backend.home().await?;
    let store = backend.open(&home).await?;
    Ok(model::compare(&Memory::new(), &*store, seed, steps).await?)
}

/// Every law, and random questions, as tests of one backend.
macro_rules! tests_of {
    ($backend:expr) => {
        use super::{On, Outcome};

        evenfold_testkit::conformance!(
            $backend,
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        );

        #[tokio::test]
        async fn whatever_is_asked_at_random_it_answers_as_memory_does() -> Outcome {
            super::answers_as_memory_does($backend).await
        }

        #[tokio::test]
        async fn what_nobody_has_asked_before_it_answers_as_memory_does() -> Outcome {
            super::answers_what_nobody_has_asked_before($backend).await
        }
    };
}

mod message_db {
    tests_of!(On("postgres-message-db"));
}

mod message_db_1_2 {
    tests_of!(On("postgres-message-db-1.2-leases"));
}

mod adopted {
    tests_of!(On("postgres-adopted"));
}

mod ours {
    tests_of!(On("postgres"));
}

mod several_hosts {
    tests_of!(On("postgres-several-hosts"));
}
