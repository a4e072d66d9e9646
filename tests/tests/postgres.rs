//! Typed messages and entities in the application's own Postgres transaction, beside its own tables.
//!
//! The laws of such a store are in `crates/postgres/tests/transaction.rs`.

use evenfold::handler::Received;
use evenfold::postgres::Postgres;
use evenfold::stores::ReadStore;
use evenfold::{Error, ExpectedVersion, Position, Store};
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{Account, Deposited, Outcome, Withdrawn};
use futures::TryStreamExt;
use sqlx::PgPool;

async fn balance_of_the_table(pool: &PgPool) -> Outcome<Option<i64>> {
    Ok(sqlx::query_scalar("SELECT amount FROM balances").fetch_optional(pool).await?)
}

#[tokio::test]
async fn entities_and_a_table_change_together_or_not_at_all() -> Outcome {
    let database = TestDatabase::new().await?;
    let pool = PgPool::connect(&database.url()).await?;
    sqlx::raw_sql("CREATE TABLE balances (amount bigint)").execute(&pool).await?;
    let postgres = Postgres::from_pool(pool.clone()).await?;
    let store = Store::new(postgres.clone());
    let accounts = store.entities::<Account>();

    for commits in [false, true] {
        let mut transaction = pool.begin().await?;
        sqlx::query("INSERT INTO balances VALUES (5)").execute(&mut *transaction).await?;
        let within = postgres.within(&mut transaction);
        let first = store.write("account-1", Deposited::of(7)).expecting(ExpectedVersion::NoStream);
        first.through(&within).await?;
        // It decides on what it wrote itself, and is refused where that is not expected.
        let account = accounts.load_through(&within, "1").await?;
        assert_eq!(account.state.balance, 7);
        let stale = store.write("account-1", Withdrawn::of(1)).expecting(ExpectedVersion::NoStream);
        let refused = stale.through(&within).await;
        assert!(refused.as_ref().is_err_and(Error::is_conflict), "{refused:?}");
        store
            .write("account-1", Withdrawn::of(2))
            .expecting(account.version)
            .through(&within)
            .await?;
        assert!(accounts.get("1").await?.is_none(), "others see it before the end");

        if commits {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
            assert!(accounts.get("1").await?.is_none());
            assert_eq!(balance_of_the_table(&pool).await?, None);
        }
    }
    assert_eq!(accounts.load("1").await?.state, Account { balance: 5, events: 2 });
    assert_eq!(balance_of_the_table(&pool).await?, Some(5));
    Ok(())
}

#[tokio::test]
async fn a_follower_that_was_rolled_back_is_written_again_and_none_is_written_twice() -> Outcome {
    let database = TestDatabase::new().await?;
    let pool = PgPool::connect(&database.url()).await?;
    let postgres = Postgres::from_pool(pool.clone()).await?;
    let store = Store::new(postgres.clone());
    store.write("transfer-1", Deposited::of(7)).await?;
    let transfer =
        postgres.last_message(&"transfer-1".parse()?, None).await?.ok_or("no transfer")?;
    let received = Received::new((), transfer, "teller")?;
    for commits in [false, true] {
        let mut transaction = pool.begin().await?;
        let within = postgres.within(&mut transaction);
        let write = store.write("account-1", Deposited::of(7)).following(&received);
        assert!(!write.through(&within).await?.is_repetition());
        // A second one of the same name would be taken for the first.
        let write = store.write("account-1", Deposited::of(7)).following(&received);
        assert!(write.through(&within).await.is_err_and(|error| error.is_invalid()));
        if commits {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
    }
    let account = store.entities::<Account>().load("1").await?;
    assert_eq!(account.state, Account { balance: 7, events: 1 });
    Ok(())
}

#[tokio::test]
async fn who_writes_between_two_messages_is_not_held_up_by_the_page_on_its_way() -> Outcome {
    let database = TestDatabase::new().await?;
    let store = evenfold::connect(&format!("{}&connections=1", database.url())).await?;
    for _ in 0..4 {
        store.write_all("account-1", (0..1000).map(|_| Deposited::of(1))).await?;
    }
    let mut messages = store.read_stream("account-1", Position::START);
    let mut read = 0_u64;
    while let Some(message) = messages.try_next().await? {
        read += 1;
        // A connection that nobody gives back is waited for in vain, for ten seconds.
        if message.position.get() % 100 == 0 {
            store.write("account-2", Deposited::of(1)).await?;
        }
    }
    assert_eq!(read, 4000);
    assert_eq!(store.entities::<Account>().load("2").await?.state.events, 40);
    Ok(())
}
