//! One transaction for a group of writers, and what each of them is told.
//!
//! Owns the statement for an unmodified Message DB; that for our own function is in `own.rs`. Each
//! writer gets a position, or hears that it was refused and looks for the reason itself. What befalls all
//! is told to all; of a group with the fault of one, that one writes by itself and hears it. So nobody's
//! fault is another's. All of it is within one turn: whom it does not go well with tries nothing beside it.

use std::pin::pin;

use evenfold_core::message::NewMessage;
use evenfold_core::{ExpectedVersion, Position, StreamName};
use futures::future::{Either, select};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::connections::Way;
use crate::error::{Scope, Whole};
use crate::row::decode;
use crate::{Postgres, own};

/// What a writer in a group hears.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It was written, the last message here.
    Stands(Position),
    /// Its stream is not at the expected version, or an id is known.
    Refused,
    /// Nothing was written of it; let it write by itself, and hear its own fault.
    Alone,
    /// What befell all of the group.
    Failed(Whole),
}

/// A writer who waits.
pub(crate) struct Waiting {
    pub(crate) batch: Batch,
    pub(crate) told: oneshot::Sender<Verdict>,
}

impl Waiting {
    pub(crate) fn tell(self, verdict: Verdict) {
        // Who does not wait any more does not hear it.
        self.told.send(verdict).ok();
    }
}

/// What it writes.
pub(crate) struct Batch {
    stream: StreamName,
    expected: ExpectedVersion,
    ids: Vec<Uuid>,
    types: Vec<Box<str>>,
    data: Vec<Option<Box<str>>>,
    metadata: Vec<Option<String>>,
    bytes: usize,
    /// The server takes batches of one stream one upon the other.
    is_ours: bool,
}

impl Batch {
    pub(crate) fn new(
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
        is_ours: bool,
    ) -> Self {
        let data: Vec<Option<Box<str>>> =
            messages.iter().map(|it| it.stored_data().map(Into::into)).collect();
        let metadata: Vec<_> = messages.iter().map(NewMessage::stored_metadata).collect();
        let bytes = data.iter().flatten().map(|it| it.len()).sum::<usize>()
            + metadata.iter().flatten().map(String::len).sum::<usize>();
        Self {
            stream: stream.clone(),
            expected,
            ids: messages.iter().map(NewMessage::id).collect(),
            types: messages.iter().map(|it| it.message_type().into()).collect(),
            data,
            metadata,
            bytes,
            is_ours,
        }
    }

    /// How many messages it has.
    pub(crate) fn size(&self) -> usize {
        self.ids.len()
    }

    /// How much their data and metadata is.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it can be written with these, which come before it.
    pub(crate) fn goes_with(&self, group: &[Waiting]) -> bool {
        self.is_ours
            || self.expected == ExpectedVersion::Any
            || group.iter().all(|it| it.batch.stream != self.stream)
    }
}

/// A group as it travels: arrays with an item for each writer, and arrays with one for each message.
pub(crate) struct Group<'a> {
    pub(crate) streams: Vec<&'a str>,
    pub(crate) expected: Vec<Option<i64>>,
    pub(crate) sizes: Vec<i32>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) types: Vec<&'a str>,
    pub(crate) data: Vec<Option<&'a str>>,
    pub(crate) metadata: Vec<Option<&'a str>>,
}

/// A checked query on a group, whose arrays are its first seven arguments.
macro_rules! query_group {
    ($query:ident, $sql:literal, $group:expr $(, $argument:expr)* $(,)?) => {{
        let $crate::flush::Group { streams, expected, sizes, ids, types, data, metadata } = $group;
        sqlx::$query!(
            $sql,
            streams as _,
            expected as _,
            sizes,
            ids,
            types as _,
            data as _,
            metadata as _
            $(, $argument)*
        )
    }};
}

pub(crate) use query_group;

impl<'a> Group<'a> {
    fn of(group: &[&'a Batch]) -> Self {
        let size = |it: &&Batch| i32::try_from(it.size()).unwrap_or(i32::MAX);
        Self {
            streams: group.iter().map(|it| it.stream.as_str()).collect(),
            expected: group.iter().map(|it| it.expected.as_number()).collect(),
            sizes: group.iter().map(size).collect(),
            ids: group.iter().flat_map(|it| it.ids.iter().copied()).collect(),
            types: group.iter().flat_map(|it| it.types.iter().map(|it| &**it)).collect(),
            data: group.iter().flat_map(|it| it.data.iter().map(Option::as_deref)).collect(),
            metadata: group
                .iter()
                .flat_map(|it| it.metadata.iter().map(Option::as_deref))
                .collect(),
        }
    }
}

impl Postgres {
    /// Writes what has waited together, and tells each what became of it.
    ///
    /// A group with the fault of one of its writers is halved until that one is alone. One that took too
    /// long or met others in another order is taken apart, and each is written in turn; when two in a row do
    /// not go well even so, the others would wait for the same.
    pub(crate) async fn flush(self, group: Vec<Waiting>) {
        let mut parts = vec![group];
        let mut has_failed = false;
        while let Some(mut part) = parts.pop() {
            let error = match self.write_group(&mut part).await {
                None => continue,
                Some(Ok(verdicts)) => {
                    has_failed = false;
                    part.into_iter().zip(verdicts).for_each(|(it, verdict)| it.tell(verdict));
                    continue;
                }
                Some(Err(error)) => error,
            };
            match (Scope::of(&error), part.len()) {
                (Scope::Item, 1) => tell(part, &Verdict::Alone),
                (Scope::Item, size) => {
                    parts.push(part.split_off(size / 2));
                    parts.push(part);
                }
                (Scope::Together(_), 2..) => {
                    parts.extend(part.into_iter().rev().map(|it| vec![it]));
                }
                (Scope::Together(whole), _) if !has_failed => {
                    has_failed = true;
                    tell(part, &Verdict::Failed(whole));
                }
                // With another connection it may go well.
                (Scope::All(whole @ Whole::Io(..)), _) => tell(part, &Verdict::Failed(whole)),
                (Scope::Together(whole) | Scope::All(whole), _) => {
                    tell(
                        part.into_iter().chain(parts.drain(..).flatten()),
                        &Verdict::Failed(whole),
                    );
                }
            }
        }
    }

    /// Nothing where nobody waits for it any more: as with a writer who is alone, it may happen or not.
    async fn write_group(
        &self,
        group: &mut [Waiting],
    ) -> Option<Result<Vec<Verdict>, sqlx::Error>> {
        let (batches, told): (Vec<_>, Vec<_>) =
            group.iter_mut().map(|Waiting { batch, told, .. }| (&*batch, told)).unzip();
        let columns = Group::of(&batches);
        let written = async {
            if self.schema.has_additions() {
                own::append_items(self.on(), &columns).await
            } else {
                write_items(self.on(), &columns).await
            }
        };
        let forgotten = async {
            for told in told {
                told.closed().await;
            }
        };
        match select(pin!(written), pin!(forgotten)).await {
            Either::Left((verdicts, _)) => Some(verdicts),
            Either::Right(_) => None,
        }
    }
}

fn tell(waiting: impl IntoIterator<Item = Waiting>, verdict: &Verdict) {
    waiting.into_iter().for_each(|it| it.tell(verdict.clone()));
}

/// As `write_message` does it for each, with nothing installed: one lock, for all are of one category.
/// Of one stream only the first expects a version, so versions are read once, before any insert.
async fn write_items(on: Way<'_>, group: &Group<'_>) -> Result<Vec<Verdict>, sqlx::Error> {
    let places =
        || (1_i32..).zip(&group.sizes).flat_map(|(item, size)| (1..=*size).map(move |n| (item, n)));
    let (items, numbers): (Vec<_>, Vec<_>) = places().unzip();
    let lasts = query_group!(
        query_scalar,
        r#"
        WITH locked AS MATERIALIZED (
            SELECT message_store.acquire_lock(($1::text[])[1]::varchar) AS key
        ),
        item AS MATERIALIZED (
            SELECT
                i.item, i.stream_name, i.expected, i.size,
                CASE WHEN locked.key IS NOT NULL THEN
                    coalesce(message_store.stream_version(i.stream_name::varchar), -1)
                END AS version
            FROM locked, unnest($1::text[], $2::bigint[], $3::int[])
                WITH ORDINALITY AS i (stream_name, expected, size, item)
        ),
        good AS MATERIALIZED (
            SELECT
                item, stream_name, size,
                version - size + sum(size) OVER (PARTITION BY stream_name ORDER BY item) AS version
            FROM item
            WHERE expected IS NULL OR expected = version
        ),
        inserted AS (
            INSERT INTO message_store.messages
                (id, stream_name, type, position, data, metadata)
            SELECT
                batch.id, good.stream_name, batch.type, good.version + batch.number,
                batch.data::jsonb, batch.metadata::jsonb
            FROM good
            JOIN unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::int[], $9::int[])
                AS batch (id, type, data, metadata, item, number) USING (item)
            ORDER BY batch.item, batch.number
        )
        SELECT (good.version + good.size)::bigint AS last
        FROM item LEFT JOIN good USING (item)
        ORDER BY item.item
        "#,
        group,
        &items,
        &numbers,
    )
    .fetch_all(on)
    .await?;
    lasts.into_iter().map(verdict_of).collect()
}

/// What the position of the last message says, where there is one.
pub(crate) fn verdict_of(last: Option<i64>) -> Result<Verdict, sqlx::Error> {
    match last {
        Some(last) => Position::new(last).map(Verdict::Stands).map_err(decode),
        None => Ok(Verdict::Refused),
    }
}
