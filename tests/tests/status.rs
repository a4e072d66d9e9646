//! The status of subscribers over stores that are not in memory.
//!
//! Each state has a test in `crates/evenfold/tests/status.rs`.

use evenfold::postgres::Postgres;
use evenfold::prelude::*;
use evenfold::subscriber::{SubscriberState, SubscriberStatus};
use evenfold::{ErrorPolicy, Poller, Store};
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{AccountEvent, Deposited, Outcome, Withdrawn};
use sqlx::PgPool;
use tempfile::TempDir;

/// Fails on what is withdrawn.
struct Clerk;

#[handler(AccountEvent)]
impl Clerk {
    async fn deposited(&self, _: Received<Deposited>) {}

    async fn withdrawn(&self, _: Received<Withdrawn>) -> Result<(), HandlerError> {
        Err("nothing is paid out".into())
    }
}

async fn only(store: &Store) -> Outcome<SubscriberStatus> {
    let mut all = store.status().await?;
    let only = all.pop().filter(|_| all.is_empty());
    Ok(only.ok_or_else(|| format!("there are others: {all:?}"))?)
}

/// Goes on until every bucket is told to be idle.
async fn idle(store: &Store, clerk: &mut Poller) -> Outcome<SubscriberStatus> {
    loop {
        clerk.poll_until_caught_up().await?;
        let status = only(store).await?;
        if status.state == SubscriberState::Idle && status.parts.len() == 4 {
            return Ok(status);
        }
    }
}

async fn a_group_that_parks_and_is_behind(store: &Store) -> Outcome {
    for id in 1..=20 {
        store.write(format!("account-{id}"), Deposited::of(5)).await?;
    }
    store.write("account-1", Withdrawn::of(1)).await?;
    store.write("account-1", Deposited::of(5)).await?;
    let clerk = store.subscriber("clerk", Clerk).errors(ErrorPolicy::park().retries(0));
    let mut clerk = clerk.leased(4).into_poller()?;
    let status = idle(store, &mut clerk).await?;
    assert_eq!(status.lag.map(|lag| lag.messages), Some(0), "{status}");
    store.write("account-2", Deposited::of(5)).await?;

    let status = only(store).await?;
    assert_eq!(status.state, SubscriberState::Behind, "{status}");
    assert_eq!((status.lag.map(|lag| lag.messages), status.parked), (Some(1), 2), "{status}");
    assert_eq!(status.parts.len(), 4);
    let [member] = &*status.members else { return Err(format!("{status:?}").into()) };
    assert_eq!(member.buckets, [0, 1, 2, 3]);

    idle(store, &mut clerk).await?;
    clerk.finish().await?;
    let status = only(store).await?;
    assert_eq!((&status.state, &*status.members), (&SubscriberState::Idle, &[][..]), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_group_on_sqlite_is_told_of() -> Outcome {
    let folder = TempDir::new()?;
    let url = format!("sqlite://{}/bank.db", folder.path().display());
    a_group_that_parks_and_is_behind(&evenfold::connect(&url).await?).await
}

#[tokio::test]
async fn a_group_on_postgres_is_told_of() -> Outcome {
    let database = TestDatabase::new().await?;
    a_group_that_parks_and_is_behind(&evenfold::connect(&database.url()).await?).await
}

async fn a_transaction_that_is_left_open_is_named(database: &TestDatabase) -> Outcome {
    let options = "options=-c%20search_path%3Dmessage_store&application_name=cashier";
    let pool = PgPool::connect(&format!("{}&{options}", database.url())).await?;
    let postgres = Postgres::from_pool(pool.clone()).await?;
    let store = Store::new(postgres.clone());
    store.write("account-1", Deposited::of(5)).await?;
    let mut late = pool.begin().await?;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *late).await?;
    store.write("account-1", Deposited::of(7)).through(&postgres.within(&mut late)).await?;
    // It takes a number beyond those of the transaction.
    store.write("letter-1", Deposited::of(1)).await?;

    let mut clerk = store.subscriber("clerk", Clerk).merged().into_poller()?;
    let mut handled = 0;
    let reason = loop {
        let polled = clerk.poll_once().await?;
        handled += polled.handled;
        assert!(!polled.caught_up, "{polled:?}");
        let status = store.status().await?.pop();
        if let Some(SubscriberState::Held(reason)) = status.map(|status| status.state) {
            break reason;
        }
    };
    assert_eq!(handled, 1);
    let named =
        format!("held up by process {pid} of the server (cashier, idle in transaction) since ");
    assert!(reason.starts_with(&named), "{reason}");

    late.commit().await?;
    assert_eq!(clerk.poll_until_caught_up().await?.handled, 1);
    let status = only(&store).await?;
    assert_eq!(status.state, SubscriberState::Idle, "{status}");
    Ok(())
}

#[tokio::test]
async fn who_holds_up_a_merged_subscriber_on_message_db_is_named() -> Outcome {
    let database = TestDatabase::from_template("message_db").await?;
    a_transaction_that_is_left_open_is_named(&database).await
}

#[tokio::test]
async fn who_holds_up_a_merged_subscriber_on_our_schema_is_named() -> Outcome {
    a_transaction_that_is_left_open_is_named(&TestDatabase::new().await?).await
}
