//! The SQLite store keeps the laws of a store; each has a fresh file.

use std::sync::Arc;

use evenfold_core::Error;
use evenfold_core::store::MessageStore;
use evenfold_sqlite::Sqlite;
use evenfold_testkit::conformance::Backend;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tempfile::TempDir;

struct InFile;

impl Backend for InFile {
    type Home = TempDir;

    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn home(&self) -> BoxFuture<'_, Result<TempDir, Error>> {
        ready(tempfile::tempdir().map_err(|error| Error::failed("making a folder", error))).boxed()
    }

    fn open<'a>(
        &'a self,
        home: &'a TempDir,
    ) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>> {
        async move {
            let url = format!("sqlite://{}", home.path().join("laws.db").display());
            let store: Arc<dyn MessageStore> = Arc::new(Sqlite::connect(&url).await?);
            Ok(store)
        }
        .boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        tokio::spawn(task).map(drop).boxed()
    }
}

evenfold_testkit::conformance!(InFile, #[tokio::test(flavor = "multi_thread")]);
