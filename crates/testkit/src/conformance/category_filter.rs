//! The filters of a category: by the category of the correlation stream, by a group's member, by types;
//! and what is left out of each message.
//!
//! Which member a stream falls to is in `consumer_group.rs`.

use std::sync::Arc;

use evenfold_core::message::Recorded;
use evenfold_core::store::{CategoryQuery, ConsumerGroup, MessageStore};
use evenfold_core::{Category, Error, GlobalPosition, Position, StreamName};

use super::subject::{Subject, category_of, ids, limit, paged_category, write};
use crate::controls::message::{deposited, withdrawn};
use crate::controls::{id, metadata, stream};

fn correlated_with(category: &str) -> Result<CategoryQuery, Error> {
    Ok(CategoryQuery::new(stream::category()?).correlated_with(Category::new(category)?))
}

fn member(number: i64, size: i64) -> Result<CategoryQuery, Error> {
    Ok(CategoryQuery::new(stream::category()?).for_member(ConsumerGroup::new(number, size)?))
}

/// A store with a message for each of these correlation streams, the empty one being none; each in
/// a stream of its own, with ids that count from 1.
async fn with_correlations(
    subject: &Subject<'_>,
    correlations: impl IntoIterator<Item = &str>,
) -> Result<Arc<dyn MessageStore>, Error> {
    let store = subject.open().await?;
    for (number, correlation) in (1..).zip(correlations) {
        let mut message = deposited(number)?;
        if !correlation.is_empty() {
            message = message.with_metadata(metadata::correlated_with(correlation)?);
        }
        write(&*store, &stream::account(number)?, &[message]).await?;
    }
    Ok(store)
}

/// Demands that the messages of these numbers were read, and no other.
fn only(all: &[Recorded], numbers: impl IntoIterator<Item = u64>, what: &str) {
    let numbers: Vec<_> = numbers.into_iter().map(id).collect();
    assert_eq!(ids(all), numbers, "{what}");
}

/// *Correlation filter.*
pub(super) async fn a_correlation_holds_the_messages_that_name_its_category(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let correlations = ["transfer-1", "order-1", "", "transfer-2+x-y", "transfer", "order"];
    let store = with_correlations(subject, correlations).await?;
    only(&category_of(&*store, &correlated_with("transfer")?).await?, [1, 4, 5], "transfer");
    only(&category_of(&*store, &correlated_with("order")?).await?, [2, 6], "order");
    only(&category_of(&*store, &correlated_with("payment")?).await?, [], "payment");
    let unfiltered = CategoryQuery::new(stream::category()?);
    only(&category_of(&*store, &unfiltered).await?, 1..=6, "unfiltered");

    // The message's own category is not what its correlation is compared with.
    only(&category_of(&*store, &correlated_with("account")?).await?, [], "account");
    Ok(())
}

/// *Correlation filter*: `transfer` is not `transfer:v1`.
pub(super) async fn a_correlation_is_matched_whole(subject: &Subject<'_>) -> Result<(), Error> {
    let correlations =
        ["transfer-1", "transfer:v1-1", "transferX-1", "Transfer-1", "transfe_-1", "a-transfer-1"];
    let store = with_correlations(subject, correlations).await?;
    for (number, category) in
        (1..).zip(["transfer", "transfer:v1", "transferX", "Transfer", "transfe_", "a"])
    {
        let page = category_of(&*store, &correlated_with(category)?).await?;
        only(&page, [number], category);
    }
    Ok(())
}

/// *Correlation filter*: no metadata, or metadata without the key, or the key in another place.
pub(super) async fn a_message_without_correlation_is_in_none(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let mut elsewhere = metadata::unknown_keys();
    elsewhere.reply_stream_name = Some("transfer-1".parse()?);
    elsewhere.causation_message_stream_name = Some("transfer-1".parse()?);
    elsewhere.properties.insert("correlationStreamName".into(), "transfer-1".into());
    let messages = [
        deposited(1)?,
        deposited(2)?.with_metadata(elsewhere),
        deposited(3)?.with_metadata(metadata::complete()?),
    ];
    write(&*store, &stream::account(1)?, &messages).await?;
    only(&category_of(&*store, &correlated_with("transfer")?).await?, [], "transfer");
    only(&category_of(&*store, &correlated_with("transfer:v1")?).await?, [3], "transfer:v1");
    Ok(())
}

/// *Correlation filter*: what is filtered out does not count.
pub(super) async fn a_limit_counts_the_messages_that_are_correlated(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let correlations = (0..20).map(|number| if number % 5 == 4 { "transfer-1" } else { "order-1" });
    let store = with_correlations(subject, correlations).await?;
    let query = correlated_with("transfer")?;
    for (most, found) in [(1, [5].as_slice()), (3, &[5, 10, 15]), (4, &[5, 10, 15, 20])] {
        let page = store.read_category(&query, GlobalPosition::START, limit(most)?).await?;
        only(&page, found.iter().copied(), "correlated with a transfer");
    }
    Ok(())
}

/// *Correlation filter*: page by page nothing is missed and nothing comes twice.
pub(super) async fn the_pages_of_a_correlation_hold_it_whole(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let correlations = ["transfer-1", "", "order-1"].into_iter().cycle().take(42);
    let store = with_correlations(subject, correlations).await?;
    for page in [1, 7, 14, 1000] {
        let all = paged_category(&*store, &correlated_with("transfer")?, page).await?;
        only(&all, (1..=42).filter(|number| number % 3 == 1), "correlated with a transfer");
    }
    Ok(())
}

/// *Consumer group filter*: what falls to others does not count.
pub(super) async fn a_limit_counts_the_messages_of_the_member(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = with_correlations(subject, [""; 30]).await?;
    for number in 0..3 {
        let query = member(number, 3)?;
        let all = category_of(&*store, &query).await?;
        assert!(all.len() > 3, "member {number} has too little to do for this law: {all:?}");
        let page = store.read_category(&query, GlobalPosition::START, limit(3)?).await?;
        assert_eq!(page, all.get(..3).unwrap_or_default(), "member {number}");
    }
    Ok(())
}

/// *Consumer group filter*: page by page nothing is missed and nothing comes twice.
pub(super) async fn the_pages_of_a_member_hold_its_streams_whole(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = with_correlations(subject, [""; 40]).await?;
    for page in [1, 7, 1000] {
        let mut seen = Vec::new();
        for number in 0..3 {
            seen.extend(paged_category(&*store, &member(number, 3)?, page).await?);
        }
        seen.sort_by_key(|message| message.global_position);
        only(&seen, 1..=40, "over all members");
    }
    Ok(())
}

/// *Correlation filter* and *Consumer group filter* at a time.
pub(super) async fn a_member_of_a_correlation_holds_what_both_hold(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let correlations =
        (1..=40).map(|number| if number % 2 == 0 { "transfer-1" } else { "order-1" });
    let store = with_correlations(subject, correlations).await?;
    for number in 0..2 {
        let both = member(number, 2)?.correlated_with(Category::new("transfer")?);
        let of_member = category_of(&*store, &member(number, 2)?).await?;
        let held: Vec<_> =
            of_member.into_iter().filter(|message| message.id.as_u128() % 2 == 0).collect();
        assert!(!held.is_empty(), "member {number} has nothing to do");
        assert_eq!(category_of(&*store, &both).await?, held, "member {number}");
        let page = store.read_category(&both, GlobalPosition::START, limit(2)?).await?;
        assert_eq!(page, held.get(..2).unwrap_or_default(), "member {number}");
    }
    Ok(())
}

/// *Type filter*, by itself and with the others: names are matched whole, and what is filtered out does
/// not count.
pub(super) async fn types_hold_the_messages_of_these_types_alone(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for number in 1..=30 {
        let mut message = if number % 3 == 0 { withdrawn(number)? } else { deposited(number)? };
        if number % 2 == 0 {
            message = message.with_metadata(metadata::correlated_with("transfer-1")?);
        }
        write(&*store, &stream::account(number)?, &[message]).await?;
    }
    let all = || Ok::<_, Error>(CategoryQuery::new(stream::category()?));
    let threes = || (1..=30).filter(|number| number % 3 == 0);
    only(&category_of(&*store, &all()?.of_types(["Withdrawn"])).await?, threes(), "Withdrawn");
    let both = all()?.of_types(["Withdrawn", "Deposited", "Closed"]);
    only(&category_of(&*store, &both).await?, 1..=30, "all types");
    for none in ["withdrawn", "With", "Withdrawn'", "With\"drawn", "%", "With_rawn"] {
        only(&category_of(&*store, &all()?.of_types([none])).await?, [], none);
    }
    only(&category_of(&*store, &all()?.of_types([""; 0])).await?, [], "no type");
    let first = {
        let query = all()?.of_types(["Withdrawn"]);
        store.read_category(&query, GlobalPosition::START, limit(4)?).await?
    };
    only(&first, [3, 6, 9, 12], "four withdrawals");
    for page in [1, 7] {
        let pages = paged_category(&*store, &all()?.of_types(["Withdrawn"]), page).await?;
        only(&pages, threes(), "page by page");
    }
    let correlated = correlated_with("transfer")?.of_types(["Withdrawn"]);
    only(&category_of(&*store, &correlated).await?, [6, 12, 18, 24, 30], "and correlated");
    for query in [all()?, correlated_with("transfer")?] {
        let mine = query.for_member(ConsumerGroup::new(1, 2)?);
        let mut held = category_of(&*store, &mine).await?;
        held.retain(|message| &*message.message_type == "Withdrawn");
        assert!(!held.is_empty(), "the member has nothing to do");
        assert_eq!(category_of(&*store, &mine.of_types(["Withdrawn"])).await?, held);
    }
    let backlog = store.backlog(&all()?.of_types(["Withdrawn"]), None).await?;
    assert_eq!(backlog.messages, 10, "a backlog of withdrawals");
    Ok(())
}

/// *Without metadata*: of a stream, of a category and of each filter of one.
pub(super) async fn what_is_read_without_metadata_is_the_same_but_for_that(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for number in 1..=12 {
        let metadata = match number % 3 {
            0 => metadata::correlated_with("transfer-1")?,
            _ => metadata::complete()?,
        };
        let message = deposited(number)?.with_metadata(metadata);
        write(&*store, &stream::account(number % 4)?, &[message]).await?;
    }
    let bare = |page: Vec<Recorded>| -> Vec<_> {
        assert!(page.iter().any(|message| message.metadata_json.is_some()));
        page.into_iter().map(Recorded::without_metadata).collect()
    };
    let group = ConsumerGroup::new(0, 2)?;
    let member = CategoryQuery::new(stream::category()?).for_member(group);
    let correlated = correlated_with("transfer")?;
    let all = CategoryQuery::new(stream::category()?);
    for query in [all, member.clone(), correlated.clone(), correlated.for_member(group)] {
        let whole = category_of(&*store, &query).await?;
        assert!(query.has_metadata());
        let query = query.without_metadata();
        assert_eq!(category_of(&*store, &query).await?, bare(whole), "{query:?}");
    }
    let (stream, from) = (stream::account(1)?, Position::START.next());
    let whole = store.read_stream(&stream, from, limit(2)?).await?;
    assert_eq!(store.read_stream_data(&stream, from, limit(2)?).await?, bare(whole));
    let category = StreamName::from(stream.category());
    let refused = store.read_stream_data(&category, from, limit(2)?).await.err();
    assert!(refused.is_some_and(|error| error.is_invalid()), "a category is no stream");
    Ok(())
}
