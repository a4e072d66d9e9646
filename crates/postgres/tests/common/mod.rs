//! What the tests of a database share: a connection beside the store, messages to write, a wait.

pub(crate) mod figures;
pub(crate) mod load;
pub(crate) mod locks;
pub(crate) mod pooler;
pub(crate) mod python;
pub(crate) mod wire;

use std::ops::Range;

use evenfold_core::Error;
use evenfold_core::message::NewMessage;
use evenfold_postgres::testing::TestDatabase;
use evenfold_postgres::{Install, Options, Postgres};
use futures::future::BoxFuture;
use futures::poll;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

pub(crate) type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> =
    std::result::Result<T, E>;

/// The database that `cargo xtask test` makes by Message DB's scripts.
pub(crate) const MESSAGE_DB: &str = "message_db";

/// A copy of a database of the server, and what was then installed in it by its owner.
pub(crate) async fn with(template: &str, what: Install) -> Result<TestDatabase, Error> {
    let database = TestDatabase::from_template(template).await?;
    Postgres::options().install(what).connect(&database.url()).await?.close().await;
    Ok(database)
}

/// Messages with these numbers as their ids.
pub(crate) fn messages(ids: Range<u128>) -> Result<Vec<NewMessage>> {
    ids.map(|id| message(id, r#"{"amount":5}"#)).collect()
}

pub(crate) fn message(id: u128, data: &str) -> Result<NewMessage> {
    let data = RawValue::from_string(data.into())?;
    Ok(NewMessage::new(Uuid::from_u128(id), "Deposited", &data)?)
}

/// Two tests of each of these functions, which take options: of a store that writes in groups, and of one
/// that does not.
macro_rules! in_groups_and_alone {
    ($($test:ident),+ $(,)?) => {
        $crate::common::in_groups_and_alone!(@ in_groups, true, $($test),+);
        $crate::common::in_groups_and_alone!(@ alone, false, $($test),+);
    };
    (@ $way:ident, $in_groups:literal, $($test:ident),+) => {
        mod $way {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() -> $crate::common::Result {
                    let options = evenfold_postgres::Postgres::options();
                    super::$test(options.group_append($in_groups)).await
                }
            )+
        }
    };
}

pub(crate) use in_groups_and_alone;

/// The name of such a test's figures.
pub(crate) fn named(name: &str, options: Options) -> String {
    let way = if options == Postgres::options() { "" } else { "-alone" };
    format!("{name}{way}")
}

/// A connection of the server's owner that knows nothing of evenfold, but where Message DB is.
pub(crate) async fn raw(url: &str) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await?;
    execute(&mut connection, "SET search_path = message_store, public").await?;
    Ok(connection)
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) -> Result {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

/// Drops a future at another point each time: some never began, some are done.
pub(crate) async fn poll_some<T>(mut future: BoxFuture<'_, T>, times: u128) {
    for _ in 0..times {
        if poll!(&mut future).is_ready() {
            break;
        }
        tokio::task::yield_now().await;
    }
}
