//! Writing by hand: streams, metadata, following, replies.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use evenfold::message::Metadata;
use evenfold::prelude::*;
use evenfold::{ExpectedVersion, Memory, Position, Store};
use evenfold_testkit::CountedIds;
use story::{AccountCommand, AccountEvent, Deposit, Deposited, recording};

fn memory() -> Store {
    Store::new(Memory::new())
}

async fn last(store: &Store, stream: &str) -> Recorded {
    let stream = StreamName::new(stream).unwrap();
    store.messages().last_message(&stream, None).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_message_of_a_set_goes_to_the_stream_of_its_entity_or_to_the_category() {
    let store = memory();
    store.send::<AccountEvent>("123", Deposited { amount: 1 }).await.unwrap();
    store.send::<AccountCommand>("123", Deposit { amount: 2 }).await.unwrap();
    store.send_to_category::<AccountCommand>(Deposit { amount: 3 }).await.unwrap();
    for (stream, amount) in [
        ("account-123", r#"{"amount":1}"#),
        ("account:command-123", r#"{"amount":2}"#),
        ("account:command", r#"{"amount":3}"#),
    ] {
        assert_eq!(last(&store, stream).await.data(), amount);
    }
}

#[tokio::test]
async fn a_batch_expects_what_it_is_told_to() {
    let store = memory();
    let two = || [Deposited { amount: 1 }, Deposited { amount: 2 }];
    let write = || store.write_all("account-1", two()).expecting(ExpectedVersion::NoStream);
    assert_eq!(write().await.unwrap().last(), Position::new(1).unwrap());
    let conflict = write().await.unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "stream `account-1` was expected to be at no stream and is at version 1"
    );
    let none: [Deposited; 0] = [];
    let empty = store.write_all("account-1", none).await.unwrap_err();
    assert_eq!(empty.to_string(), "batch `[]`: there is no message in it to write");
}

#[tokio::test]
async fn a_name_that_is_illegal_is_refused_before_anything_is_written() {
    let (store, recording) = recording();
    for (refused, said) in [
        (store.write("account-", Deposited { amount: 1 }).await, "stream name `account-`: "),
        (store.send::<AccountEvent>("", Deposited { amount: 1 }).await, "entity id ``: "),
    ] {
        let error = refused.unwrap_err();
        assert!(error.is_invalid() && error.to_string().starts_with(said), "{error}");
    }
    assert!(recording.writes().is_empty());
}

#[tokio::test]
async fn a_store_in_memory_takes_no_parameters_and_says_so() {
    let refused = evenfold::connect("memory:?x=1").await.unwrap_err();
    assert!(refused.is_invalid());
    assert_eq!(
        refused.to_string(),
        "store URL scheme `memory`: a store in memory takes nothing more; write `memory:`"
    );
}

#[tokio::test]
async fn ids_come_from_the_seam() {
    let store = memory().with_ids(CountedIds::default());
    store.write("account-1", Deposited { amount: 1 }).await.unwrap();
    let first = last(&store, "account-1").await.id;
    store.write("account-1", Deposited { amount: 1 }).await.unwrap();
    assert_ne!(last(&store, "account-1").await.id, first);
    let again = memory().with_ids(CountedIds::default());
    again.write("account-1", Deposited { amount: 1 }).await.unwrap();
    assert_eq!(last(&again, "account-1").await.id, first);
}

/// The last message of a stream as a handler gets it.
async fn received<M: Message>(store: &Store, stream: &str) -> Received<M> {
    let recorded = last(store, stream).await;
    Received::new(recorded.decode().unwrap(), recorded, "teller").unwrap()
}

#[tokio::test]
async fn what_follows_a_message_again_is_a_repetition() {
    let store = memory();
    store.send::<AccountCommand>("1", Deposit { amount: 5 }).await.unwrap();
    for repetition in [false, true] {
        let command = received::<Deposit>(&store, "account:command-1").await;
        let write = store.write("account-1", Deposited { amount: 5 }).following(&command);
        assert_eq!(write.await.unwrap().is_repetition(), repetition);
    }
}

#[tokio::test]
async fn a_reply_goes_where_it_was_asked_for_and_asks_for_none() {
    let store = memory();
    let replies = StreamName::new("replies-7").unwrap();
    let command = store.send::<AccountCommand>("1", Deposit { amount: 5 });
    command.reply_to(&replies).await.unwrap();
    let command = received::<Deposit>(&store, "account:command-1").await;
    store.reply(&command, Deposited { amount: 5 }).await.unwrap();

    let metadata = last(&store, "replies-7").await.metadata().unwrap();
    assert_eq!(metadata.reply_stream_name, None);
    assert_eq!(metadata.causation_message_stream_name.unwrap().as_str(), "account:command-1");
}

#[tokio::test]
async fn a_reply_to_a_message_that_asks_for_none_is_refused() {
    let store = memory();
    store.send::<AccountCommand>("1", Deposit { amount: 5 }).await.unwrap();
    let command = received::<Deposit>(&store, "account:command-1").await;
    let refused = store.reply(&command, Deposited { amount: 5 }).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "message to reply to `Deposit`: it has no reply stream name in its metadata"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_reply_is_lost_is_settled_by_id() {
    let (store, recording) = recording();
    recording.lose_reply_next(1);
    let written = store.write("account-1", Deposited { amount: 5 }).await.unwrap();
    assert!(!written.is_repetition());
    assert_eq!(written.last(), Position::START);

    // A store that finds it by itself does not know whose it is, and this write does: its id was drawn.
    recording.find_next(1);
    let written = store.write("account-1", Deposited { amount: 5 }).await.unwrap();
    assert!(!written.is_repetition() && !written.is_uncertain());

    store.send::<AccountCommand>("1", Deposit { amount: 5 }).await.unwrap();
    let command = received::<Deposit>(&store, "account:command-1").await;
    recording.lose_reply_next(3);
    let write = || store.write("account-2", Deposited { amount: 5 }).following(&command);
    assert!(write().await.unwrap_err().is_unavailable());
    // A handler that tries again by itself makes the same write, not another one.
    assert!(write().await.unwrap().is_repetition());
}

#[tokio::test]
async fn a_handler_can_begin_a_correlation_of_its_own() {
    let store = memory();
    store.send::<AccountCommand>("1", Deposit { amount: 5 }).await.unwrap();
    let command = received::<Deposit>(&store, "account:command-1").await;
    let own = Metadata {
        correlation_stream_name: Some(StreamName::new("transfer-7").unwrap()),
        ..Metadata::default()
    };
    let write = store.write("account-1", Deposited { amount: 5 });
    write.metadata(own.clone()).following(&command).await.unwrap();
    let metadata = last(&store, "account-1").await.metadata().unwrap();
    assert_eq!(metadata.correlation_stream_name, own.correlation_stream_name);
    assert!(metadata.causation_message_position.is_some());
}

#[tokio::test]
async fn properties_travel_with_what_follows_and_local_ones_do_not() {
    let store = memory();
    let map = |key: &str| [(key.to_owned(), true.into())].into_iter().collect();
    let metadata =
        Metadata { properties: map("user"), local_properties: map("here"), ..Metadata::default() };
    store.send::<AccountCommand>("1", Deposit { amount: 5 }).metadata(metadata).await.unwrap();
    let command = received::<Deposit>(&store, "account:command-1").await;
    // In either order: metadata of one's own does not take the place of what is followed.
    let own = Metadata { schema_version: Some("2".into()), ..Metadata::default() };
    let write = store.write("account-1", Deposited { amount: 5 });
    write.following(&command).metadata(own).await.unwrap();
    let followed = last(&store, "account-1").await.metadata().unwrap();
    assert_eq!(followed.causation_message_stream_name.unwrap().as_str(), "account:command-1");
    assert_eq!(followed.schema_version.unwrap(), "2");
    assert_eq!(followed.properties, map("user"));
    assert!(followed.local_properties.is_empty());
}
