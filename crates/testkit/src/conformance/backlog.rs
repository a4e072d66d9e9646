//! The laws of how far a subscriber is behind: where a category ends, and what is before a place.
//!
//! What the filters of a query hold is in `category_filter.rs`.

use evenfold_core::store::{Backlog, CategoryQuery, ConsumerGroup, MessageStore};
use evenfold_core::{Category, Error, StreamName};

use super::subject::{Subject, category_of, there, write};
use crate::controls::message::deposited;
use crate::controls::{metadata, stream};

/// *Category head.*
pub(super) async fn the_head_of_a_category_is_where_its_last_message_stands(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let categories = ["account", "account:command", "transfer", "nothing"];
    let names = ["account-1", "transfer-1", "account:command-1", "account", "transfer-1"];
    for (number, name) in (1..).zip([None].into_iter().chain(names.map(Some))) {
        if let Some(name) = name {
            write(&*store, &StreamName::new(name)?, &[deposited(number)?]).await?;
        }
        for category in categories {
            let category = Category::new(category)?;
            let all = category_of(&*store, &category.clone().into()).await?;
            let last = all.last().map(|message| message.global_position);
            assert_eq!(store.category_head(&category).await?, last, "of `{category}`");
        }
    }
    Ok(())
}

/// Demands that a backlog is what reading says, from every place there is.
async fn is_what_is_read(store: &dyn MessageStore, query: &CategoryQuery) -> Result<(), Error> {
    let whole = category_of(store, &CategoryQuery::new(query.category().clone())).await?;
    let head = whole.last().map(|message| message.global_position);
    let places = whole.iter().map(|message| message.global_position);
    let wanted = category_of(store, query).await?;
    for after in [None].into_iter().chain(places.map(Some)) {
        let before: Vec<_> =
            wanted.iter().filter(|message| Some(message.global_position) > after).collect();
        let read = Backlog {
            messages: before.len().try_into().unwrap_or_default(),
            oldest: before.iter().map(|message| message.time).min(),
            head,
        };
        assert_eq!(store.backlog(query, after).await?, read, "{query:?} after {after:?}");
    }
    Ok(())
}

/// *Counted backlog.*
pub(super) async fn a_backlog_counts_what_is_behind_a_place(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let query = CategoryQuery::new(stream::category()?);
    assert_eq!(store.backlog(&query, None).await?, Backlog::default());
    for (number, name) in
        (1..).zip(["account-1", "account:command-1", "account", "account-2", "transfer-1"])
    {
        write(&*store, &StreamName::new(name)?, &[deposited(number)?]).await?;
        is_what_is_read(&*store, &query).await?;
    }
    let backlog = store.backlog(&query, None).await?;
    assert_eq!(backlog.messages, 3);
    let last = there(store.last_message(&"account-2".parse()?, None).await?, "the last")?;
    assert_eq!(backlog.head, Some(last.global_position));
    Ok(())
}

/// *Counted backlog*, of what the filters of a query hold.
pub(super) async fn a_backlog_counts_what_the_query_holds(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for number in 1..=12 {
        let correlation = if number % 2 == 0 { "transfer-1" } else { "order-1" };
        let message = deposited(number)?.with_metadata(metadata::correlated_with(correlation)?);
        write(&*store, &stream::account(number)?, &[message]).await?;
    }
    let query = CategoryQuery::new(stream::category()?);
    let member = ConsumerGroup::new(1, 2)?;
    for query in [
        query.clone().correlated_with(Category::new("transfer")?),
        query.clone().for_member(member),
        query.clone().correlated_with(Category::new("transfer")?).for_member(member),
        query.correlated_with(Category::new("nothing")?),
    ] {
        is_what_is_read(&*store, &query).await?;
    }
    Ok(())
}
