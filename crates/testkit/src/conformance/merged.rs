//! The laws of one cursor over several categories, or over all.
//!
//! Those of one category are in `read_category.rs`. What only long transactions can break is shown by
//! a backend's own tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use evenfold_core::message::Recorded;
use evenfold_core::store::{Categories, Merged, MessageStore};
use evenfold_core::{Category, Error, GlobalPosition, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::subject::{Subject, ids, limit, rises, take_turns, there, write};
use crate::controls::message::deposited;
use crate::controls::{batch, id, stream};

const START: GlobalPosition = GlobalPosition::START;

fn categories(names: &[&str]) -> Result<Categories, Error> {
    let each: Vec<_> = names.iter().map(|name| Category::new(*name)).collect::<Result<_, _>>()?;
    Ok(Categories::of(each)?)
}

/// Writes a message to each of these streams, with ids that count from 1.
async fn with_streams(
    subject: &Subject<'_>,
    names: &[&str],
) -> Result<Arc<dyn MessageStore>, Error> {
    let store = subject.open().await?;
    for (number, name) in (1..).zip(names) {
        write(&*store, &StreamName::new(*name)?, &[deposited(number)?]).await?;
    }
    Ok(store)
}

async fn page(store: &dyn MessageStore, of: &Categories) -> Result<Merged, Error> {
    store.read_merged(of, START, limit(1000)?).await
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<uuid::Uuid> {
    numbers.into_iter().map(id).collect()
}

const MIXED: [&str; 9] = [
    "transfer-1",
    "account-1",
    "account:command-1",
    "account-2",
    "audit-1",
    "account",
    "transfer-1",
    "accounts-1",
    "account-1",
];

/// *Merged order.*
pub(super) async fn a_page_of_several_categories_rises_and_holds_no_other(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = with_streams(subject, &MIXED).await?;
    for (names, numbers) in [
        (&["account", "transfer"][..], &[1, 2, 4, 6, 7, 9][..]),
        (&["transfer", "nothing", "account:command"], &[1, 3, 7]),
        (&["audit"], &[5]),
        (&["acc", "nothing"], &[]),
    ] {
        let merged = page(&*store, &categories(names)?).await?;
        assert!(rises(&merged.messages), "{names:?}: {merged:?}");
        assert_eq!(ids(&merged.messages), numbered(numbers.iter().copied()), "{names:?}");
    }
    let all = page(&*store, &Categories::all()).await?;
    assert!(rises(&all.messages), "{all:?}");
    assert_eq!(ids(&all.messages), numbered(1..=9));
    for message in &all.messages {
        let by_id = store.message(message.id).await?;
        assert_eq!(Some(message), by_id.as_ref(), "it reads otherwise by its id");
    }
    Ok(())
}

/// *Bookkeeping left out.*
pub(super) async fn a_page_of_all_categories_leaves_bookkeeping_out(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let names = [
        "account-1",
        "account:position-teller",
        "account:command+position",
        "account:positions-1",
        "account:streamPosition-teller+1",
        "position-1",
        "account:Position-1",
        "account:parked+v1-1",
        "account:v1:position-1",
    ];
    let store = with_streams(subject, &names).await?;
    let all = page(&*store, &Categories::all()).await?;
    assert_eq!(ids(&all.messages), numbered([1, 4, 6, 7, 9]));
    let some = categories(&["account:position", "account:command+position", "account"])?;
    assert_eq!(ids(&page(&*store, &some).await?.messages), numbered([1, 2, 3]));
    Ok(())
}

/// *Merged order*: from the global position asked for, that one too.
pub(super) async fn a_merged_page_begins_at_the_position_asked_for(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = with_streams(subject, &MIXED).await?;
    for of in [Categories::all(), categories(&["account", "transfer"])?] {
        let all = page(&*store, &of).await?.messages;
        for (place, message) in all.iter().enumerate() {
            let at = message.global_position;
            let from = store.read_merged(&of, at, limit(100)?).await?;
            assert_eq!(from.messages, all.get(place..).unwrap_or_default(), "from {at}");
            let behind = store.read_merged(&of, at.next(), limit(100)?).await?;
            assert_eq!(behind.messages, all.get(place + 1..).unwrap_or_default(), "behind {at}");
        }
    }
    Ok(())
}

/// *Merged order*: a page holds at most its limit, and ends where the next one begins.
pub(super) async fn a_merged_page_ends_at_its_limit(subject: &Subject<'_>) -> Result<(), Error> {
    let store = with_streams(subject, &MIXED).await?;
    let of = categories(&["account", "transfer"])?;
    let all = page(&*store, &of).await?.messages;
    for most in 1..=7 {
        let merged = store.read_merged(&of, START, limit(most)?).await?;
        let count = limit(most)?.as_len().min(all.len());
        assert_eq!(merged.messages, all.get(..count).unwrap_or_default(), "at most {most}");
        let last = there(merged.messages.last(), "the last of a page")?.global_position;
        assert!(merged.scanned >= last, "{merged:?}");
        if let Some(next) = all.get(count) {
            assert!(merged.scanned < next.global_position, "{merged:?}");
        }
    }
    Ok(())
}

/// *Merged order*, where there is nothing: what does not stand yet is not decided.
pub(super) async fn a_merged_page_past_the_end_decides_nothing(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    for of in [Categories::all(), categories(&["account", "transfer"])?] {
        for from in [START, GlobalPosition::new(1)?, GlobalPosition::new(500)?] {
            let merged = store.read_merged(&of, from, limit(10)?).await?;
            let none = Merged { messages: Vec::new(), scanned: from.previous(), held: None };
            assert_eq!(merged, none, "from {from}");
        }
    }
    let audit = StreamName::new("audit-1")?;
    for number in 1..=3 {
        write(&*store, &audit, &[deposited(number)?]).await?;
        let last = there(store.last_message(&audit, None).await?, "the last")?.global_position;
        for of in [Categories::all(), categories(&["account", "audit"])?] {
            let whole = page(&*store, &of).await?;
            assert_eq!(whole.scanned, last, "{whole:?}");
            for from in [last.next(), GlobalPosition::new(100_000)?] {
                let merged = store.read_merged(&of, from, limit(10)?).await?;
                let none = Merged { messages: Vec::new(), scanned: from.previous(), held: None };
                assert_eq!(merged, none, "from {from}");
            }
        }
    }
    Ok(())
}

/// *Merged cursor* and *Merged order*: page by page nothing is missed and nothing comes twice.
pub(super) async fn the_pages_of_several_categories_hold_them_whole(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let names: Vec<_> = MIXED.into_iter().cycle().take(63).collect();
    let store = with_streams(subject, &names).await?;
    for of in [Categories::all(), categories(&["audit", "transfer"])?, categories(&["accounts"])?] {
        let all = page(&*store, &of).await?.messages;
        for most in [1, 7, all.len().try_into().unwrap_or(1), 1000] {
            let paged = paged(&*store, &of, most).await?;
            assert_eq!(paged, all, "{of} in pages of {most}");
        }
    }
    Ok(())
}

/// The messages of these categories, page by page; not endless, whatever a broken store says.
async fn paged(
    store: &dyn MessageStore,
    of: &Categories,
    most: i64,
) -> Result<Vec<Recorded>, Error> {
    let (mut all, mut from) = (Vec::new(), START);
    for _ in 0..1000 {
        let merged = store.read_merged(of, from, limit(most)?).await?;
        if merged.scanned < from {
            break;
        }
        from = merged.scanned.next();
        all.extend(merged.messages);
    }
    Ok(all)
}

/// *Merged cursor*, over much that is of no interest.
pub(super) async fn a_merged_cursor_goes_on_where_no_message_matches(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    const OTHERS: u32 = 3_000;
    let store = subject.open().await?;
    write(&*store, &stream::account(1)?, &batch::deposits(1, OTHERS)?).await?;
    write(&*store, &"audit-1".parse()?, &[deposited(OTHERS + 1)?]).await?;
    write(&*store, &stream::account(1)?, &[deposited(OTHERS + 2)?]).await?;
    let last = there(store.last_message(&stream::account(1)?, None).await?, "the last")?;
    let rare = categories(&["audit", "transfer"])?;
    let (mut from, mut found) = (START, Vec::new());
    for _ in 0..OTHERS / 100 {
        let merged = store.read_merged(&rare, from, limit(7)?).await?;
        found.extend(merged.messages);
        from = merged.scanned.next();
    }
    assert_eq!(ids(&found), numbered([u64::from(OTHERS) + 1]));
    assert_eq!(from, last.global_position.next(), "it ends elsewhere than the store");
    Ok(())
}

/// *Merged order*, while others write to each of the categories.
pub(super) async fn a_reader_of_several_categories_misses_nothing_while_others_write(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    const WRITERS: u32 = 4;
    const BATCHES: u32 = 30;
    let store = subject.open().await?;
    let left = Arc::new(AtomicU32::new(WRITERS));
    let mut tasks: Vec<BoxFuture<'static, Result<Vec<Recorded>, Error>>> = Vec::new();
    for writer in 0..WRITERS {
        let (store, left) = (store.clone(), left.clone());
        let name = StreamName::new(format!("account:v{}-1", writer % 3))?;
        let task = async move {
            for number in 0..BATCHES {
                let first = (writer * BATCHES + number) * 2 + 1;
                write(&*store, &name, &batch::deposits(first, 2)?).await?;
                take_turns().await;
            }
            left.fetch_sub(1, Ordering::SeqCst);
            Ok(Vec::new())
        };
        tasks.push(task.boxed());
    }
    for of in [Categories::all(), categories(&["account:v0", "account:v1", "account:v2"])?] {
        let (store, left) = (store.clone(), left.clone());
        tasks.push(async move { follow(&*store, &of, &left).await }.boxed());
    }
    for seen in subject.at_once(tasks).await?.into_iter().skip(4) {
        assert!(rises(&seen), "what was read does not rise");
        let mut found = ids(&seen);
        found.sort_unstable();
        assert_eq!(found, numbered(1..=u64::from(WRITERS * BATCHES * 2)));
    }
    Ok(())
}

/// Reads until nothing is left after the last writer has ended.
async fn follow(
    store: &dyn MessageStore,
    of: &Categories,
    writers: &AtomicU32,
) -> Result<Vec<Recorded>, Error> {
    let (mut seen, mut from, mut quiet) = (Vec::new(), START, 0);
    loop {
        // Asked before the page is read: what came before the last word is in a page.
        let last = writers.load(Ordering::SeqCst) == 0;
        let merged = store.read_merged(of, from, limit(7)?).await?;
        let nothing = last && merged.messages.is_empty();
        quiet = if nothing { quiet + 1 } else { 0 };
        // A page that is empty may yet have moved, but not for ever.
        if (nothing && merged.scanned < from) || quiet > 10 || seen.len() > 10_000 {
            return Ok(seen);
        }
        from = merged.scanned.next();
        seen.extend(merged.messages);
        take_turns().await;
    }
}
