//! Processes share two subscribers while they join, leave, are killed and are paused past their
//! lease, and while the server itself is killed: no message is lost, none is handled out of order in
//! its stream, and none is counted twice by handlers whose progress is committed with what they do.
//!
//! A test goes on for a few seconds, or `$EVENFOLD_SOAK_SECONDS`. The crowd is in `crowd/`.
#![cfg(unix)]

mod crowd;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crowd::{BUCKETS, Chance, Crowd, Writer, seen};
use evenfold::prelude::*;
use evenfold_postgres::testing::TestDatabase;
use evenfold_tests::{Outcome, figures};
use sqlx::{Connection, PgConnection};
use xtask::{Cluster, message_db};

const STREAMS: usize = 100;
/// What the crowd does not handle in this time, when nothing happens to it any more, it never does.
const IN_THE_END: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_counted_twice_on_message_db() -> Outcome {
    let database = TestDatabase::from_template("message_db").await?;
    // Who is paused in the middle of a transaction would hold everybody up until it goes on.
    let options = "options=-c%20idle_in_transaction_session_timeout%3D300ms";
    let url = format!("{}&install=leases&{options}", database.url());
    share_under_blows("leased-group-message-db", &url, None, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_counted_twice_on_our_schema() -> Outcome {
    let database = TestDatabase::new().await?;
    share_under_blows("leased-group-ours", &database.url(), None, 2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_counted_twice_on_a_server_that_is_killed() -> Outcome {
    let cluster = Cluster::durable("postgres-leased-group-killed")?;
    message_db::install_newest(&cluster)?;
    let url = format!("{}&install=leases", cluster.url(message_db::DATABASE));
    share_under_blows("leased-group-killed", &url, Some(cluster), 3).await
}

async fn share_under_blows(name: &str, url: &str, cluster: Option<Cluster>, seed: u64) -> Outcome {
    let mut writer = Writer::new(&evenfold::connect(url).await?);
    let plain = url.split_once("&install").map_or(url, |(plain, _)| plain);
    let tables = "
        CREATE TABLE public.journal (
            stream text, position bigint, colleague int, at timestamptz DEFAULT clock_timestamp()
        );
        CREATE TABLE public.counters (stream text PRIMARY KEY, count int, last bigint, disorder int)";
    sqlx::raw_sql(tables).execute(&mut PgConnection::connect(plain).await?).await?;

    let time = figures::soak(Duration::from_secs(6))?;
    let mut crowd = Crowd::new(url, "count", seed);
    crowd.start()?;
    crowd.start()?;
    let has_server = cluster.is_some();
    let storm = storm(&mut crowd, cluster, time);
    let writing = write_until(&mut writer, Instant::now() + time, seed);
    let ((kills, cluster), ()) = futures::future::try_join(storm, writing).await?;

    let calm = Instant::now();
    crowd.calm().await?;
    // Connections that a server left behind are none of its matters.
    writer.store = evenfold::connect(url).await?;
    writer.wait_for("notes", IN_THE_END).await?;
    writer.wait_for("counts", IN_THE_END).await?;
    let catching_up = calm.elapsed();
    crowd.disperse().await?;

    let notes = Count::of_notes(&writer).await?;
    let mut connection = PgConnection::connect(plain).await?;
    let (counts, journal) = Count::of_tables(&mut connection, &writer).await?;
    let told = format!(
        "{} messages in {time:?}; {}, server killed {kills} times; notes: {notes}; counts: {counts}; \
         {journal}; caught up in {catching_up:.1?}",
        writer.total(),
        crowd.blows,
    );
    figures::tell(name, &told)?;
    assert!(writer.total() > 50, "{told}");
    assert!(crowd.blows.have_fallen() && has_server == (kills > 0), "{told}");
    assert_eq!(notes, Count::default(), "{told}");
    assert_eq!(counts, Count::default(), "{told}");
    drop(cluster);
    Ok(())
}

/// Strikes at the crowd, and at its server where that may be.
async fn storm(
    crowd: &mut Crowd,
    mut cluster: Option<Cluster>,
    time: Duration,
) -> Outcome<(u32, Option<Cluster>)> {
    let Some(server) = &mut cluster else {
        crowd.storm(time).await?;
        return Ok((0, None));
    };
    let kills = u32::try_from(time.as_secs() / 30)?.max(1);
    for _ in 0..kills {
        crowd.storm(time / (kills + 1)).await?;
        // Who is about to leave may find nobody to record his progress with.
        crowd.calm().await?;
        tokio::task::block_in_place(|| server.kill().and_then(|()| server.start()))?;
    }
    crowd.storm(time / (kills + 1)).await?;
    Ok((kills, cluster))
}

async fn write_until(writer: &mut Writer, end: Instant, seed: u64) -> Outcome {
    let mut chance = Chance(seed);
    // No faster than the crowd can follow.
    let mut pace = tokio::time::interval(Duration::from_millis(8));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while Instant::now() < end {
        pace.tick().await;
        writer.write(usize::try_from(chance.below(STREAMS.try_into()?))? + 1).await?;
    }
    Ok(())
}

/// What is wrong with what was noted of the messages.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    lost: u64,
    twice: u64,
    out_of_order: u64,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lost, twice, out_of_order } = self;
        write!(f, "{lost} lost, {twice} twice, {out_of_order} out of order")
    }
}

impl Count {
    /// Compares what was seen with what was written, stream by stream.
    fn of(seen: &BTreeMap<usize, Vec<u64>>, written: &[u64]) -> Outcome<Self> {
        let mut count = Self::default();
        for (id, written) in (1..).zip(written) {
            let seen = seen.get(&id).map_or(&[][..], Vec::as_slice);
            let mut sorted = seen.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            let distinct = u64::try_from(sorted.len())?;
            count.lost += written - distinct;
            count.twice += u64::try_from(seen.len())? - distinct;
            let backwards = seen.windows(2).filter(|pair| !pair.is_sorted()).count();
            count.out_of_order += u64::try_from(backwards)?;
        }
        Ok(count)
    }

    async fn of_notes(writer: &Writer) -> Outcome<Self> {
        Self::of(&seen(&writer.store).await?, &writer.written)
    }

    /// And what the journal tells of who handled what when.
    async fn of_tables(connection: &mut PgConnection, writer: &Writer) -> Outcome<(Self, String)> {
        let journal: Vec<(String, i64, i32, f64, Option<f64>)> = sqlx::query_as(
            "SELECT
                stream, journal.position, colleague,
                extract(epoch FROM at - time AT TIME ZONE 'utc')::float8,
                extract(epoch FROM at - lag(at) OVER (ORDER BY at))::float8
            FROM journal
            JOIN message_store.messages ON stream_name = stream
                AND messages.position = journal.position
            ORDER BY at",
        )
        .fetch_all(&mut *connection)
        .await?;
        let mut seen: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut holders = HashMap::new();
        let (mut takeovers, mut waits, mut standstill) = (0, Vec::new(), 0.0);
        for (stream, position, colleague, wait, gap) in journal {
            let stream = StreamName::new(stream)?;
            let bucket = stream.cardinal_hash().ok_or("no id")?.unsigned_abs() % u64::from(BUCKETS);
            let before = holders.insert(bucket, colleague);
            takeovers += u32::from(before.is_some_and(|before| before != colleague));
            waits.push(wait);
            standstill = gap.unwrap_or_default().max(standstill);
            let id = stream.entity_id().ok_or("no id")?.to_string().parse()?;
            seen.entry(id).or_default().push(position.try_into()?);
        }
        let mut count = Self::of(&seen, &writer.written)?;

        let counters: Vec<(i32, i64, i32)> =
            sqlx::query_as("SELECT count, last, disorder FROM counters")
                .fetch_all(connection)
                .await?;
        for (counted, last, disorder) in counters {
            count.twice += u64::try_from((i64::from(counted) - last - 1).max(0))?;
            count.out_of_order += u64::try_from(disorder)?;
        }
        waits.sort_by(f64::total_cmp);
        let (median, longest) = (waits.get(waits.len() / 2), waits.last());
        let (median, longest) = (median.copied().unwrap_or(0.0), longest.copied().unwrap_or(0.0));
        let journal = format!(
            "{takeovers} takeovers of {BUCKETS} buckets, nothing counted for {standstill:.1} s at most, \
             a message waited {median:.3} s at the median and {longest:.1} s at most"
        );
        Ok((count, journal))
    }
}
