//! The laws of reading a category: pages by global position, matched whole, over its streams.
//!
//! The filters of a category are in `category_filter.rs` and `consumer_group.rs`.

use std::sync::Arc;

use evenfold_core::message::Recorded;
use evenfold_core::store::{CategoryQuery, MessageStore};
use evenfold_core::{Category, Error, GlobalPosition};

use super::subject::{
    Subject, category_of, ids, limit, paged_category, rises, streams, there, write,
};
use crate::controls::message::deposited;
use crate::controls::{batch, id, stream};

/// A store whose category `account` has so many messages, whose ids count from 1, over three
/// streams, and other messages between them.
async fn with_category(
    subject: &Subject<'_>,
    count: u32,
) -> Result<(Arc<dyn MessageStore>, CategoryQuery, Vec<Recorded>), Error> {
    let store = subject.open().await?;
    for number in 1..=count {
        write(&*store, &stream::account(number % 3)?, &[deposited(number)?]).await?;
        let between = if number % 2 == 0 { "transfer-1" } else { "account:command-1" };
        write(&*store, &between.parse()?, &[deposited(10_000 + number)?]).await?;
    }
    let query = CategoryQuery::new(stream::category()?);
    let all = category_of(&*store, &query).await?;
    assert_eq!(ids(&all), (1..=count.into()).map(id).collect::<Vec<_>>());
    Ok((store, query, all))
}

/// *Category page*: from the global position asked for, that one too, or after it.
pub(super) async fn a_page_of_a_category_begins_at_the_position_asked_for(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, query, all) = with_category(subject, 7).await?;
    for (place, message) in all.iter().enumerate() {
        let at = message.global_position;
        let page = store.read_category(&query, at, limit(100)?).await?;
        assert_eq!(page, all.get(place..).unwrap_or_default(), "from {at}");
        let page = store.read_category(&query, at.next(), limit(100)?).await?;
        assert_eq!(page, all.get(place + 1..).unwrap_or_default(), "from behind {at}");
    }
    assert_eq!(store.read_category(&query, GlobalPosition::START, limit(100)?).await?, all);
    Ok(())
}

/// *Category page*: to the limit.
pub(super) async fn a_page_of_a_category_ends_at_its_limit(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, query, all) = with_category(subject, 5).await?;
    for most in [1, 2, 4, 5, 6, 1_000_000] {
        let page = store.read_category(&query, GlobalPosition::START, limit(most)?).await?;
        let whole = all.iter().take(limit(most)?.as_len()).cloned().collect::<Vec<_>>();
        assert_eq!(page, whole, "at most {most}");
    }
    let second = there(all.get(1), "the second message")?.global_position;
    let page = store.read_category(&query, second, limit(2)?).await?;
    assert_eq!(page, all.get(1..3).unwrap_or_default());
    Ok(())
}

/// *Category page*: where there is nothing after it.
pub(super) async fn a_page_of_a_category_past_its_end_is_empty(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, query, all) = with_category(subject, 3).await?;
    let last = there(all.last(), "the last message")?.global_position;
    for past in [last.get() + 1, last.get() + 1_000, i64::MAX] {
        let page = store.read_category(&query, GlobalPosition::new(past)?, limit(10)?).await?;
        assert_eq!(page, [], "from {past}");
    }
    Ok(())
}

/// *Category page*, of a category that is not there.
pub(super) async fn a_page_of_a_missing_category_is_empty(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let query = CategoryQuery::new(stream::category()?);
    assert_eq!(category_of(&*store, &query).await?, []);
    write(&*store, &"account:command-1".parse()?, &[deposited(1)?]).await?;
    assert_eq!(category_of(&*store, &query).await?, []);
    Ok(())
}

/// *Category page*: it rises, over all the streams of the category.
pub(super) async fn a_category_rises_over_its_streams(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let names = ["account-2", "account-1", "account-3", "account-1", "account-2"];
    for (number, name) in (0..).zip(names) {
        write(&*store, &name.parse()?, &batch::deposits(1 + 3 * number, 3)?).await?;
    }
    let all = category_of(&*store, &CategoryQuery::new(stream::category()?)).await?;
    assert!(rises(&all), "{all:?}");
    let written: Vec<_> = names.into_iter().flat_map(|name| [name; 3]).collect();
    assert_eq!(streams(&all), written);
    assert_eq!(ids(&all), (1..=15).map(id).collect::<Vec<_>>());
    Ok(())
}

/// *Category page*: `account` is not `account:command`, nor any other that looks like it.
pub(super) async fn a_category_is_matched_whole(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let names = stream::awkward()?;
    for (number, name) in (1..).zip(&names) {
        write(&*store, name, &[deposited(number)?]).await?;
    }
    let categories: Vec<_> = names.iter().map(evenfold_core::StreamName::category).collect();
    for category in categories {
        let whole: Vec<_> = names
            .iter()
            .filter(|name| name.category() == category)
            .map(evenfold_core::StreamName::as_str)
            .collect();
        let page = category_of(&*store, &CategoryQuery::new(category.clone())).await?;
        assert_eq!(streams(&page), whole, "of `{category}`");
    }
    for none in ["acc", "account:", "account:c", "account:position+command", "accoun%", "*"] {
        let page = category_of(&*store, &CategoryQuery::new(Category::new(none)?)).await?;
        assert_eq!(streams(&page), [""; 0], "of `{none}`");
    }
    Ok(())
}

/// *Category page*, with the stream that has no id.
pub(super) async fn a_category_holds_the_stream_named_by_it_alone(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for (number, name) in (1..).zip(["account-1", "account", "account-1", "account"]) {
        write(&*store, &name.parse()?, &[deposited(number)?]).await?;
    }
    let page = category_of(&*store, &CategoryQuery::new(stream::category()?)).await?;
    assert_eq!(streams(&page), ["account-1", "account", "account-1", "account"]);
    Ok(())
}

/// *Category page*: page by page nothing is missed and nothing comes twice.
pub(super) async fn the_pages_of_a_category_hold_it_whole(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, query, all) = with_category(subject, 28).await?;
    for page in [1, 7, 27, 28, 29, 1000] {
        assert_eq!(paged_category(&*store, &query, page).await?, all, "in pages of {page}");
    }
    Ok(())
}
