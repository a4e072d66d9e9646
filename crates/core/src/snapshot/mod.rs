//! A state that is kept as a message, so that a long stream need not be read from its beginning.
//!
//! Owns [`Snapshot`] and the forms in which one is kept. The fingerprint of a state is `shape.rs`;
//! when a snapshot is written is decided by who loads entities.

mod shape;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use crate::error::{Error, Invalid};
use crate::message::{Messages, Metadata, NewMessage, Recorded};
use crate::projector::Projection;
use crate::reducer::Reducer;
use crate::{Category, EntityId, Position, StreamName};

pub use shape::{Outline, Shape};

/// The type of a snapshot in Eventide's form.
const RECORDED: &str = "Recorded";
/// The local property that holds the shape of the state.
const SHAPE: &str = "shape";
/// The local property that holds the stream that the state was made of.
const STREAM: &str = "stream";
/// The local property that holds the id of the last message that it was made of.
const LAST: &str = "lastId";
/// The key of Equinox for the version of the state, in the metadata.
const STREAM_VERSION: &str = "streamVersion";

/// A state that can be kept as a message and read back; `#[derive(Snapshot)]` writes it.
///
/// Laws:
/// - *Whole.* What is read back equals what was kept: nothing that a reducer or a decision looks at
///   is left out of the wire form.
/// - *Shape.* When what is kept of the state changes, its [`SHAPE`](Shape::SHAPE) does. It is noted
///   together with the types of messages that go into the state, so that one which passes over what
///   another takes in is not believed by it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept as a snapshot",
    label = "no `#[derive(Snapshot)]` for this type",
    note = "write `#[derive(Serialize, Deserialize, Snapshot)]` on `{Self}`"
)]
pub trait Snapshot: Shape + Serialize + DeserializeOwned + Send + 'static {
    /// The name that the streams of its snapshots begin with: `account` in `account:snapshot-123`.
    const NAME: &'static str;
}

/// The form in which snapshots are kept, which is also where.
///
/// In both forms the local properties of the metadata hold the shape of the state, the stream that it was
/// made of and [the last message](note_last) of it, where other clients do not look.
///
/// # Examples
///
/// ```
/// use evenfold_core::snapshot::Dialect;
///
/// let (category, id) = ("account".parse()?, "123".parse()?);
/// assert_eq!(Dialect::Eventide.stream("account", &category, &id).as_str(), "account:snapshot-123");
/// # Ok::<(), evenfold_core::error::Invalid>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// That of Eventide, in Ruby: a `Recorded` message in the stream `account:snapshot-123`, whose
    /// `account` is the name of the state; its data is the state as `entityData` and its version
    /// as `entityVersion`.
    #[default]
    Eventide,
    /// That of Equinox, in .NET and TypeScript: the state itself is the data of an event of this
    /// type, in the stream `account:snapshot-123`, whose `account` is the category; its version
    /// stands in the metadata, as `streamVersion`. All snapshots of an entity are in one stream, so
    /// each state, and each way to make it, has an event type of its own.
    Equinox(String),
}

/// The data of a snapshot in Eventide's form. Without a `time`, its readers take that of the message.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntityRecord<S> {
    entity_data: S,
    entity_version: i64,
}

impl Dialect {
    /// The stream of an entity's snapshots; `name` is that of the state.
    pub fn stream(&self, name: &str, category: &Category, id: &EntityId) -> StreamName {
        let of = match self {
            Self::Eventide => Category::stored(name),
            Self::Equinox(_) => category.clone(),
        };
        of.typed("snapshot").stream(id)
    }

    /// The type of the message.
    pub fn message_type(&self) -> &str {
        match self {
            Self::Eventide => RECORDED,
            Self::Equinox(event) => event,
        }
    }

    /// The message that keeps a state as it is after the message at `version` of `stream`.
    ///
    /// # Errors
    ///
    /// When the state has no JSON form, or one that no store takes.
    pub fn write<S: Reducer + Snapshot>(
        &self,
        id: Uuid,
        stream: &StreamName,
        state: &S,
        version: Position,
    ) -> Result<NewMessage, Error> {
        let mut metadata = Metadata::default();
        metadata.local_properties.insert(SHAPE.into(), fingerprint::<S>().into());
        metadata.local_properties.insert(STREAM.into(), stream.as_str().into());
        let data = match self {
            Self::Eventide => {
                let (entity_data, entity_version) = (state, version.get());
                to_raw_value(&EntityRecord { entity_data, entity_version })
            }
            Self::Equinox(_) => {
                metadata.other.insert(STREAM_VERSION.into(), version.get().into());
                to_raw_value(state)
            }
        };
        let data = data.map_err(|source| Error::encode(self.message_type(), source))?;
        let message = NewMessage::new(id, self.message_type().to_owned(), &data)?;
        Ok(message.with_metadata(metadata))
    }

    /// The state that a message keeps, if it is a state of `S` made of `stream`. One without a shape
    /// was written by another client: it is read where `trusting` says that such are believed.
    ///
    /// # Errors
    ///
    /// When it was made of another stream, by another shape of the state, of other types of messages,
    /// or by a shape that is not known, or does not read: the error says which. A caller does without
    /// the snapshot.
    pub fn read<S: Reducer + Snapshot>(
        &self,
        recorded: &Recorded,
        stream: &StreamName,
        trusting: bool,
    ) -> Result<Projection<S>, Error> {
        let unusable = |rule: String| {
            let place = format!("{} at position {}", recorded.stream_name, recorded.position);
            Invalid::new("snapshot", place, rule)
        };
        let metadata = recorded.metadata()?;
        let noted = |key| metadata.local_properties.get(key).and_then(Value::as_str);
        let own = fingerprint::<S>();
        match noted(SHAPE) {
            Some(shape) if shape == own => {}
            Some(shape) => {
                let rule = format!("its state has the shape {shape}, and `{}` has {own}", S::NAME);
                return Err(unusable(rule).into());
            }
            None if trusting => {}
            None => return Err(unusable("the shape of its state is not noted".into()).into()),
        }
        if let Some(of) = noted(STREAM)
            && of != stream.as_str()
        {
            return Err(unusable(format!("it was made of `{of}`, not of `{stream}`")).into());
        }
        let (state, version) = match self {
            Self::Eventide => {
                let record: EntityRecord<S> = read(recorded)?;
                (record.entity_data, Some(record.entity_version))
            }
            Self::Equinox(_) => {
                let version = metadata.other.get(STREAM_VERSION).and_then(Value::as_i64);
                (read(recorded)?, version)
            }
        };
        let Some(version) = version else {
            let rule = format!("its metadata has no `{STREAM_VERSION}`");
            return Err(unusable(rule).into());
        };
        let last_id = noted(LAST).and_then(|id| Uuid::try_parse(id).ok());
        Ok(Projection { state, version: Some(Position::new(version)?), last_id })
    }
}

/// Notes with a snapshot the id of the last message that its state was made of, by which it is seen when
/// the stream no longer has that message.
pub fn note_last(snapshot: &mut NewMessage, id: Uuid) {
    snapshot.metadata_mut().local_properties.insert(LAST.into(), id.to_string().into());
}

/// Whether the shape of its state is noted with a snapshot: other clients do not note it.
pub fn notes_shape(snapshot: &Recorded) -> bool {
    snapshot.metadata().is_ok_and(|metadata| metadata.local_properties.contains_key(SHAPE))
}

fn read<T: DeserializeOwned>(recorded: &Recorded) -> Result<T, Error> {
    serde_json::from_str(recorded.data()).map_err(|source| {
        Error::failed(format!("reading the snapshot {}", recorded.place()), source)
    })
}

/// The shape of a state as it is noted: with the types that go into it, in any order. Of two releases
/// the older one keeps a state without the messages that it does not know, at the same version.
fn fingerprint<S: Reducer + Snapshot>() -> String {
    let mut types = S::Set::TYPES.to_vec();
    types.retain(|message_type| !S::skips(message_type));
    types.sort_unstable();
    let outline = Outline::of("state").part(S::SHAPE);
    let outline = types.into_iter().fold(outline, Outline::text);
    format!("{:016x}", outline.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{DecodeError, HandlerError};
    use crate::message::Encode;

    /// What is noted of the account, computed apart from this code: snapshots outlive a release.
    const NOTED: &str = "a66295ff23dbed10";

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Account {
        balance: u64,
        is_closed: bool,
    }

    impl Shape for Account {
        const SHAPE: u64 = 0xab;
    }

    impl Snapshot for Account {
        const NAME: &'static str = "account";
    }

    /// A set of which only the names matter here.
    enum AccountEvent {}

    impl Encode for AccountEvent {
        fn encode(&self, _: Uuid) -> Result<NewMessage, Error> {
            match *self {}
        }
    }

    impl Messages for AccountEvent {
        const CATEGORY: &'static str = "account";
        const TYPES: &'static [&'static str] = &["Deposited", "Seen", "Closed"];

        fn decode(_: &Recorded) -> Result<Option<Self>, DecodeError> {
            Ok(None)
        }
    }

    impl Reducer for Account {
        type Set = AccountEvent;

        fn skips(message_type: &str) -> bool {
            message_type == "Seen"
        }

        fn reduce(&mut self, message: &AccountEvent, _: &Recorded) -> Result<(), HandlerError> {
            match *message {}
        }
    }

    fn kept(dialect: &Dialect) -> Recorded {
        let (stream, account) = (stream(), Account { balance: 5, is_closed: true });
        let version = Position::new(9).unwrap();
        let message = dialect.write(Uuid::nil(), &stream, &account, version).unwrap();
        Recorded {
            stream_name: "account:snapshot-123".parse().unwrap(),
            message_type: message.message_type().into(),
            data_json: message.stored_data().map(Into::into),
            metadata_json: message.stored_metadata().map(Into::into),
            ..Recorded::example()
        }
    }

    fn stream() -> StreamName {
        "account-123".parse().unwrap()
    }

    fn equinox() -> Dialect {
        Dialect::Equinox("Snapshotted".into())
    }

    #[test]
    fn eventide_finds_what_it_would_have_written_itself() {
        let recorded = kept(&Dialect::Eventide);
        assert_eq!(&*recorded.message_type, "Recorded");
        let data = r#"{"entityData":{"balance":5,"isClosed":true},"entityVersion":9}"#;
        assert_eq!(recorded.data(), data);
    }

    #[test]
    fn equinox_finds_what_it_would_have_written_itself() {
        let recorded = kept(&equinox());
        assert_eq!(&*recorded.message_type, "Snapshotted");
        assert_eq!(recorded.data(), r#"{"balance":5,"isClosed":true}"#);
        let noted = format!(r#"{{"shape":"{NOTED}","stream":"account-123"}}"#);
        let metadata = format!(r#"{{"localProperties":{noted},"streamVersion":9}}"#);
        assert_eq!(recorded.metadata_json.as_deref(), Some(&*metadata));
        let stream = equinox().stream("other", &"account".parse().unwrap(), &"1".parse().unwrap());
        assert_eq!(stream.as_str(), "account:snapshot-1");
    }

    #[test]
    fn what_was_kept_is_read_back() {
        for dialect in [Dialect::Eventide, equinox()] {
            let read = dialect.read::<Account>(&kept(&dialect), &stream(), false).unwrap();
            assert_eq!(read.state, Account { balance: 5, is_closed: true });
            assert_eq!(read.version.map(Position::get), Some(9));
        }
    }

    #[test]
    fn one_of_another_client_is_read_where_such_are_believed() {
        let mut recorded = kept(&Dialect::Eventide);
        recorded.metadata_json = None;
        assert!(Dialect::Eventide.read::<Account>(&recorded, &stream(), true).is_ok());
        recorded.message_type = "Snapshotted".into();
        recorded.data_json = Some(r#"{"balance":5,"isClosed":true}"#.into());
        recorded.metadata_json = Some(r#"{"streamVersion":9}"#.into());
        assert!(equinox().read::<Account>(&recorded, &stream(), true).is_ok());
    }

    #[test]
    fn what_is_not_a_snapshot_of_the_state_says_why() {
        let ours = kept(&Dialect::Eventide);
        let with = |data: &str, metadata: &str| {
            let (data_json, metadata_json) = (Some(data.into()), Some(metadata.into()));
            Recorded { data_json, metadata_json, ..ours.clone() }
        };
        let noted = ours.metadata_json.clone().unwrap_or_default();
        for (recorded, said) in [
            (with(ours.data(), "{}"), "the shape of its state is not noted"),
            (
                with(ours.data(), r#"{"localProperties":{"shape":"cd"}}"#),
                format!("its state has the shape cd, and `account` has {NOTED}").as_str(),
            ),
            (
                with(ours.data(), &noted.replace("account-123", "account-1")),
                "it was made of `account-1`, not of `account-123`",
            ),
            (with(r#"{"entityVersion":9}"#, &noted), "missing field `entityData`"),
            (with(ours.data().replace('9', "-1").as_str(), &noted), "`-1`"),
        ] {
            let fault = Dialect::Eventide.read::<Account>(&recorded, &stream(), false);
            let fault = fault.unwrap_err();
            let said_of_it = format!("{fault:?}");
            assert!(said_of_it.contains(said), "{said_of_it}");
        }
        let fault = equinox().read::<Account>(
            &with(r#"{"balance":5,"isClosed":true}"#, &noted),
            &stream(),
            false,
        );
        assert!(fault.unwrap_err().to_string().contains("no `streamVersion`"));
    }
}
