//! Reading a category into typed messages, through the framework and by hand, from one file.

use std::time::{Duration, Instant};

use evenfold::message::Metadata;
use evenfold::prelude::*;
use evenfold::stores::CategoryQuery;
use evenfold::{GlobalPosition, Position, Store};
use evenfold_tests::{AccountEvent, Deposited, Outcome, Withdrawn};
use futures::TryStreamExt;
use sqlx::Row as _;
use sqlx::sqlite::SqliteSynchronous;
use tempfile::TempDir;

use crate::bare::{Bare, CATEGORY_PAGE, Moved, Row};
use crate::harness::{self, Comparison};
use crate::url;

const ROWS: &str = "replay: read_category and decode / whole rows and serde_json";
const BORROWED: &str = "replay: read_category and decode / only what is used, borrowed";

pub(crate) const NAMES: [&str; 2] = [ROWS, BORROWED];

const STREAMS: u32 = 100;
const EACH: u32 = 100;
const TOTAL: u32 = STREAMS * EACH;

pub(crate) struct Replay {
    store: Store,
    bare: Bare,
}

impl Replay {
    pub(crate) async fn prepare(folder: &TempDir) -> Outcome<Self> {
        let store = evenfold::connect(&url(folder, "replay.db")).await?;
        let metadata = Metadata {
            causation_message_stream_name: Some(StreamName::new("account:command-a3f0c2d4e5b6")?),
            causation_message_position: Some(Position::new(123)?),
            causation_message_global_position: Some(GlobalPosition::new(123_456)?),
            correlation_stream_name: Some(StreamName::new("transfer-b4e1d3c5f607")?),
            ..Metadata::default()
        };
        for n in 0..STREAMS {
            let events = (0..EACH).map(|m| match m % 2 {
                0 => AccountEvent::from(Deposited::of(5)),
                _ => Withdrawn::of(5).into(),
            });
            let stream = format!("account-{n}");
            store.write_all(stream.as_str(), events).metadata(metadata.clone()).await?;
        }
        let bare = Bare::open(&folder.path().join("replay.db"), SqliteSynchronous::Normal).await?;
        Ok(Self { store, bare })
    }

    pub(crate) async fn compare(&self, name: &'static str) -> Outcome<Comparison> {
        let ours = async || self.typed().await;
        match name {
            ROWS => harness::compare(name, Some(0.9), ours, async || self.rows().await).await,
            _ => harness::compare(name, None, ours, async || self.borrowed().await).await,
        }
    }

    async fn typed(&self) -> Outcome<Duration> {
        let query = CategoryQuery::new(AccountEvent::category());
        let begin = Instant::now();
        let mut messages = std::pin::pin!(self.store.read_category(&query, GlobalPosition::START));
        let (mut sum, mut count) = (0, 0);
        while let Some(recorded) = messages.try_next().await? {
            match AccountEvent::decode(&recorded)? {
                Some(AccountEvent::Deposited(event)) => sum += event.amount,
                Some(AccountEvent::Withdrawn(event)) => sum -= event.amount,
                None => return Err("not an event of an account".into()),
            }
            count += 1;
        }
        complete(count, sum)?;
        Ok(begin.elapsed() / TOTAL)
    }

    async fn rows(&self) -> Outcome<Duration> {
        let begin = Instant::now();
        let (mut sum, mut count, mut from) = (0, 0, 0);
        loop {
            let page: Vec<Row> = sqlx::query_as(CATEGORY_PAGE)
                .bind("account")
                .bind(from)
                .bind(1000)
                .fetch_all(&self.bare.readers)
                .await?;
            for row in &page {
                let moved: Moved = serde_json::from_str(row.data.as_deref().unwrap_or_default())?;
                fold(&row.message_type, moved.amount, &mut sum)?;
                from = row.global_position + 1;
                count += 1;
            }
            if page.len() < 1000 {
                break;
            }
        }
        complete(count, sum)?;
        Ok(begin.elapsed() / TOTAL)
    }

    async fn borrowed(&self) -> Outcome<Duration> {
        let begin = Instant::now();
        let (mut sum, mut count, mut from) = (0, 0, 0);
        loop {
            let page = sqlx::query(CATEGORY_PAGE)
                .bind("account")
                .bind(from)
                .bind(1000)
                .fetch_all(&self.bare.readers)
                .await?;
            for row in &page {
                let moved: Moved = serde_json::from_str(row.try_get::<&str, _>(7)?)?;
                fold(row.try_get::<&str, _>(2)?, moved.amount, &mut sum)?;
                from = row.try_get::<i64, _>(4)? + 1;
                count += 1;
            }
            if page.len() < 1000 {
                break;
            }
        }
        complete(count, sum)?;
        Ok(begin.elapsed() / TOTAL)
    }
}

fn fold(message_type: &str, amount: u64, sum: &mut u64) -> Outcome {
    match message_type {
        "Deposited" => *sum += amount,
        "Withdrawn" => *sum -= amount,
        _ => return Err("not an event of an account".into()),
    }
    Ok(())
}

fn complete(count: u32, sum: u64) -> Outcome {
    if (count, sum) == (TOTAL, 0) { Ok(()) } else { Err(format!("{count} messages").into()) }
}
