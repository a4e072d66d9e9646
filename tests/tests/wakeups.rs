//! A write is announced to the other processes that use a Postgres store: after it was committed, and
//! only then.
//!
//! How stores hear each other, and notice that they do not, is in `crates/postgres/tests/notify.rs`.

use evenfold::postgres::Postgres;
use evenfold::stores::{Announcement, MessageStore};
use evenfold::{Category, Position, Store};
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{Account, AccountEvent, Deposited, Outcome};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgPool;

async fn next_category(heard: &mut BoxStream<'static, Announcement>) -> Outcome<Category> {
    loop {
        let told = heard.next().await.ok_or("the store is closed")?;
        if let Announcement::Heard(category) = told {
            return Ok(category);
        }
    }
}

#[tokio::test]
async fn who_hears_of_a_write_finds_it() -> Outcome {
    let database = TestDatabase::new().await?;
    let writer = evenfold::connect(&database.url()).await?;
    let reader = evenfold::connect(&database.url()).await?;
    let mut heard = reader.messages().announcements();
    while heard.next().await.ok_or("the store is closed")? != Announcement::Alive {}
    for number in 0..50 {
        if number % 2 == 0 {
            writer.write("account-1", Deposited::of(5)).await?;
        } else {
            let deposit = |_: &Account| Ok(vec![AccountEvent::from(Deposited::of(5))]);
            writer.entities::<Account>().transact("1", deposit).await?;
        }
        assert_eq!(next_category(&mut heard).await?.as_str(), "account");
        let from = Position::new(number)?;
        let new: Vec<_> = reader.read_stream("account-1", from).try_collect().await?;
        assert_eq!(new.len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_write_in_a_transaction_of_the_application_is_announced_when_it_says_so() -> Outcome {
    let database = TestDatabase::new().await?;
    let pool = PgPool::connect(&database.url()).await?;
    let postgres = Postgres::from_pool(pool.clone()).await?;
    let store = Store::new(postgres.clone());
    let mut heard = postgres.announcements();
    while heard.next().await.ok_or("the store is closed")? != Announcement::Alive {}

    let account: Category = "account".parse()?;
    for commits in [false, true] {
        let mut transaction = pool.begin().await?;
        let within = postgres.within(&mut transaction);
        store.write("account-1", Deposited::of(5)).through(&within).await?;
        if commits {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        // What is announced next is heard next, so nothing was before it.
        store.announce(&"end".parse()?);
        assert_eq!(next_category(&mut heard).await?.as_str(), "end");
        if commits {
            store.announce(&account);
            assert_eq!(next_category(&mut heard).await?, account);
        }
    }
    Ok(())
}
