//! Behind a PgBouncer in transaction mode, which leads each transaction to another session of the
//! server, the store keeps its laws on a Message DB that has no more of evenfold than leases beside it.
//!
//! The laws without a pooler are in `conformance.rs`.

use std::sync::Arc;

use crate::common::pooler::Pooler;
use crate::common::{MESSAGE_DB, Result, execute, messages, raw, with};
use evenfold_core::store::{BatchSize, MessageStore, ReadStore, WriteStore};
use evenfold_core::{Error, ExpectedVersion, Position, StreamName};
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Fault, Install, Postgres};
use evenfold_testkit::conformance::Backend;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::PgPool;

struct Behind;

impl Backend for Behind {
    type Home = (TestDatabase, Pooler);

    fn name(&self) -> &'static str {
        "postgres-pooler"
    }

    fn home(&self) -> BoxFuture<'_, Result<Self::Home, Error>> {
        async {
            let database = with(MESSAGE_DB, Install::Leases).await?;
            // Fewer than a store has connections, so that sessions change hands.
            let pooler = Pooler::start(3).map_err(|error| Error::failed("pooling", error))?;
            Ok((database, pooler))
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        (database, pooler): &'a Self::Home,
    ) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>> {
        async move {
            let url = pooler.url(database, "message_store") + "&pooler=transaction";
            let store: Arc<dyn MessageStore> = Arc::new(Postgres::connect(&url).await?);
            Ok(store)
        }
        .boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        tokio::spawn(task).map(drop).boxed()
    }
}

evenfold_testkit::conformance!(
    Behind,
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
);

#[tokio::test]
async fn an_application_writes_in_its_own_transaction_behind_a_pooler() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let mut owner = raw(&database.url()).await?;
        execute(&mut owner, "CREATE TABLE public.balances (amount int)").await?;
        let pooler = Pooler::start(2)?;
        // What a session of the server is to know of itself is set on the role.
        let name: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut owner).await?;
        let set = format!("ALTER DATABASE {name} SET search_path = message_store, public");
        execute(&mut owner, &set).await?;

        let url = pooler.url(&database, "postgres");
        let options: sqlx::postgres::PgConnectOptions = url.parse()?;
        let pool = PgPool::connect_lazy_with(options.extra_float_digits(None));
        let store = Postgres::options().transaction_pooler(true).open(pool.clone()).await?;
        let stream = StreamName::new("account-1")?;
        for round in 0_u128..20 {
            let mut transaction = pool.begin().await?;
            execute(&mut transaction, "INSERT INTO public.balances VALUES (5)").await?;
            let batch = messages(round * 10..round * 10 + 1 + round % 3)?;
            let any = ExpectedVersion::Any;
            store.within(&mut transaction).write(&stream, &batch, any).await?;
            let stale = ExpectedVersion::NoStream;
            let other = messages(round * 10 + 5..round * 10 + 6)?;
            let refused = store.within(&mut transaction).write(&stream, &other, stale).await;
            assert!(refused.unwrap_err().is_conflict());
            let (from, limit) = (Position::START, BatchSize::DEFAULT);
            let seen = store.within(&mut transaction).read_stream(&stream, from, limit).await?;
            assert!(seen.iter().any(|message| message.id == batch[0].id()));
            transaction.commit().await?;
        }
        let page = store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await?;
        assert_eq!(page.len(), (0..20).map(|round| 1 + round % 3).sum::<usize>());
    }
    Ok(())
}

#[tokio::test]
async fn each_of_several_hosts_may_have_a_pooler() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let pooler = Pooler::start(2)?;
    let url = pooler.url(&database, "message_store");
    let folder = url.split_once("?host=").ok_or("no host")?.1;
    let url = format!("{url},/nowhere,{folder}&pooler=transaction");
    let store = Postgres::connect(&url).await?;
    let stream = StreamName::new("account-1")?;
    for round in 0..10 {
        let batch = messages(round * 10..round * 10 + 1 + round % 3)?;
        store.write(&stream, &batch, ExpectedVersion::Any).await?;
    }
    let page = store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await?;
    assert_eq!(page.len(), (0..10).map(|round| 1 + round % 3).sum::<usize>());
    let facts = store.facts().await?;
    let answered: Vec<_> = facts.hosts.iter().map(|asked| asked.role.is_ok()).collect();
    assert_eq!(answered, [true, false, true], "{facts:?}");
    Ok(())
}

#[tokio::test]
async fn a_pooler_that_nobody_spoke_of_is_named_in_the_error() -> Result {
    let database = TestDatabase::new().await?;
    let pooler = Pooler::start(1)?;
    // It refuses what a session would set for itself.
    let refused = Postgres::connect(&pooler.url(&database, "postgres")).await.unwrap_err();
    assert!(refused.to_string().contains("`pooler=transaction`"), "{refused:?}");
    assert!(!refused.is_unavailable(), "it will not pass");

    // And where it was told not to, statements that were prepared are those of other clients.
    let options: sqlx::postgres::PgConnectOptions = pooler.url(&database, "postgres").parse()?;
    let options = options.extra_float_digits(None);
    let refused = async {
        for _ in 0..2 {
            Postgres::from_pool(PgPool::connect_lazy_with(options.clone())).await?;
        }
        Ok::<_, Error>(())
    };
    let refused = refused.await.unwrap_err();
    assert!(refused.to_string().contains("`pooler=transaction`"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_installed_through_a_pooler() -> Result {
    let database = TestDatabase::from_template("template1").await?;
    let pooler = Pooler::start(1)?;
    let url = pooler.url(&database, "postgres") + "&pooler=transaction";
    let refused = Postgres::options().install(Install::Missing).connect(&url).await.unwrap_err();
    assert_eq!(Fault::of(&refused), Some(&Fault::InstallThroughPooler), "{refused:?}");

    Postgres::options().install(Install::Missing).connect(&database.url()).await?;
    assert!(Postgres::connect(&url).await?.schema().is_ours());

    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let url = pooler.url(&database, "postgres") + "&pooler=transaction";
    let refused = Postgres::options().install(Install::Leases).connect(&url).await.unwrap_err();
    assert_eq!(Fault::of(&refused), Some(&Fault::InstallThroughPooler), "{refused:?}");
    Ok(())
}
