//! The laws of looking around: sorted and counted listings, a message by its id.
//!
//! Names are sorted by their bytes: upper case before lower, `é` after `z`, whatever the locale.

use std::collections::BTreeMap;

use evenfold_core::message::Recorded;
use evenfold_core::store::{CategoryQuery, CategorySummary, MessageStore, StreamSummary};
use evenfold_core::{Category, Error, StreamName};

use super::subject::{Subject, category_of, limit, stream_of, there, write};
use crate::controls::message::deposited;
use crate::controls::{batch, id, stream};

async fn categories(store: &dyn MessageStore) -> Result<Vec<CategorySummary>, Error> {
    store.categories(None, limit(1_000)?).await
}

async fn streams(store: &dyn MessageStore, of: &Category) -> Result<Vec<StreamSummary>, Error> {
    store.streams(of, None, limit(1_000)?).await
}

/// A store with every awkward stream and a few more, each written twice; the names, sorted.
async fn filled(
    subject: &Subject<'_>,
) -> Result<(std::sync::Arc<dyn MessageStore>, Vec<StreamName>), Error> {
    let store = subject.open().await?;
    let mut names = stream::awkward()?;
    for more in ["account", "Zebra-1", "étage-1", "account-Z", "account-é", "account-z", "b-1"] {
        names.push(more.parse()?);
    }
    let mut number = 0;
    for name in names.iter().chain(&names) {
        number += 1;
        write(&*store, name, &[deposited(number)?]).await?;
    }
    names.sort_by(|one, other| one.as_str().as_bytes().cmp(other.as_str().as_bytes()));
    Ok((store, names))
}

/// *Sorted listing*, of nothing.
pub(super) async fn an_empty_store_lists_nothing(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    assert_eq!(categories(&*store).await?, []);
    assert_eq!(streams(&*store, &stream::category()?).await?, []);
    write(&*store, &"account:command-1".parse()?, &[deposited(1)?]).await?;
    assert_eq!(streams(&*store, &stream::category()?).await?, []);
    Ok(())
}

/// *Sorted listing.*
pub(super) async fn categories_are_listed_once_and_sorted_by_their_bytes(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, names) = filled(subject).await?;
    let mut expected: Vec<_> = names.iter().map(StreamName::category_str).collect();
    expected.sort_unstable();
    expected.dedup();
    let listed = categories(&*store).await?;
    let listed: Vec<_> = listed.iter().map(|summary| summary.category.as_str()).collect();
    assert_eq!(listed, expected);
    Ok(())
}

/// *Sorted listing*, up to the limit and after the one given.
pub(super) async fn categories_are_listed_in_pages(subject: &Subject<'_>) -> Result<(), Error> {
    let (store, _) = filled(subject).await?;
    let all = categories(&*store).await?;
    for page in [1, 2, 5, 1_000_000] {
        let mut paged: Vec<CategorySummary> = Vec::new();
        loop {
            let after = paged.last().map(|summary| summary.category.clone());
            let next = store.categories(after.as_ref(), limit(page)?).await?;
            assert!(next.len() <= limit(page)?.as_len(), "a page of {page} holds {}", next.len());
            if next.is_empty() || paged.len() > all.len() {
                break;
            }
            paged.extend(next);
        }
        assert_eq!(paged, all, "in pages of {page}");
    }
    Ok(())
}

/// *Counted listing.*
pub(super) async fn a_category_is_listed_with_its_count_and_its_last_message(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for (first, name, count) in [
        (1, "account-1", 3),
        (11, "account:command-1", 1),
        (21, "account-2", 5),
        (31, "transfer-1", 2),
        (41, "account", 1),
        (51, "account-1", 100),
    ] {
        write(&*store, &name.parse()?, &batch::deposits(first, count)?).await?;
        for summary in categories(&*store).await? {
            let query = CategoryQuery::new(summary.category.clone());
            let all = category_of(&*store, &query).await?;
            let last = there(all.last(), "a message of a listed category")?;
            let messages = u64::try_from(all.len()).unwrap_or_default();
            let true_one = CategorySummary {
                category: summary.category.clone(),
                messages,
                last: last.global_position,
            };
            assert_eq!(summary, true_one);
        }
    }
    let counts: BTreeMap<_, _> = categories(&*store)
        .await?
        .into_iter()
        .map(|summary| (summary.category.to_string(), summary.messages))
        .collect();
    let expected = [("account", 109), ("account:command", 1), ("transfer", 2)];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
    Ok(())
}

/// *Sorted listing.*
pub(super) async fn streams_of_a_category_are_listed_once_and_sorted_by_their_bytes(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, names) = filled(subject).await?;
    for summary in categories(&*store).await? {
        let listed = streams(&*store, &summary.category).await?;
        let listed: Vec<_> = listed.iter().map(|summary| summary.stream.as_str()).collect();
        let expected: Vec<_> = names
            .iter()
            .filter(|name| name.category() == summary.category)
            .map(StreamName::as_str)
            .collect();
        assert_eq!(listed, expected, "of `{}`", summary.category);
    }
    Ok(())
}

/// *Sorted listing*, up to the limit and after the one given.
pub(super) async fn streams_are_listed_in_pages(subject: &Subject<'_>) -> Result<(), Error> {
    let (store, _) = filled(subject).await?;
    let account = stream::category()?;
    let all = streams(&*store, &account).await?;
    assert!(all.len() > 10, "{all:?}");
    for page in [1, 2, 5, 1_000_000] {
        let mut paged: Vec<StreamSummary> = Vec::new();
        loop {
            let after = paged.last().map(|summary| summary.stream.clone());
            let next = store.streams(&account, after.as_ref(), limit(page)?).await?;
            assert!(next.len() <= limit(page)?.as_len(), "a page of {page} holds {}", next.len());
            if next.is_empty() || paged.len() > all.len() {
                break;
            }
            paged.extend(next);
        }
        assert_eq!(paged, all, "in pages of {page}");
    }
    Ok(())
}

/// *Sorted listing*: after a name that nothing has, and one of another category.
pub(super) async fn a_listing_may_begin_behind_a_name_that_is_not_there(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let (store, _) = filled(subject).await?;
    let all = categories(&*store).await?;
    for after in ["A", "aaa", "account", "accountM", "zzz", "\u{fffd}"] {
        let listed = store.categories(Some(&Category::new(after)?), limit(1_000)?).await?;
        let expected: Vec<_> =
            all.iter().filter(|summary| summary.category.as_str() > after).cloned().collect();
        assert_eq!(listed, expected, "categories after `{after}`");
    }
    let account = stream::category()?;
    let all = streams(&*store, &account).await?;
    for after in ["A-1", "aaa-1", "accoun", "account", "account-11", "account-m", "b-1", "\u{fffd}"]
    {
        let listed = store.streams(&account, Some(&StreamName::new(after)?), limit(1_000)?).await?;
        let expected: Vec<_> =
            all.iter().filter(|summary| summary.stream.as_str() > after).cloned().collect();
        assert_eq!(listed, expected, "streams after `{after}`");
    }
    Ok(())
}

/// *Counted listing.*
pub(super) async fn a_stream_is_listed_with_its_version_and_its_last_message(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for (first, name, count) in [
        (1, "account-1", 3),
        (11, "account-2", 1),
        (21, "account-1", 5),
        (31, "account-12", 1),
        (41, "account:command-1", 2),
    ] {
        write(&*store, &name.parse()?, &batch::deposits(first, count)?).await?;
        for summary in streams(&*store, &stream::category()?).await? {
            let last = stream_of(&*store, &summary.stream).await?.pop();
            let last = there(last, "a message of a listed stream")?;
            let Recorded { stream_name: stream, position: version, global_position: last, .. } =
                last;
            assert_eq!(summary, StreamSummary { stream, version, last });
        }
    }
    assert_eq!(streams(&*store, &stream::category()?).await?.len(), 3);
    Ok(())
}

/// *Found by id.*
pub(super) async fn a_message_is_found_by_its_id(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    let mut recorded = Vec::new();
    for (first, name) in [(1, "account-1"), (11, "account:command-1"), (21, "account-1")] {
        write(&*store, &name.parse()?, &batch::mixed(first)?).await?;
    }
    for name in ["account-1", "account:command-1"] {
        recorded.extend(stream_of(&*store, &name.parse()?).await?);
    }
    assert_eq!(recorded.len(), 9);
    for message in recorded {
        assert_eq!(store.message(message.id).await?, Some(message));
    }
    // Where it stands alone under the name of a category, too.
    write(&*store, &stream::category_alone()?, &[deposited(99)?]).await?;
    let found = there(store.message(id(99)).await?, "the message of the category alone")?;
    assert_eq!(found.stream_name, stream::category_alone()?);
    Ok(())
}

/// *Found by id*: or not.
pub(super) async fn an_unknown_id_finds_nothing(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    assert_eq!(store.message(id(1)).await?, None);
    write(&*store, &stream::account(1)?, &[deposited(1)?]).await?;
    assert_eq!(store.message(id(2)).await?, None);
    assert_eq!(store.message(uuid::Uuid::nil()).await?, None);
    Ok(())
}
