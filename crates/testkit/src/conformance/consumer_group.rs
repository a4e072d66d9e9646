//! The law of the consumer group: its members share a category by the hash of the cardinal id.
//!
//! The hash is that of Message DB, so that members of other clients and ours can share one.

use std::collections::BTreeSet;

use evenfold_core::store::{CategoryQuery, ConsumerGroup, MessageStore};
use evenfold_core::{Category, Error};

use super::subject::{Subject, category_of, streams, write};
use crate::controls::message::deposited;
use crate::controls::stream;

/// The streams of a category that fall to a member.
async fn of_member(
    store: &dyn MessageStore,
    category: &Category,
    member: i64,
    size: i64,
) -> Result<BTreeSet<String>, Error> {
    let query = CategoryQuery::new(category.clone()).for_member(ConsumerGroup::new(member, size)?);
    let page = category_of(store, &query).await?;
    Ok(streams(&page).into_iter().map(Into::into).collect())
}

/// *Consumer group filter.*
pub(super) async fn every_stream_with_an_id_falls_to_exactly_one_member(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let mut names: Vec<_> = (1..=30).map(stream::account).collect::<Result<_, _>>()?;
    names.extend(stream::awkward()?.into_iter().filter(|name| name.category_str() == "account"));
    names.sort_unstable();
    names.dedup();
    for (number, name) in (1..).zip(&names) {
        write(&*store, name, &[deposited(number)?]).await?;
    }
    for size in [1, 2, 3, 4, 7] {
        let mut shared = Vec::new();
        for member in 0..size {
            shared.extend(of_member(&*store, &stream::category()?, member, size).await?);
        }
        shared.sort_unstable();
        let all: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(shared, all, "among {size}");
    }
    Ok(())
}

/// *Consumer group filter*: compound ids go by their first part.
pub(super) async fn streams_of_one_cardinal_id_fall_to_one_member(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let mut number = 0;
    for cardinal in 1..=12 {
        for name in [
            format!("account-{cardinal}"),
            format!("account-{cardinal}+a"),
            format!("account-{cardinal}+b+c-d"),
        ] {
            number += 1;
            write(&*store, &name.parse()?, &[deposited(number)?]).await?;
        }
    }
    for size in [2, 3, 5] {
        for member in 0..size {
            let held = of_member(&*store, &stream::category()?, member, size).await?;
            assert_eq!(held.len() % 3, 0, "member {member} of {size} has part of one: {held:?}");
        }
    }
    Ok(())
}

/// *Consumer group filter*: a stream without an id falls to none.
pub(super) async fn a_stream_without_an_id_falls_to_no_member(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    write(&*store, &stream::category_alone()?, &[deposited(1)?]).await?;
    write(&*store, &stream::account(1)?, &[deposited(2)?]).await?;
    for size in [1, 2] {
        for member in 0..size {
            let held = of_member(&*store, &stream::category()?, member, size).await?;
            assert!(!held.contains("account"), "it fell to member {member} of {size}");
        }
    }
    Ok(())
}

/// *Consumer group filter*: golden values measured on Message DB 1.3.0.
pub(super) async fn streams_fall_to_the_members_that_message_db_gives_them_to(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    const UUID: &str = "a11e9022-e741-4450-bf9c-c4cc5ddb6ea3";
    let store = subject.open().await?;
    for (number, name) in (1..).zip([
        "account-123",
        "account-123+abc",
        "account-a11e9022-e741-4450-bf9c-c4cc5ddb6ea3",
        // The hash is of the id alone: another category gives it to the same member.
        "transfer:command-123",
    ]) {
        write(&*store, &name.parse()?, &[deposited(number)?]).await?;
    }
    for (category, id, size, member) in [
        ("account", "123", 2, 1),
        ("account", "123", 3, 1),
        ("account", "123", 4, 3),
        ("account", "123+abc", 2, 1),
        ("account", "123+abc", 3, 1),
        ("account", "123+abc", 4, 3),
        ("account", UUID, 2, 0),
        ("account", UUID, 3, 2),
        ("account", UUID, 4, 0),
        ("transfer:command", "123", 4, 3),
    ] {
        let held = of_member(&*store, &Category::new(category)?, member, size).await?;
        let name = format!("{category}-{id}");
        assert!(held.contains(&name), "`{name}` is not with member {member} of {size}");
    }
    Ok(())
}

/// *Consumer group filter*, at the limit of Message DB.
pub(super) async fn a_group_of_the_largest_size_shares_a_category(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let stream = stream::account(123)?;
    write(&*store, &stream, &[deposited(1)?]).await?;
    // |hash_64("123")| modulo 32767
    let member = 18_175;
    for (asked, held) in [(member, true), (member - 1, false), (0, false), (32_766, false)] {
        let streams = of_member(&*store, &stream::category()?, asked, 32_767).await?;
        assert_eq!(streams.contains(stream.as_str()), held, "member {asked} of 32767");
    }
    Ok(())
}
