//! `message_db`, the client of the genuine Message DB, whose database is there already.
//!
//! Data is an event as `serde` writes it, for the crate decodes data alone and knows no message types.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use futures::StreamExt;
use message_db::database::{
    GetCategoryMessagesOpts, GetStreamMessagesOpts, MessageStore, SubscribeToCategoryOpts,
    WriteMessageOpts,
};
use message_db::message::Message;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use crate::account::{Account, AccountEvent, BATCH, Deposit, deposits, fresh, loaded};
use crate::peer::{PATIENCE, Peer, Stopwatch, check_loaded, check_replayed};
use crate::seed;

const TYPE: &str = "Deposited";

/// What is read at once.
const PAGE: i64 = 1_000;

struct MessageDb {
    store: MessageStore,
}

pub async fn prepare(url: &str, replay: usize) -> Result<Box<dyn Peer>> {
    let pool = seed::pool(url).await?;
    for chunk in seed::chunks(replay) {
        let mut ids = Vec::new();
        let mut streams = Vec::new();
        let mut positions = Vec::new();
        let mut data = Vec::new();
        for seed in chunk {
            let category = if seed.log { "log" } else { "account" };
            ids.push(Uuid::new_v4());
            streams.push(format!("{category}-{}", seed.deposit.account));
            positions.push(i64::try_from(seed.position)?);
            data.push(serde_json::to_value(seed.deposit.event())?);
        }
        sqlx::query(
            "INSERT INTO message_store.messages (id, stream_name, type, position, data)
             SELECT id, stream_name, $5, position, data
             FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::jsonb[]) WITH ORDINALITY
                AS seed (id, stream_name, position, data, number)
             ORDER BY number",
        )
        .bind(ids)
        .bind(streams)
        .bind(positions)
        .bind(data)
        .bind(TYPE)
        .execute(&pool)
        .await?;
    }
    seed::settle(&pool).await?;
    // Message DB's functions name each other without their schema.
    let join = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{join}options[search_path]=message_store,public");
    Ok(Box::new(MessageDb { store: MessageStore::connect(&url).await? }))
}

fn stream(account: &str) -> String {
    format!("account-{account}")
}

impl MessageDb {
    async fn write(&self, stream: &str, deposit: Deposit, expected: i64) -> Result<()> {
        let data = serde_json::to_value(deposit.event())?;
        let opts = WriteMessageOpts::builder().expected_version(expected).build();
        MessageStore::write_message(&self.store, stream, TYPE, &data, &opts).await?;
        Ok(())
    }

    async fn load_one(&self, stream: &str) -> Result<Account> {
        let opts = GetStreamMessagesOpts::builder().batch_size(-1).build();
        let messages: Vec<Message<AccountEvent>> =
            MessageStore::get_stream_messages(&self.store, stream, &opts).await?;
        let mut account = Account::default();
        messages.iter().for_each(|message| account.apply(&message.data));
        Ok(account)
    }

    async fn replay_all(&self, count: usize) -> Result<usize> {
        let mut found = 0;
        let mut position = 0;
        while found < count {
            let left = i64::try_from(count - found)?;
            let opts = GetCategoryMessagesOpts::builder()
                .position(position)
                .batch_size(PAGE.min(left))
                .build();
            let page: Vec<Message<AccountEvent>> =
                MessageStore::get_category_messages(&self.store, "log", &opts).await?;
            let Some(last) = page.last() else { break };
            position = last.global_position + 1;
            found += page.len();
        }
        Ok(found)
    }
}

#[async_trait(?Send)]
impl Peer for MessageDb {
    async fn append(&mut self, count: usize) -> Result<Duration> {
        let (account, mut deposits) = deposits(count + 1);
        let stream = stream(&account);
        self.write(&stream, deposits.remove(0), -1).await?;
        let mut watch = Stopwatch::default();
        for (expected, deposit) in (0..).zip(deposits) {
            watch.of(self.write(&stream, deposit, expected)).await?;
        }
        Ok(watch.total())
    }

    async fn batch(&mut self, count: usize) -> Result<Duration> {
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let (account, deposits) = deposits(BATCH);
            let stream = stream(&account);
            let write = async {
                let data: Vec<Value> = deposits
                    .into_iter()
                    .map(|deposit| serde_json::to_value(deposit.event()))
                    .collect::<Result<_, _>>()?;
                let opts: Vec<_> = (-1..)
                    .take(BATCH)
                    .map(|expected| WriteMessageOpts::builder().expected_version(expected).build())
                    .collect();
                let messages: Vec<_> =
                    data.iter().zip(&opts).map(|(data, opts)| (TYPE, data, opts)).collect();
                anyhow::Ok(self.store.write_messages(&stream, &messages).await?)
            };
            let last = watch.after_first(number, write).await?;
            anyhow::ensure!(last == 99, "the batch ended at {last}");
        }
        Ok(watch.total())
    }

    async fn load(&mut self, events: usize, count: usize) -> Result<Duration> {
        let stream = stream(&loaded(events));
        self.load_one(&stream).await?;
        let mut watch = Stopwatch::default();
        for _ in 0..count {
            check_loaded(&watch.of(self.load_one(&stream)).await?, events)?;
        }
        Ok(watch.total())
    }

    async fn replay(&mut self, count: usize) -> Result<Duration> {
        self.replay_all(1).await?;
        let mut watch = Stopwatch::default();
        check_replayed(watch.of(self.replay_all(count)).await?, count)?;
        Ok(watch.total())
    }

    async fn end(&mut self, count: usize) -> Result<Duration> {
        let (handled, mut seen) = mpsc::unbounded_channel();
        // A category of its own, so that the subscriber has no past to read.
        let category = format!("end{}", Uuid::new_v4().simple());
        let subscriber = tokio::spawn(subscribe(self.store.clone(), category.clone(), handled));
        let mut watch = Stopwatch::default();
        for number in 0..=count {
            let account = fresh();
            let stream = format!("{category}-{account}");
            let deposit = Deposit::of(&account, 0);
            let there_and_back = async {
                self.write(&stream, deposit, -1).await?;
                let seen = timeout(PATIENCE, seen.recv()).await.context("an event got lost")?;
                anyhow::Ok(seen.context("the subscriber ended")?)
            };
            let seen = watch.after_first(number, there_and_back).await?;
            anyhow::ensure!(seen == account, "handled {seen}, expected {account}");
        }
        subscriber.abort();
        Ok(watch.total())
    }
}

/// Consumes with the defaults, which look ten times a second.
async fn subscribe(
    store: MessageStore,
    category: String,
    handled: mpsc::UnboundedSender<String>,
) -> Result<()> {
    let opts = SubscribeToCategoryOpts::builder().identifier("peers").build();
    let mut messages =
        MessageStore::subscribe_to_category::<AccountEvent, _>(&store, &category, &opts).await?;
    while let Some(page) = messages.next().await {
        for message in page? {
            let (AccountEvent::Deposited { account, .. } | AccountEvent::Withdrawn { account, .. }) =
                message.data;
            handled.send(account)?;
        }
    }
    bail!("the subscription ended")
}
