//! What is in the file and around it: files that are none of ours, and what is kept in ours.
//!
//! The laws of a store are in `conformance.rs`; what happens under load in `sharing.rs`.

mod common;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::message::NewMessage;
use evenfold_core::store::{
    BatchSize, BrowseStore, CategoryQuery, ConsumerGroup, Lease, LeaseGroup, LeaseStore, Member,
    ReadStore, WriteStore,
};
use evenfold_core::{ExpectedVersion, GlobalPosition, Position, StreamName};
use evenfold_sqlite::{Durability, Sqlite};
use evenfold_testkit::ManualClock;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection, Row};
use time::macros::datetime;
use uuid::Uuid;

use common::{Result, messages, raw, url};

/// The whole text of the error that opening this file ends with.
async fn refusal(file: &Path) -> String {
    match Sqlite::connect(&url(file)).await {
        Ok(store) => format!("opened {store:?}"),
        Err(error) => format!("{error:?}"),
    }
}

async fn execute(file: &Path, sql: &str) -> Result {
    let mut connection = raw(file).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("letter.txt");
    let letter = "Dear Sir or Madam. ".repeat(100);
    fs::write(&file, &letter)?;
    let refusal = refusal(&file).await;
    assert!(refusal.contains("letter.txt`: this is not a SQLite file; name another"), "{refusal}");
    assert_eq!(fs::read_to_string(&file)?, letter);
    Ok(())
}

#[tokio::test]
async fn a_missing_folder_is_named() -> Result {
    let folder = tempfile::tempdir()?;
    let refusal = refusal(&folder.path().join("missing").join("bank.db")).await;
    assert!(refusal.contains("missing` is missing; make it"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn a_folder_is_no_file() -> Result {
    let folder = tempfile::tempdir()?;
    let refusal = refusal(folder.path()).await;
    assert!(refusal.contains("this is a folder; name a file"), "{refusal}");
    // What SQLite says of it is told once.
    assert_eq!(refusal.matches("unable to open database file").count(), 1, "{refusal}");
    Ok(())
}

/// Permissions do not stop root, who may run this, so the file says itself that SQLite of this age
/// can only read it: the format version for writing, in its head, is one of the future.
#[tokio::test]
async fn a_file_that_can_only_be_read_is_refused() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    Sqlite::connect(&url(&file)).await?.close().await;
    let mut bytes = fs::read(&file)?;
    bytes[18] = 3;
    fs::write(&file, bytes)?;
    let refusal = refusal(&file).await;
    assert!(refusal.contains("it can only be read, and a store writes"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn a_schema_of_a_later_release_is_refused() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    Sqlite::connect(&url(&file)).await?.close().await;
    execute(
        &file,
        "INSERT INTO _evenfold_migrations VALUES (9999, 'later', '2030-01-01', TRUE, x'00', 0)",
    )
    .await?;
    let refusal = refusal(&file).await;
    assert!(refusal.contains("of a later release, with migration 9999; update"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn a_schema_of_another_build_is_refused() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    Sqlite::connect(&url(&file)).await?.close().await;
    execute(&file, "UPDATE _evenfold_migrations SET checksum = x'00' WHERE version = 1").await?;
    let refusal = refusal(&file).await;
    assert!(refusal.contains("its migration 1 is not the one of this release"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn the_tables_of_an_application_may_stand_beside_ours_under_other_names() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mail.db");
    execute(&file, "CREATE TABLE letters (id INTEGER)").await?;
    Sqlite::connect(&url(&file)).await?.close().await;

    let taken = folder.path().join("taken.db");
    execute(&taken, "CREATE TABLE messages (id INTEGER)").await?;
    let refusal = refusal(&taken).await;
    assert!(refusal.contains("a table of another application"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn the_file_has_a_write_ahead_log_while_it_is_open_and_stands_alone_afterwards() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    let store = Sqlite::options().durability(Durability::Full).connect(&url(&file)).await?;
    let stream = StreamName::new("account-1")?;
    store.write(&stream, &messages(1..2)?, ExpectedVersion::NoStream).await?;
    let mut connection = raw(&file).await?;
    let mode = sqlx::query("PRAGMA journal_mode").fetch_one(&mut connection).await?;
    assert_eq!(mode.try_get::<String, _>(0)?, "wal");
    connection.close().await?;

    store.close().await;
    let left = folder.path().read_dir()?.map(|entry| entry.map(|entry| entry.file_name()));
    assert_eq!(left.collect::<std::io::Result<Vec<_>>>()?, ["bank.db"]);

    let closed = store.stream_version(&stream).await.unwrap_err();
    assert!(!closed.is_unavailable(), "{closed:?}");
    Ok(())
}

#[tokio::test]
async fn the_time_is_that_of_the_clock_to_the_microsecond() -> Result {
    let folder = tempfile::tempdir()?;
    let now = datetime!(2026-11-23 14:15:16.123456 UTC);
    let store = Sqlite::connect(&url(&folder.path().join("bank.db"))).await?;
    let store = store.with_clock(Arc::new(ManualClock::at(now)));
    let stream = StreamName::new("account-1")?;
    store.write(&stream, &messages(1..2)?, ExpectedVersion::NoStream).await?;
    store.write(&stream, &messages(2..4)?, ExpectedVersion::Any).await?;
    for message in store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await? {
        assert_eq!(message.time, now);
    }
    Ok(())
}

/// A batch travels as JSON within which its data is text, a single message does not.
#[tokio::test]
async fn a_batch_keeps_every_character_as_a_single_message_does() -> Result {
    let folder = tempfile::tempdir()?;
    let store = Sqlite::connect(&url(&folder.path().join("bank.db"))).await?;
    let types = ["Deposited", "\u{1}\t\"quoted\\", "Überwiesen 💶", "[1]", "null", "x'00'"];
    let data = [
        r#"{"one":"a\u0001b","alone":"\ud800","pair":"\ud83d\udcb6","path":"C:\\new\"it\""}"#,
        "{ \"spaced\" :\t1.10 ,\n \"long\": 12345678901234567890123.50 }",
        r#"{"all":["no object", null, "日本", "💶", "--; DROP TABLE messages"]}"#,
        r#"{"only":null}"#,
        "{}",
        r#"{"":"text"}"#,
    ];
    let of_ids = |ids: Range<u128>| -> Result<Vec<NewMessage>> {
        let messages = types.iter().zip(data).zip(ids).map(|((message_type, data), id)| {
            let data = RawValue::from_string(data.into())?;
            let mut message = NewMessage::new(Uuid::from_u128(id), *message_type, &data)?;
            message
                .metadata_mut()
                .properties
                .insert((*message_type).into(), (*message_type).into());
            Ok(message)
        });
        messages.collect()
    };
    let (together, alone) = (StreamName::new("batch-💶'\"\\")?, StreamName::new("single-1")?);
    let batch = of_ids(0..6)?;
    store.write(&together, &batch, ExpectedVersion::NoStream).await?;
    for message in of_ids(100..106)? {
        store.write(&alone, &[message], ExpectedVersion::Any).await?;
    }
    for stream in [&together, &alone] {
        let page = store.read_stream(stream, Position::START, BatchSize::DEFAULT).await?;
        assert_eq!(page.len(), batch.len());
        for (recorded, message) in page.iter().zip(&batch) {
            assert_eq!(&*recorded.message_type, message.message_type());
            assert_eq!(recorded.data_json.as_deref(), message.stored_data());
            assert_eq!(recorded.metadata_json.as_deref(), message.stored_metadata().as_deref());
        }
    }
    Ok(())
}

/// A shell of SQLite leaves the rows of members and leases where the row of their group is deleted.
#[tokio::test]
async fn a_group_that_was_deleted_is_another_one_when_it_comes_back() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    let store = Sqlite::connect(&url(&file)).await?;
    let name = StreamName::new("account:position-teller")?;
    let member = |number| Member { id: Uuid::from_u128(number), label: String::new() };
    let held = async |number, buckets| -> Result<Vec<Lease>> {
        let (group, member) = (LeaseGroup::new(name.clone(), buckets)?, member(number));
        Ok(store.renew_leases(&group, &member, Duration::from_hours(1)).await?.leases)
    };
    let fresh = |buckets| (0..buckets).map(|bucket| Lease { bucket, epoch: 1 }).collect::<Vec<_>>();
    assert_eq!(held(1, 4).await?, fresh(4));
    execute(&file, "PRAGMA foreign_keys = OFF; DELETE FROM evenfold_groups").await?;
    // Nothing that was said of the first is read as of this one: not its number of buckets, not its
    // members, whose share would be half of them, and not who held what how often.
    assert_eq!(held(2, 8).await?, fresh(8));
    let group = LeaseGroup::new(name.clone(), 8)?;
    let listed = store.group_members(&group).await?;
    assert_eq!(listed.iter().map(|status| status.member.id).collect::<Vec<_>>(), [member(2).id]);
    store.release_leases(&group, member(1).id, &[0, 1, 2, 3]).await?;
    assert_eq!(held(2, 8).await?, fresh(8));
    Ok(())
}

/// As another program may have written it: metadata that is not JSON, and the one hash that has no
/// positive counterpart.
#[tokio::test]
async fn filters_pass_over_what_they_cannot_read() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    let store = Sqlite::connect(&url(&file)).await?;
    execute(
        &file,
        "INSERT INTO messages
            (id, stream_name, category, type, position, time, cardinal_hash, metadata)
         VALUES (zeroblob(16), 'account-1', 'account', 'Opened', 0, 0, -9223372036854775808, 'no'),
            (randomblob(16), 'account-1', 'account', 'Opened', 1, 0, NULL, 'null'),
            (randomblob(16), 'account-1', 'account', 'Opened', 2, 0, NULL,
                '{\"correlationStreamName\":\"transfer-1\"}')",
    )
    .await?;
    let all = CategoryQuery::new("account".parse()?);
    let correlated = all.clone().correlated_with("transfer".parse()?);
    // 2^63 leaves 2 behind when it is divided by 3.
    let of_member = all.clone().for_member(ConsumerGroup::new(2, 3)?);
    for (query, expected) in [(all, vec![0, 1, 2]), (correlated, vec![2]), (of_member, vec![0])] {
        let page = store.read_category(&query, GlobalPosition::START, BatchSize::DEFAULT).await?;
        let positions: Vec<_> = page.iter().map(|message| message.position.get()).collect();
        assert_eq!(positions, expected, "{query:?}");
    }
    assert!(store.message(Uuid::nil()).await?.unwrap().metadata().is_err());
    Ok(())
}

#[tokio::test]
async fn a_row_that_is_none_of_ours_is_an_error_that_says_what_was_read() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    let store = Sqlite::connect(&url(&file)).await?;
    let row = "INSERT INTO messages (id, stream_name, category, type, position, time)
         VALUES (randomblob(16), 'account-1', 'account', 'Opened', 0, 9223372036854775807)";
    execute(&file, row).await?;
    let stream = StreamName::new("account-1")?;
    let error = store.read_stream(&stream, Position::START, BatchSize::DEFAULT).await.unwrap_err();
    assert!(format!("{error:?}").starts_with("reading `account-1` from 0\ncaused by"), "{error:?}");
    Ok(())
}
