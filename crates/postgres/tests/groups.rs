//! Names are taken apart, and consumer groups divided, as Message DB's functions do it: in our store, in
//! core, in our schema, and for a client in Python.

use std::collections::{BTreeMap, BTreeSet};

use evenfold_core::store::{BatchSize, CategoryQuery, ConsumerGroup, ReadStore, WriteStore};
use evenfold_core::{ExpectedVersion, GlobalPosition, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use evenfold_testkit::controls;
use serde_json::json;
use uuid::Uuid;

use crate::common::python::{Python, names_of};
use crate::common::{MESSAGE_DB, Result, messages, raw};

/// Streams whose members are to be told apart, of every kind of id.
fn many_streams() -> Vec<String> {
    let kinds = |n: u32| {
        let uuid = Uuid::from_u128(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c));
        [
            format!("account-{n}"),
            format!("account-{uuid}"),
            format!("account-{n}+{}", n % 3),
            format!("account-größe {n}-{n}+ß"),
        ]
    };
    let ends = ["account", "account-", "account--", "account-+1"].map(String::from);
    (0..100).flat_map(kinds).chain(ends).collect()
}

#[tokio::test]
async fn a_group_of_message_db_is_divided_alike_in_every_language() -> Result {
    divided_alike(&TestDatabase::from_template(MESSAGE_DB).await?).await
}

#[tokio::test]
async fn a_group_of_our_schema_is_divided_alike_in_every_language() -> Result {
    divided_alike(&TestDatabase::new().await?).await
}

async fn divided_alike(database: &TestDatabase) -> Result {
    let store = Postgres::connect(&database.url()).await?;
    let mut python = Python::on(&database.url_as("message_store"))?;
    let streams = many_streams();
    // By Message DB's function, past it, and by our store.
    let (first, rest) = streams.split_at(150);
    let (second, third) = rest.split_at(150);
    let mut owner = raw(&database.url()).await?;
    let called = "SELECT count(write_message(gen_random_uuid()::varchar, name, 'T', '{}'))
        FROM unnest($1::text[]) AS name";
    let inserted = "INSERT INTO messages (stream_name, position, type)
        SELECT name, 0, 'T' FROM unnest($1::text[]) AS name";
    for (sql, names) in [(called, first), (inserted, second)] {
        sqlx::query(sql).bind(names).execute(&mut owner).await?;
    }
    for (name, id) in third.iter().zip(0..) {
        let name = StreamName::stored(name.as_str());
        store.write(&name, &messages(id..id + 1)?, ExpectedVersion::Any).await?;
    }

    for size in [1, 2, 3, 7, 64] {
        let mut given = BTreeMap::new();
        for member in 0..size {
            let group = ConsumerGroup::new(member, size)?;
            let its = streams_of(group, &store, &mut python, &streams).await?;
            given.extend(its.into_iter().map(|name| (name, member)));
        }
        // Every stream has one member, but for the one without an id, which has none.
        assert_eq!(given.len(), streams.len() - 1, "a group of {size}");
        assert!(!given.contains_key("account"));
    }
    Ok(())
}

/// The streams of a member: as they are read here, as Python reads them, as core computes them.
async fn streams_of(
    group: ConsumerGroup,
    store: &Postgres,
    python: &mut Python,
    streams: &[String],
) -> Result<Vec<String>> {
    let query = CategoryQuery::new("account".parse()?).for_member(group);
    let here = store.read_category(&query, GlobalPosition::START, BatchSize::DEFAULT).await?;
    let here: Vec<_> = here.iter().map(|message| message.stream_name.to_string()).collect();
    let asked = json!({ "category_name": "account",
        "consumer_group_member": group.member(), "consumer_group_size": group.size() });
    assert_eq!(here, names_of(&python.ask("read_category", &asked)?), "member {group}");
    let held = |name: &&String| group.holds(&StreamName::stored(name.as_str()));
    let held: BTreeSet<_> = streams.iter().filter(held).collect();
    assert_eq!(here.iter().collect::<BTreeSet<_>>(), held, "member {group}");
    Ok(here)
}

#[tokio::test]
async fn names_are_taken_apart_as_the_server_does() -> Result {
    type Parts = (String, Option<String>, Option<String>, Option<i64>, bool);
    let mut names = many_streams();
    names.extend(controls::stream::awkward()?.iter().map(ToString::to_string));
    let further = ["", "-", "-x", "a:b+c-1+2-3", "someStream", "someStream-123", "x-+", "1-2-3+4"];
    names.extend(further.map(String::from));
    for database in [TestDatabase::from_template(MESSAGE_DB).await?, TestDatabase::new().await?] {
        let query = "SELECT category(name), id(name), cardinal_id(name),
                hash_64(cardinal_id(name)), is_category(name)
            FROM unnest($1::varchar[]) WITH ORDINALITY AS names (name, n) ORDER BY n";
        let mut owner = raw(&database.url()).await?;
        let theirs: Vec<Parts> = sqlx::query_as(query).bind(&names).fetch_all(&mut owner).await?;
        assert_eq!(theirs.len(), names.len());
        for (text, theirs) in names.iter().zip(theirs) {
            let name = StreamName::stored(text.as_str());
            let id = name.entity_id();
            let ours: Parts = (
                name.category_str().to_owned(),
                id.as_ref().map(ToString::to_string),
                id.as_ref().map(|id| id.cardinal().to_owned()),
                name.cardinal_hash(),
                name.is_category(),
            );
            assert_eq!(ours, theirs, "`{text}`");
        }
    }
    Ok(())
}
