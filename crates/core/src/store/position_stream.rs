//! The position stream of a subscriber, and what it says of itself in a record.
//!
//! Owns the name of the stream, the record of Eventide, what is noted beside it, and what is an error
//! in it. Who keeps and reads it is in `progress.rs`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Categories, ConsumerGroup, Place, SubscriberId, Unit, stored_reason};
use crate::error::{Error, Invalid};
use crate::message::{Metadata, NewMessage, Recorded};
use crate::{Category, EntityId, StreamName};

/// The type of a progress record, as Eventide's clients write it.
const RECORDED: &str = "Recorded";

/// The category of the books of subscribers that read several categories by one cursor.
pub(super) const MERGED: &str = "evenfold";

/// The type of a record before the first message is done with, where no number can say that.
const BEGAN: &str = "Began";

/// The position stream of one subscriber, and the unit of what is recorded in it.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::{ConsumerGroup, ProgressStream, SubscriberId};
///
/// let teller = SubscriberId::new("teller")?;
/// let of_category = ProgressStream::of_category(&"account:command".parse()?, &teller, None);
/// assert_eq!(of_category.stream().as_str(), "account:command+position-teller");
///
/// let of_member =
///     ProgressStream::of_category(&"account".parse()?, &teller, Some(ConsumerGroup::new(1, 4)?));
/// assert_eq!(of_member.stream().as_str(), "account:position-teller+1of4");
///
/// let filtered = of_category.correlated_with(&"transfer".parse()?);
/// assert_eq!(filtered.stream().as_str(), "account:command+position-teller+correlation:transfer");
///
/// let of_stream = ProgressStream::of_stream(&"account-123".parse()?, &teller)?;
/// assert_eq!(of_stream.stream().as_str(), "account:streamPosition-teller+123");
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProgressStream {
    stream: StreamName,
    unit: Unit,
}

impl ProgressStream {
    /// Of a subscriber of a category, or of one member of a group that shares it; the size of the
    /// group is part of the name, since another size gives each member other streams.
    pub fn of_category(
        category: &Category,
        subscriber: &SubscriberId,
        group: Option<ConsumerGroup>,
    ) -> Self {
        let id = match group {
            Some(group) => format!("{subscriber}+{group}"),
            None => subscriber.to_string(),
        };
        let stream = category.typed("position").stream(&EntityId::stored(&id));
        Self { stream, unit: Unit::GlobalPosition }
    }

    /// Of a subscriber of several categories, or of all, by one cursor.
    pub fn of_merged(categories: &Categories, subscriber: &SubscriberId) -> Self {
        let id = match categories.named() {
            Some(named) => {
                let named: Vec<_> = named.iter().map(Category::as_str).collect();
                format!("{subscriber}+{}", named.join(","))
            }
            None => subscriber.to_string(),
        };
        let stream = Category::stored(MERGED).typed("position").stream(&EntityId::stored(&id));
        Self { stream, unit: Unit::GlobalPosition }
    }

    /// The same for a subscriber that reads only what is correlated with a category: what another
    /// filter let through says nothing of this one.
    #[must_use]
    pub fn correlated_with(self, category: &Category) -> Self {
        let stream = StreamName::stored(format!("{}+correlation:{category}", self.stream));
        Self { stream, ..self }
    }

    /// The same for a version of the subscriber beyond the first.
    #[must_use]
    pub fn version(self, version: u32) -> Self {
        if version <= 1 {
            return self;
        }
        let stream = StreamName::stored(format!("{}+v{version}", self.stream));
        Self { stream, ..self }
    }

    /// Of a subscriber of one stream.
    ///
    /// # Errors
    ///
    /// When the name is a category alone, which is not read as a stream.
    pub fn of_stream(stream: &StreamName, subscriber: &SubscriberId) -> Result<Self, Invalid> {
        let id = stream.require_id()?.entity_id().map(|id| id.to_string()).unwrap_or_default();
        let id = EntityId::stored(&format!("{subscriber}+{id}"));
        let stream = stream.category().typed("streamPosition").stream(&id);
        Ok(Self { stream, unit: Unit::StreamPosition })
    }

    /// The stream that the progress is recorded in.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// What the recorded numbers count.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The message that records progress; write it to [`stream`](Self::stream).
    ///
    /// Its data is Eventide's record, to the letter. What else is known stands in the local
    /// properties of its metadata, where other clients do not look.
    ///
    /// # Errors
    ///
    /// When a place is negative.
    pub fn record(&self, progress: &Progress, id: Uuid) -> Result<NewMessage, Error> {
        let place = match (progress.done, self.unit) {
            (Some(place), _) if place < 0 => {
                return Err(Invalid::new("progress", place, "a place is not negative").into());
            }
            (Some(place), _) => Some(place),
            // Global positions begin above zero.
            (None, Unit::GlobalPosition) => Some(0),
            (None, Unit::StreamPosition) => None,
        };
        let (message_type, data) = match place {
            Some(place) => (RECORDED, format!(r#"{{"{}":{place}}}"#, self.unit.key())),
            None => (BEGAN, "{}".to_owned()),
        };
        let data = RawValue::from_string(data).map_err(|e| Error::encode(message_type, e))?;
        let metadata = Metadata { local_properties: progress.notes(), ..Metadata::default() };
        Ok(NewMessage::new(id, message_type, &data)?.with_metadata(metadata))
    }

    /// The progress that a message of the position stream records.
    ///
    /// # Errors
    ///
    /// When it is not a progress record of this unit.
    pub fn progress_in(&self, recorded: &Recorded) -> Result<Progress, Error> {
        let fault = |what: String| Error::unreadable_progress(&self.stream, what);
        let done = match &*recorded.message_type {
            RECORDED => Some(self.place_in(recorded)?),
            BEGAN if self.unit == Unit::StreamPosition => None,
            other => {
                let what = format!("the last message is a `{other}`, not a `{RECORDED}`");
                return Err(fault(what));
            }
        };
        let notes = match recorded.metadata() {
            Ok(metadata) => Notes::of(metadata.local_properties),
            // Another client's metadata may be anything; it has no notes of ours.
            Err(_) => Ok(Notes::default()),
        };
        let notes = notes.map_err(|error| fault(format!("its local properties: {error}")))?;
        let (replay, successor) = (notes.replay, notes.successor);
        Ok(Progress { done, began: notes.began(), replay, successor, standing: notes.standing() })
    }

    fn place_in(&self, recorded: &Recorded) -> Result<Place, Error> {
        let fault = |what: String| Err(Error::unreadable_progress(&self.stream, what));
        let data: Value = match serde_json::from_str(recorded.data()) {
            Ok(data) => data,
            Err(error) => return fault(format!("its data is not JSON: {error}")),
        };
        let key = self.unit.key();
        match data.get(key).and_then(Value::as_i64) {
            Some(place @ 0..) => Ok(place),
            Some(place) => fault(format!("`{key}` is {place}, which is negative")),
            None => fault(format!("`{key}` is not a whole number in {data}")),
        }
    }
}

/// Where a subscriber is, as it records it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The place of the last message it is done with; none before the first.
    pub done: Option<Place>,
    /// What it had begun and not finished; nothing when it stopped in order, or is idle.
    pub began: Option<Began>,
    /// Why it stands still, if it does.
    pub standing: Option<Standing>,
    /// What is at or before this place was handled before, by this subscriber or an earlier version of
    /// it, and is handled anew to rebuild what was made of it.
    pub replay: Option<Place>,
    /// The version of the subscriber that has taken over, if one has: this one is at its end.
    pub successor: Option<u32>,
}

/// What a subscriber has begun beyond what it is done with.
///
/// It is recorded before the work, so that whoever comes after a crash knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// Any of the messages up to this place.
    Ahead(Place),
    /// The message at this place, by itself; the process had ended in the middle of it so often.
    Alone(Place, u32),
}

/// Why a subscriber stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it has stopped, or holds on and tries again.
    pub stopped: bool,
    /// The reason, for people; it is recorded as [`stored_reason`] makes it.
    pub reason: String,
}

/// The keys of the local properties.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Notes {
    #[serde(skip_serializing_if = "Option::is_none")]
    began: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crashes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<u32>,
}

impl Notes {
    fn of(properties: Map<String, Value>) -> Result<Self, serde_json::Error> {
        serde_json::from_value(Value::Object(properties))
    }

    fn began(&self) -> Option<Began> {
        self.began.map(|place| match self.crashes {
            Some(crashes) => Began::Alone(place, crashes),
            None => Began::Ahead(place),
        })
    }

    fn standing(self) -> Option<Standing> {
        let stopped = self.stopped.map(|reason| Standing { stopped: true, reason });
        stopped.or(self.held.map(|reason| Standing { stopped: false, reason }))
    }
}

impl Progress {
    /// Done with everything up to this place, and nothing begun.
    pub fn at(place: Place) -> Self {
        Self { done: Some(place), ..Self::default() }
    }

    fn notes(&self) -> Map<String, Value> {
        let mut notes = Notes::default();
        (notes.began, notes.crashes) = match self.began {
            Some(Began::Ahead(place)) => (Some(place), None),
            Some(Began::Alone(place, crashes)) => (Some(place), Some(crashes)),
            None => (None, None),
        };
        (notes.replay, notes.successor) = (self.replay, self.successor);
        match &self.standing {
            Some(Standing { stopped: true, reason }) => notes.stopped = Some(stored_reason(reason)),
            Some(Standing { reason, .. }) => notes.held = Some(stored_reason(reason)),
            None => {}
        }
        match serde_json::to_value(notes) {
            Ok(Value::Object(notes)) => notes,
            // Numbers and texts always have a JSON form.
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(of: &ProgressStream, progress: &Progress) -> (String, String) {
        let message = of.record(progress, Uuid::nil()).unwrap();
        let recorded = Recorded {
            message_type: message.message_type().into(),
            data_json: message.stored_data().map(Into::into),
            metadata_json: message.stored_metadata().map(Into::into),
            ..Recorded::example()
        };
        assert_eq!(&of.progress_in(&recorded).unwrap(), progress);
        (recorded.data().to_owned(), recorded.metadata_json.unwrap_or_default().into())
    }

    #[test]
    fn what_is_noted_stands_beside_the_record_and_comes_back() {
        let teller = SubscriberId::new("teller").unwrap();
        let of = ProgressStream::of_category(&"account".parse().unwrap(), &teller, None);
        let mut progress = Progress::at(42);
        assert_eq!(there_and_back(&of, &progress), (r#"{"position":42}"#.into(), String::new()));
        for (began, said) in [
            (Began::Ahead(99), r#"{"localProperties":{"began":99}}"#),
            (Began::Alone(43, 0), r#"{"localProperties":{"began":43,"crashes":0}}"#),
        ] {
            progress.began = Some(began);
            assert_eq!(there_and_back(&of, &progress).1, said);
        }
        progress.began = None;
        for (stopped, said) in [(true, "stopped"), (false, "held")] {
            progress.standing = Some(Standing { stopped, reason: "no luck".into() });
            let notes = format!(r#"{{"localProperties":{{"{said}":"no luck"}}}}"#);
            assert_eq!(there_and_back(&of, &progress).1, notes);
        }
    }

    #[test]
    fn any_reason_can_be_recorded() {
        let teller = SubscriberId::new("teller").unwrap();
        let of = ProgressStream::of_category(&"account".parse().unwrap(), &teller, None);
        for stopped in [true, false] {
            let standing = Some(Standing { stopped, reason: "bad byte \0".into() });
            let message =
                of.record(&Progress { standing, ..Progress::at(1) }, Uuid::nil()).unwrap();
            let metadata = message.stored_metadata().unwrap();
            assert!(metadata.contains("bad byte \u{FFFD}"), "{metadata}");
        }
    }

    #[test]
    fn a_subscriber_of_a_stream_can_say_that_nothing_is_done() {
        let teller = SubscriberId::new("teller").unwrap();
        let of = ProgressStream::of_stream(&"account-1".parse().unwrap(), &teller).unwrap();
        let progress = Progress { began: Some(Began::Ahead(5)), ..Progress::default() };
        assert_eq!(there_and_back(&of, &progress).0, "{}");
    }

    #[test]
    fn notes_of_another_kind_are_unreadable() {
        let teller = SubscriberId::new("teller").unwrap();
        let of = ProgressStream::of_category(&"account".parse().unwrap(), &teller, None);
        let recorded = Recorded {
            message_type: RECORDED.into(),
            data_json: Some(r#"{"position":1}"#.into()),
            metadata_json: Some(r#"{"localProperties":{"began":"soon"}}"#.into()),
            ..Recorded::example()
        };
        let refused = of.progress_in(&recorded).unwrap_err();
        assert!(refused.is_unreadable_progress(), "{refused}");
    }
}
