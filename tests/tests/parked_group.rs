//! Processes share a subscriber that parks what it cannot handle, while they join, leave, are killed
//! and paused: behind a poisoned message all of its stream is parked in order and nothing of it is
//! handled, and when the handlers are mended everything is handled once and in order.
//!
//! A test goes on for a few seconds, or `$EVENFOLD_SOAK_SECONDS`. The crowd is in `crowd/`.
#![cfg(unix)]

mod crowd;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crowd::{BUCKETS, Blows, Chance, Crowd, PAUSE, Writer, account, seen};
use evenfold::{Position, Store};
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{Outcome, figures, poisoned};

/// How many messages a stream has; one of them is poison.
const EACH: u64 = 50;
/// How many streams grow at a time.
const SIDE_BY_SIDE: usize = 10;
const IN_THE_END: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_poison_is_parked_and_handled_once_when_mended_on_message_db() -> Outcome {
    let database = TestDatabase::from_template("message_db").await?;
    park_under_blows("parked-group-message-db", &format!("{}&install=leases", database.url())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_poison_is_parked_and_handled_once_when_mended_on_our_schema() -> Outcome {
    let database = TestDatabase::new().await?;
    park_under_blows("parked-group-ours", &database.url()).await
}

async fn park_under_blows(name: &str, url: &str) -> Outcome {
    let store = evenfold::connect(url).await?;
    let time = figures::soak(Duration::from_secs(5))?;
    let mut crowd = Crowd::new(url, "park", 7);
    let mut writer = Writer::new(&store);
    crowd.start()?;
    crowd.start()?;
    futures::future::try_join(crowd.storm(time), write_for(&mut writer, time)).await?;
    crowd.calm().await?;
    writer.wait_for("parks", IN_THE_END).await?;
    crowd.disperse().await?;

    let parked = parked(&store).await?;
    let handled = seen(&store).await?;
    for (id, written) in (1..).zip(&writer.written) {
        let poison = poison_of(id, *written)?;
        let before: Vec<_> = (0..poison.unwrap_or(*written)).collect();
        let behind: Vec<_> = (poison.unwrap_or(*written)..*written).collect();
        let of_stream = |all: &BTreeMap<usize, Vec<u64>>| all.get(&id).cloned().unwrap_or_default();
        assert_eq!(of_stream(&handled), before, "handled of stream {id}");
        assert_eq!(of_stream(&parked), behind, "parked of stream {id}");
    }
    let parked: usize = parked.values().map(Vec::len).sum();

    let begin = Instant::now();
    let asked = store.parking("parks", "account")?.replay_all().await?;
    let mut mended = Crowd::new(url, "mend", 8);
    mended.start()?;
    mended.start()?;
    mended.storm(time / 3).await?;
    mended.calm().await?;
    until_none_is_parked(&store).await?;
    let mended_in = begin.elapsed();
    mended.disperse().await?;
    let handled = seen(&store).await?;
    for (id, written) in (1..).zip(&writer.written) {
        let all: Vec<_> = (0..*written).collect();
        assert_eq!(handled.get(&id), Some(&all), "handled of stream {id} in the end");
    }
    let total = writer.total();
    let Crowd { blows, .. } = crowd;
    let Crowd { blows: Blows { killed, paused, .. }, .. } = mended;
    assert!(blows.have_fallen(), "{blows}");
    assert!(killed + paused > 0, "nobody was struck while it was replayed");
    assert!(asked > 0 && parked > asked, "{asked} poisoned, {parked} parked");
    figures::tell(
        name,
        format!(
            "{total} messages in {time:?}; {blows}; {asked} poisoned, {parked} parked in order, none \
             of them handled; replayed in {mended_in:.1?} under {killed} kills and {paused} pauses: \
             each handled once, in order"
        ),
    )
}

/// Streams are written side by side until each is whole, and then others.
async fn write_for(writer: &mut Writer, time: Duration) -> Outcome {
    let end = Instant::now() + time;
    let mut chance = Chance(7);
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut growing: Vec<usize> = (1..=SIDE_BY_SIDE).collect();
    while Instant::now() < end {
        pace.tick().await;
        let index = usize::try_from(chance.below(SIDE_BY_SIDE.try_into()?))?;
        let newest = growing.iter().max().copied().unwrap_or_default();
        let stream = growing.get_mut(index).ok_or("no such stream")?;
        writer.write(*stream).await?;
        if writer.written.get(*stream - 1) == Some(&EACH) {
            *stream = newest + 1;
        }
    }
    Ok(())
}

/// Where the first poison of a stream is, if it was written.
fn poison_of(id: usize, written: u64) -> Outcome<Option<u64>> {
    let stream = account(id)?;
    for position in 0..written {
        if poisoned(&stream, Position::new(position.try_into()?)?) {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// The positions that are parked, of each stream in their order.
async fn parked(store: &Store) -> Outcome<BTreeMap<usize, Vec<u64>>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for parked in store.parking("parks", "account")?.list().await? {
        let id = parked.stream.entity_id().ok_or("no id")?.to_string().parse()?;
        all.entry(id).or_default().push(parked.message.position.get().try_into()?);
    }
    Ok(all)
}

async fn until_none_is_parked(store: &Store) -> Outcome {
    let end = Instant::now() + IN_THE_END;
    let mut look = tokio::time::interval(PAUSE);
    loop {
        look.tick().await;
        let left = store.parking("parks", "account")?.list().await?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            let first = left.first();
            return Err(
                format!("{} of {BUCKETS} buckets still parked: {first:?}", left.len()).into()
            );
        }
    }
}
