//! Services in other languages share the log: what a client in Python or `psql` writes is read here, and
//! what is written here they read, on Message DB and on our schema.
//!
//! The clients are in `common/python.rs`. What any store must do with what others wrote is in the conformance
//! suite; here the others are real. How names are taken apart and groups divided is in `groups.rs`.

use std::process::Command;

use evenfold_core::message::{Metadata, NewMessage};
use evenfold_core::store::{
    BatchSize, CategoryQuery, ProgressStore, ProgressStream, ReadStore, SubscriberId, WriteStore,
};
use evenfold_core::{Category, ExpectedVersion, GlobalPosition, Position, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use evenfold_testkit::controls;
use evenfold_testkit::controls::message::{Closed, Deposited, Withdrawn};
use serde_json::{Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use crate::common::python::{Python, names_of};
use crate::common::{MESSAGE_DB, Result, message, messages, raw};

const ANY: ExpectedVersion = ExpectedVersion::Any;
const START: GlobalPosition = GlobalPosition::START;
const PAGE: BatchSize = BatchSize::DEFAULT;

/// The role that a service connects as, whatever it is written in.
const ROLE: &str = "message_store";

/// A database, a store of ours in it, and a service in Python beside it.
struct Shared {
    database: TestDatabase,
    store: Postgres,
    python: Python,
}

impl Shared {
    async fn on_both() -> Result<[Self; 2]> {
        let genuine = Self::on(TestDatabase::from_template(MESSAGE_DB).await?).await?;
        let ours = Self::on(TestDatabase::new().await?).await?;
        assert!(!genuine.store.schema().is_ours() && ours.store.schema().is_ours());
        Ok([genuine, ours])
    }

    async fn on(database: TestDatabase) -> Result<Self> {
        let store = Postgres::connect(&database.url_as(ROLE)).await?;
        let python = Python::on(&database.url_as(ROLE))?;
        Ok(Self { database, store, python })
    }
}

fn stream(name: &str) -> Result<StreamName> {
    Ok(StreamName::new(name)?)
}

fn correlated(message: NewMessage, with: &str) -> Result<NewMessage> {
    Ok(message.with_metadata(controls::metadata::correlated_with(with)?))
}

#[tokio::test]
async fn what_python_writes_is_read_here() -> Result {
    for Shared { database: _database, store, mut python } in Shared::on_both().await? {
        let account = stream("account-123")?;
        let first = json!({
            "stream_name": "account-123", "message_type": "Deposited", "data": { "amount": 5 },
            "metadata": controls::metadata::complete_json(), "expected_version": -1,
        });
        assert_eq!(python.ask("write", &first)?, 0);
        let closed = json!({ "stream_name": "account-123", "message_type": "Closed", "data": {} });
        assert_eq!(python.ask("write", &closed)?, 1);
        let batch = json!({
            "stream_name": "account-123", "expected_version": 1, "data": [
                ["Deposited", { "amount": 1 }],
                ["Withdrawn", { "amount": 2 }, { "properties": { "größe": "😀" }, "own": [1] }],
            ],
        });
        assert_eq!(python.ask("write_batch", &batch)?, 3);

        let read = store.read_stream(&account, Position::START, PAGE).await?;
        let positions: Vec<_> = read.iter().map(|message| message.position.get()).collect();
        assert_eq!(positions, [0, 1, 2, 3]);
        assert_eq!(read[0].decode::<Deposited>()?, Deposited { amount: 5 });
        assert_eq!(read[0].metadata()?, controls::metadata::complete()?);
        assert_eq!(read[1].decode::<Closed>()?, Closed {});
        assert_eq!(read[1].metadata()?, Metadata::default());
        assert_eq!(read[3].decode::<Withdrawn>()?, Withdrawn { amount: 2 });
        let Metadata { properties, other, .. } = read[3].metadata()?;
        assert_eq!(Value::from(properties), json!({ "größe": "😀" }));
        assert_eq!(Value::from(other), json!({ "own": [1] }));
        assert_eq!(store.last_message(&account, None).await?.as_ref(), read.last());
        assert_eq!(store.stream_version(&account).await?, Some(Position::new(3)?));
        let query = CategoryQuery::new(account.category());
        assert_eq!(store.read_category(&query, START, PAGE).await?, read);

        for stream in controls::stream::awkward()? {
            let opened = json!({ "stream_name": stream.as_str(), "message_type": "Opened",
                "data": { "name": stream.as_str() } });
            python.ask("write", &opened)?;
            let last = store.last_message(&stream, None).await?.ok_or("not found")?;
            let data: Value = serde_json::from_str(last.data())?;
            assert_eq!((last.stream_name, data), (stream.clone(), opened["data"].clone()));
        }
    }
    Ok(())
}

/// A time as Python says it, but for zeros at its end.
const PYTHON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");

#[tokio::test]
async fn what_is_written_here_python_reads() -> Result {
    for Shared { database: _database, store, mut python } in Shared::on_both().await? {
        let account = stream("account-123")?;
        let deposited = controls::message::deposited(5)?;
        let deposited = deposited.with_metadata(controls::metadata::complete()?);
        store.write(&account, &[deposited], ExpectedVersion::NoStream).await?;
        let closed = controls::message::closed(6)?;
        let note = message(7, r#"{"note":"größe 😀 \"quoted\"","deep":{"list":[1,null]}}"#)?;
        store.write(&account, &[closed, note], ANY).await?;

        let written = json!([
            { "type": "Deposited", "position": 0, "data": { "amount": 5 },
              "metadata": controls::metadata::complete_json() },
            { "type": "Closed", "position": 1, "data": null, "metadata": null },
            { "type": "Deposited", "position": 2, "metadata": null,
              "data": { "note": "größe 😀 \"quoted\"", "deep": { "list": [1, null] } } },
        ]);
        let by_stream = python.ask("read_stream", &json!({ "stream_name": "account-123" }))?;
        let found: Vec<_> = by_stream.as_array().into_iter().flatten().map(the_sayable).collect();
        assert_eq!(Value::from(found), written);
        let by_category = python.ask("read_category", &json!({ "category_name": "account" }))?;
        assert_eq!(by_category, by_stream);
        let last = python.ask("read_last_message", &json!({ "stream_name": "account-123" }))?;
        assert_eq!(last, by_stream[2]);

        // Place, id and time are those that are read here.
        let ours = store.last_message(&account, None).await?.ok_or("not found")?;
        assert_eq!(last["id"], json!(ours.id));
        assert_eq!(last["stream_name"], ours.stream_name.as_str());
        assert_eq!(last["global_position"], ours.global_position.get());
        let time = last["time"].as_str().unwrap_or_default();
        let ours = ours.time.format(PYTHON_TIME)?;
        assert_eq!(ours.trim_end_matches('0'), time.trim_end_matches('0'));

        // `-` is all that tells Python's `read` a stream from a category.
        for (stream, id) in controls::stream::awkward()?.iter().zip(100..) {
            store.write(stream, &messages(id..id + 1)?, ANY).await?;
            let of = json!({ "stream_name": stream.as_str(), "no_of_messages": 5 });
            assert_eq!(python.ask("read", &of)?[0]["stream_name"], stream.as_str());
        }
    }
    Ok(())
}

/// A message as Python has it, without what each run makes anew.
fn the_sayable(message: &Value) -> Value {
    ["type", "position", "data", "metadata"]
        .into_iter()
        .map(|key| (key.to_owned(), message[key].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn who_comes_too_late_is_refused_whoever_was_first() -> Result {
    for Shared { database, store, mut python } in Shared::on_both().await? {
        let (by_us, by_python) = (stream("account-1")?, stream("account-2")?);
        let late = json!({ "stream_name": "account-1", "message_type": "Deposited",
            "data": { "amount": 1 }, "expected_version": -1 });
        let none = ExpectedVersion::NoStream;
        store.write(&by_us, &[controls::message::deposited(1)?], none).await?;
        let refused = python.call("write", &late)?.unwrap_err();
        let said = "P0001-ERROR:  Wrong expected version: -1 \
                    (Stream: account-1, Stream Version: 0)";
        assert_eq!(refused, said);

        let mut first = late.clone();
        first["stream_name"] = "account-2".into();
        python.ask("write", &first)?;
        for count in [1, 3] {
            let batch = controls::batch::deposits(10, count)?;
            let refused = store.write(&by_python, &batch, none).await.unwrap_err();
            let conflict = refused.conflict().ok_or("no conflict")?;
            assert_eq!((conflict.stream(), conflict.actual()), (&by_python, Some(Position::START)));
        }

        let write = "SELECT write_message(gen_random_uuid()::varchar, 'account-2', 'T', '{}', \
                     NULL, 5)";
        let refused = psql(&database.url_as(ROLE), write)?.unwrap_err();
        assert!(refused.contains("Wrong expected version: 5 (Stream: account-2"), "{refused}");

        let count = "SELECT count(*) FROM messages";
        let written: i64 =
            sqlx::query_scalar(count).fetch_one(&mut raw(&database.url()).await?).await?;
        assert_eq!(written, 2, "a refused write left something");
    }
    Ok(())
}

#[tokio::test]
async fn what_psql_writes_is_read_here_and_the_other_way_round() -> Result {
    for Shared { database, store, python: _python } in Shared::on_both().await? {
        let (url, account) = (database.url_as(ROLE), stream("account-1")?);
        for (call, position) in [
            // The forms of the user guide: by place, by name, an id in capitals, data that is null.
            (
                "message_store.write_message('A11E9022-E741-4450-BF9C-C4CC5DDB6EA3', 'account-1', \
              'Deposited', '{\"amount\": 5}', '{\"correlationStreamName\": \"transfer-7\"}', -1)",
                "0",
            ),
            (
                "write_message(id => gen_random_uuid()::varchar, stream_name => 'account-1', \
              type => 'Withdrawn', data => '{\"amount\": 2}', expected_version => 0)",
                "1",
            ),
            ("write_message(gen_random_uuid()::varchar, 'account-1', 'Closed', NULL)", "2"),
        ] {
            assert_eq!(psql(&url, &format!("SELECT {call}"))?, Ok(position.to_owned()));
        }
        let read = store.read_stream(&account, Position::START, PAGE).await?;
        assert_eq!(read[0].id, Uuid::parse_str("a11e9022-e741-4450-bf9c-c4cc5ddb6ea3")?);
        assert_eq!(read[0].decode::<Deposited>()?, Deposited { amount: 5 });
        let metadata = controls::metadata::correlated_with("transfer-7")?;
        assert_eq!(read[0].metadata()?, metadata);
        assert_eq!(read[1].decode::<Withdrawn>()?, Withdrawn { amount: 2 });
        assert_eq!(read[2].decode::<Closed>()?, Closed {});

        store.write(&account, &[controls::message::deposited(9)?], ANY).await?;
        let last = "SELECT type, position, data, metadata IS NULL \
                    FROM get_last_stream_message('account-1')";
        assert_eq!(psql(&url, last)?, Ok("Deposited|3|{\"amount\": 9}|t".to_owned()));
    }
    Ok(())
}

#[tokio::test]
async fn correlation_is_found_across_languages() -> Result {
    for Shared { database: _database, store, mut python } in Shared::on_both().await? {
        for (id, with) in [(1, "transfer-1"), (2, "transfer-2+3"), (3, "transferX-1"), (4, "other")]
        {
            let message = correlated(controls::message::deposited(id)?, with)?;
            store.write(&stream(&format!("account-{id}"))?, &[message], ANY).await?;
            python.ask(
                "write",
                &json!({
                    "stream_name": format!("account-{}", id + 10), "message_type": "Deposited",
                    "data": { "amount": id }, "metadata": { "correlationStreamName": with },
                }),
            )?;
        }
        let query = CategoryQuery::new("account".parse()?).correlated_with("transfer".parse()?);
        let here = store.read_category(&query, START, PAGE).await?;
        let here: Vec<_> = here.iter().map(|message| message.stream_name.as_str()).collect();
        assert_eq!(here, ["account-1", "account-11", "account-2", "account-12"]);

        // The client has no argument for it, and takes the query instead.
        let sql = "SELECT * FROM get_category_messages(%(stream_name)s, %(position)s, \
                   %(batch_size)s, 'transfer')";
        let there = python.ask("read", &json!({ "stream_name": "account", "sql": sql }))?;
        let there = names_of(&there);
        assert_eq!(there, here);
    }
    Ok(())
}

#[tokio::test]
async fn progress_is_read_across_languages() -> Result {
    for Shared { database: _database, store, mut python } in Shared::on_both().await? {
        let teller = SubscriberId::new("teller")?;
        let commands: Category = "account:command".parse()?;
        let progress = ProgressStream::of_category(&commands, &teller, None);
        let name = json!({ "stream_name": "account:command+position-teller" });
        assert_eq!(python.ask("read_last_message", &name)?, Value::Null);
        assert_eq!(store.read_progress(&progress).await?, None);

        for (number, place) in [(1, 7), (2, 41)] {
            store.record_progress(&progress, place, Uuid::from_u128(number)).await?;
            let last = python.ask("read_last_message", &name)?;
            let record = json!({ "type": "Recorded", "data": { "position": place },
                "metadata": null, "position": number - 1 });
            assert_eq!(the_sayable(&last), record);
        }
        let mut record = json!({ "stream_name": name["stream_name"], "message_type": "Recorded",
            "data": { "position": 99 } });
        python.ask("write", &record)?;
        assert_eq!(store.read_progress(&progress).await?, Some(99));
        record["data"] = json!({ "position": "99" });
        python.ask("write", &record)?;
        let refused = store.read_progress(&progress).await.unwrap_err();
        assert!(refused.is_unreadable_progress(), "{refused:?}");
    }
    Ok(())
}

/// What `psql` prints for a query, or says when it is refused.
fn psql(url: &str, sql: &str) -> Result<std::result::Result<String, String>> {
    let mut psql = Command::new("psql");
    let output = psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).output()?;
    let said = if output.status.success() { &output.stdout } else { &output.stderr };
    let said = String::from_utf8_lossy(said).trim().to_owned();
    Ok(if output.status.success() { Ok(said) } else { Err(said) })
}
