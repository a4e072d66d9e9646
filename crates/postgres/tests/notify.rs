//! What one process announces is heard by the others, and that it is not heard is noticed.
//!
//! Who is woken by it, and when a write announces, are tested with the `evenfold` crate.

use std::collections::HashMap;

use crate::common::pooler::Pooler;
use crate::common::{MESSAGE_DB, Result, execute, messages, raw};
use evenfold_core::store::{Announcement, MessageStore, ReadStore, WriteStore};
use evenfold_core::{Category, ExpectedVersion, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use futures::StreamExt;
use futures::future::try_join_all;
use futures::stream::BoxStream;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool};

fn category(name: &str) -> Result<Category> {
    Ok(name.parse()?)
}

/// Listens, and has heard itself.
pub(crate) async fn hearing(store: &Postgres) -> Result<BoxStream<'static, Announcement>> {
    let mut announcements = store.announcements();
    until(&mut announcements, &Announcement::Alive).await?;
    Ok(announcements)
}

/// Everything up to this one, which is heard sooner or later.
pub(crate) async fn until(
    announcements: &mut BoxStream<'static, Announcement>,
    awaited: &Announcement,
) -> Result<Vec<Announcement>> {
    let mut heard = Vec::new();
    loop {
        let next = announcements.next().await.ok_or("the store is closed")?;
        if next == *awaited {
            return Ok(heard);
        }
        heard.push(next);
    }
}

/// A client that knows nothing of evenfold but the name of the channel.
async fn foreign(url: &str) -> Result<PgListener> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen("evenfold").await?;
    Ok(listener)
}

/// Everything told until this.
async fn told_until(listener: &mut PgListener, awaited: &str) -> Result<Vec<String>> {
    let mut told = Vec::new();
    loop {
        let notification = listener.recv().await?;
        if notification.payload() == awaited {
            return Ok(told);
        }
        told.push(notification.payload().to_owned());
    }
}

/// Waits until the stores have so many connections; the server sees late that one is closed.
async fn has_connections(database: &TestDatabase, awaited: i64) -> Result {
    let count = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'evenfold'";
    let mut owner = raw(&database.url()).await?;
    while sqlx::query_scalar::<_, i64>(count).fetch_one(&mut owner).await? != awaited {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn what_one_store_announces_another_hears() -> Result {
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let one = Postgres::connect(&database.url()).await?;
        let other = Postgres::connect(&database.url()).await?;
        let mut heard = hearing(&other).await?;
        for name in ["account", "account:command", "it's \"odd\" + $1"] {
            one.announce(&category(name)?);
            assert_eq!(heard.next().await, Some(Announcement::Heard(category(name)?)));
        }
    }
    Ok(())
}

#[tokio::test]
async fn any_client_may_announce_by_the_name_of_a_category() -> Result {
    let database = TestDatabase::new().await?;
    let mut heard = hearing(&Postgres::connect(&database.url()).await?).await?;
    let mut client = raw(&database.url()).await?;
    execute(&mut client, "NOTIFY evenfold, 'not-a-category'").await?;
    execute(&mut client, "NOTIFY evenfold; NOTIFY evenfold, 'account'").await?;
    assert_eq!(heard.next().await, Some(Announcement::Heard(category("account")?)));
    Ok(())
}

#[tokio::test]
async fn a_listener_whose_connection_was_lost_says_so_and_hears_again() -> Result {
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&database.url()).await?;
    let mut heard = hearing(&store).await?;
    let mut owner = raw(&database.url()).await?;
    for _ in 0..3 {
        let killed = execute(
            &mut owner,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        );
        killed.await?;
        assert_eq!(heard.next().await, Some(Announcement::Deaf));
        assert_eq!(heard.next().await, Some(Announcement::Alive));
        store.announce(&category("account")?);
        assert_eq!(heard.next().await, Some(Announcement::Heard(category("account")?)));
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_that_announces_and_was_lost_is_made_again() -> Result {
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&database.url()).await?;
    let mut heard = foreign(&database.url()).await?;
    let mut owner = raw(&database.url()).await?;
    for name in ["account", "transfer", "account"] {
        store.announce(&category(name)?);
        assert_eq!(heard.recv().await?.payload(), name);
        let killed = execute(
            &mut owner,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE '%pg_notify%' AND pid <> pg_backend_pid()",
        );
        killed.await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pooler_that_nobody_spoke_of_is_found_to_deliver_nothing() -> Result {
    let database = TestDatabase::new().await?;
    let pooler = Pooler::start(3)?;
    let options: PgConnectOptions = pooler.url(&database, "postgres").parse()?;
    let options = options.extra_float_digits(None);
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let store = Postgres::from_pool(pool.clone()).await?;
    // It keeps its session, so that nobody else meets what was prepared there.
    let _busy = pool.begin().await?;
    let mut direct = foreign(&database.url()).await?;
    assert_eq!(store.announcements().next().await, Some(Announcement::Deaf));
    assert!(direct.recv().await?.payload().starts_with("probe-"), "it was announced");
    Ok(())
}

#[tokio::test]
async fn behind_a_pooler_it_announces_and_does_not_listen() -> Result {
    let database = TestDatabase::from_template(MESSAGE_DB).await?;
    let pooler = Pooler::start(2)?;
    let url = pooler.url(&database, "message_store") + "&pooler=transaction";
    let behind = Postgres::connect(&url).await?;
    assert_eq!(behind.announcements().next().await, None);

    let mut heard = hearing(&Postgres::connect(&database.url()).await?).await?;
    for name in ["account", "transfer", "account"] {
        behind.announce(&category(name)?);
        assert_eq!(heard.next().await, Some(Announcement::Heard(category(name)?)));
    }
    Ok(())
}

#[tokio::test]
async fn a_write_notifies_nobody_by_itself() -> Result {
    let database = TestDatabase::new().await?;
    let pool = PgPool::connect(&database.url()).await?;
    let store = Postgres::from_pool(pool.clone()).await?;
    let mut heard = foreign(&database.url()).await?;
    let stream = StreamName::new("account-1")?;
    store.write(&stream, &messages(0..3)?, ExpectedVersion::Any).await?;
    let mut transaction = pool.begin().await?;
    let within = store.within(&mut transaction);
    within.write(&stream, &messages(3..4)?, ExpectedVersion::Any).await?;
    transaction.commit().await?;

    store.announce(&category("end")?);
    assert!(told_until(&mut heard, "end").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_announced_in_a_short_while_is_told_once() -> Result {
    const MANY: usize = 10_000;
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&database.url()).await?;
    let mut heard = foreign(&database.url()).await?;
    let names = ["account", "transfer", "person"];
    for name in names.iter().cycle().take(MANY) {
        store.announce(&category(name)?);
        tokio::task::yield_now().await;
    }
    store.announce(&category("end")?);
    let mut told = HashMap::new();
    for name in told_until(&mut heard, "end").await? {
        *told.entry(name).or_insert(0) += 1;
    }
    assert!(names.iter().all(|name| told.contains_key(*name)), "{told:?}");
    assert!(told.values().sum::<usize>() < MANY / 10, "{told:?}");
    Ok(())
}

#[tokio::test]
async fn what_waits_to_be_told_is_told_when_the_store_is_closed() -> Result {
    let database = TestDatabase::new().await?;
    let mut heard = foreign(&database.url()).await?;
    for _ in 0..20 {
        let store = Postgres::connect(&database.url()).await?;
        store.announce(&category("account")?);
        assert_eq!(heard.recv().await?.payload(), "account");
        // It comes into the pause after that, or a moment before.
        store.announce(&category("end")?);
        store.close().await;
        assert_eq!(told_until(&mut heard, "end").await?, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_too_long_keeps_no_other_from_being_told() -> Result {
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&database.url()).await?;
    let mut heard = foreign(&database.url()).await?;
    let (long, longer) = ("a".repeat(7_999), "a".repeat(8_000));
    store.announce(&category(&longer)?);
    store.announce(&category(&long)?);
    assert!(told_until(&mut heard, &long).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn two_connections_are_made_when_they_are_needed_and_none_when_they_are_not_wanted() -> Result
{
    let database = TestDatabase::new().await?;
    let stream = StreamName::new("account-1")?;
    for (wakeups, more, id) in [("no", 0, 0), ("yes", 2, 1)] {
        let url = format!("{}&wakeups={wakeups}", database.url());
        let store = Postgres::connect(&url).await?;
        store.write(&stream, &messages(id..id + 1)?, ExpectedVersion::Any).await?;
        has_connections(&database, 1).await?;
        store.announce(&category("account")?);
        let mut announcements = store.announcements();
        assert_eq!(announcements.next().await.is_some(), more > 0);
        for _ in 0..50 {
            store.stream_version(&stream).await?;
        }
        has_connections(&database, 1 + more).await?;

        store.close().await;
        assert_eq!(announcements.next().await, None);
        has_connections(&database, 0).await?;
    }
    Ok(())
}

/// How many sessions listen.
async fn listening(owner: &mut PgConnection) -> Result<i64> {
    let count = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    Ok(sqlx::query_scalar(count).fetch_one(owner).await?)
}

#[tokio::test]
async fn however_many_listen_on_a_store_it_is_one_connection_until_the_last_one_goes() -> Result {
    const MANY: u128 = 20;
    let database = TestDatabase::new().await?;
    let mut owner = raw(&database.url()).await?;
    let store = Postgres::options().connections(1)?.connect(&database.url()).await?;
    let other = Postgres::connect(&database.url()).await?;
    let mut all = try_join_all((0..MANY).map(|_| hearing(&store))).await?;
    assert_eq!(listening(&mut owner).await?, 1);

    let stream = StreamName::new("account-1")?;
    for (writer, name, ids) in [(&other, "account", 0..1), (&store, "transfer", 1..2)] {
        writer.write(&stream, &messages(ids)?, ExpectedVersion::Any).await?;
        writer.announce(&category(name)?);
        let heard = Announcement::Heard(category(name)?);
        try_join_all(all.iter_mut().map(|one| until(one, &heard))).await?;
    }

    let mut last = all.pop().ok_or("nobody listens")?;
    drop(all);
    other.announce(&category("account")?);
    until(&mut last, &Announcement::Heard(category("account")?)).await?;
    drop(last);
    while listening(&mut owner).await? > 0 {
        tokio::task::yield_now().await;
    }
    // Somebody may listen again.
    drop(hearing(&store).await?);
    Ok(())
}

#[tokio::test]
async fn one_who_does_not_look_holds_up_nobody_and_is_told_that_something_was_missed() -> Result {
    let database = TestDatabase::new().await?;
    let store = Postgres::connect(&database.url()).await?;
    let (mut slow, mut quick) = (hearing(&store).await?, hearing(&store).await?);
    let mut client = raw(&database.url()).await?;
    let many = "SELECT pg_notify('evenfold', 'account' || number)
        FROM generate_series(1, 5000) AS number";
    let heard = tokio::spawn(async move {
        until(&mut quick, &Announcement::Heard("account5000".parse()?)).await
    });
    execute(&mut client, many).await?;
    heard.await??;
    let missed = until(&mut slow, &Announcement::Deaf).await?;
    assert!(missed.is_empty(), "{} are kept for who does not look", missed.len());
    until(&mut slow, &Announcement::Alive).await?;
    Ok(())
}

#[test]
fn who_listens_hears_on_when_the_runtime_of_another_listener_ends() -> Result {
    let (first, second) = (tokio::runtime::Runtime::new()?, tokio::runtime::Runtime::new()?);
    let database = second.block_on(TestDatabase::new())?;
    let store = second.block_on(Postgres::connect(&database.url()))?;
    let _gone = first.block_on(hearing(&store))?;
    let mut heard = second.block_on(hearing(&store))?;
    drop(first);
    second.block_on(async {
        until(&mut heard, &Announcement::Deaf).await?;
        until(&mut heard, &Announcement::Alive).await?;
        store.announce(&category("account")?);
        until(&mut heard, &Announcement::Heard(category("account")?)).await?;
        Ok(())
    })
}

#[test]
fn a_store_that_announced_and_one_that_listens_may_outlive_their_runtime() -> Result {
    let (first, second) = (tokio::runtime::Runtime::new()?, tokio::runtime::Runtime::new()?);
    let database = first.block_on(TestDatabase::new())?;
    let store = first.block_on(Postgres::connect(&database.url()))?;
    store.announce(&category("nobody")?);
    let told = async |name| -> Result {
        let mut heard = foreign(&database.url()).await?;
        store.announce(&category(name)?);
        assert!(told_until(&mut heard, name).await?.is_empty(), "there was no runtime for it");
        Ok(())
    };
    first.block_on(told("account"))?;
    let heard = first.block_on(hearing(&store))?;
    drop(first);
    drop(heard);
    second.block_on(told("transfer"))?;
    let heard = second.block_on(hearing(&store))?;
    drop(heard);
    drop(second);
    drop(store);
    Ok(())
}
