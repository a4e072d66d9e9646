//! Given what is there, when a message comes, then this is written: however it comes.
//!
//! Owns [`Spec`], as a test writes it. The ways in which a message comes are in `delivery.rs`, the
//! store that a handler gets in `probe.rs`, what a failed spec says in `report.rs`; the state of an
//! entity alone is tested by `state.rs`.

mod delivery;
mod probe;
mod report;
mod state;

use std::collections::HashMap;
use std::fmt;
use std::future::IntoFuture;
use std::panic::Location;

use evenfold_core::handler::Handler;
use evenfold_core::message::{Encode, Messages, Metadata, NewMessage};
use evenfold_core::{Error, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;

use self::delivery::Answer;
use crate::Recording;
use crate::controls::numbered;

pub use self::delivery::Delivery;
pub use self::state::{check_kept, state_of};

/// What a handler writes when a message comes, whatever happens on the way: `.await` it.
///
/// The closure makes the handler on a store that it is given. Then say what is there
/// ([`given`](Self::given)), what comes ([`when`](Self::when)) and what is written
/// ([`then`](Self::then)). The messages are brought to the handler once, and then again in every
/// way of [`Delivery`], each on a fresh store with the same history, the same clock and the same ids.
/// The outcome has to be the same each time.
///
/// Laws:
/// - *Exactly this.* A stream gets the messages that the spec names for it, in their order and no
///   other; a stream that it does not name gets none. They are compared by type and data.
/// - *Followed.* What is written follows a message of the spec, by its metadata.
/// - *As a subscriber does it.* A message whose handling fails of a fault that the spec brought about
///   comes again, at most three times; a rejection and a panic are what they are to a subscriber. A
///   handler is made anew after a crash, and what comes again comes from the first message on.
/// - *Together.* What a handler writes in its transaction, by its `Context`, comes to stand when the
///   message is handled or rejected, and none of it when that fails.
///
/// It knows no runtime, so any will do. A write whose reply is lost is sent again after a pause, so
/// let the clock of tokio jump over it: `#[tokio::test(start_paused = true)]`.
///
/// # Panics
///
/// When it is awaited and an outcome is another. The text says which delivery differed, what was
/// expected and what was written, a message a line, and each call that the handler made to its store.
///
/// # Examples
///
/// A handler with the macros and the store of `evenfold` is tested in three lines; its guide shows
/// one. Here is one by hand, without either:
///
/// ```
/// use evenfold_core::error::HandlerError;
/// use evenfold_core::handler::{Context, Handler, Received};
/// use evenfold_core::message::{Encode, Metadata};
/// use evenfold_core::store::WriteStore;
/// use evenfold_core::{ExpectedVersion, StreamName};
/// use evenfold_testkit::controls::message::Deposited;
/// use evenfold_testkit::{Recording, Spec};
/// # use evenfold_core::message::{Messages, NewMessage, Recorded};
/// # use evenfold_core::{Error, error::DecodeError};
/// # struct AccountEvent(Deposited);
/// # impl From<Deposited> for AccountEvent {
/// #     fn from(it: Deposited) -> Self { Self(it) }
/// # }
/// # impl Encode for AccountEvent {
/// #     fn encode(&self, id: uuid::Uuid) -> Result<NewMessage, Error> { self.0.encode(id) }
/// # }
/// # impl Messages for AccountEvent {
/// #     const CATEGORY: &'static str = "account";
/// #     const TYPES: &'static [&'static str] = &["Deposited"];
/// #     fn decode(recorded: &Recorded) -> Result<Option<Self>, DecodeError> {
/// #         recorded.is::<Deposited>().then(|| recorded.decode().map(Self)).transpose()
/// #     }
/// # }
///
/// /// Sends a tenth of each deposit to the tax office.
/// struct Tax(Recording);
///
/// impl Handler for Tax {
///     type Set = AccountEvent;
///     const NAME: &'static str = "Tax";
///
///     async fn handle(
///         &self,
///         received: Received<AccountEvent>,
///         _: &mut Context,
///     ) -> Result<(), HandlerError> {
///         let amount = received.0.amount / 10;
///         let office = StreamName::new("account-office")?;
///         let ids = received.ids_for(&office, "")?;
///         let mut metadata = Metadata::default();
///         metadata.follow(received.recorded(), received.metadata());
///         let tax = Deposited { amount }.encode(ids.first())?.with_metadata(metadata);
///         self.0.write(&office, &[tax], ExpectedVersion::Any).await?;
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// Spec::of(Tax)
///     .when("account-123", Deposited { amount: 50 })
///     .then("account-office", [Deposited { amount: 5 }])
///     .await;
/// # }
/// ```
#[must_use = "nothing is checked until it is awaited"]
pub struct Spec<'a, H: Handler> {
    make: Box<dyn Fn(Recording) -> H + Send + Sync + 'a>,
    stands_at: &'static Location<'static>,
    ids: u64,
    given: Vec<(StreamName, Vec<NewMessage>)>,
    meanwhile: Option<(StreamName, Vec<NewMessage>)>,
    whens: Vec<When>,
    then: Vec<(StreamName, Vec<NewMessage>)>,
    noted: Vec<String>,
    says_then: bool,
    need_not_follow: Option<String>,
    left_out: HashMap<Delivery, String>,
}

/// A message that comes, and how the handler answers it.
#[derive(Debug)]
struct When {
    stream: StreamName,
    message: NewMessage,
    answer: Answer,
}

impl<'a, H: Handler> Spec<'a, H> {
    /// A spec of the handler that the closure makes on a store; it is made anew for each delivery,
    /// and after a crash. A source of ids that counts is made outside of the closure, for no id is
    /// made twice.
    #[track_caller]
    pub fn of(make: impl Fn(Recording) -> H + Send + Sync + 'a) -> Self {
        Self {
            make: Box::new(make),
            stands_at: Location::caller(),
            ids: 0,
            given: Vec::new(),
            meanwhile: None,
            whens: Vec::new(),
            then: Vec::new(),
            noted: Vec::new(),
            says_then: false,
            need_not_follow: None,
            left_out: HashMap::new(),
        }
    }

    /// These messages stand in the stream already.
    ///
    /// # Panics
    ///
    /// When the name is no stream name, or a message cannot be written.
    #[track_caller]
    pub fn given<E: Encode>(
        mut self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        messages: impl IntoIterator<Item = E>,
    ) -> Self {
        let batch = self.batch(stream, messages);
        self.given.push(batch);
        self
    }

    /// Another writer is faster: in every delivery, these come to stand in the stream just before
    /// the handler's first write to it. So a decision is tested that has to be made again. Said twice,
    /// the last counts.
    ///
    /// # Panics
    ///
    /// As [`given`](Self::given). And when it is awaited and the handler never writes to the stream.
    #[track_caller]
    pub fn meanwhile<E: Encode>(
        mut self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        messages: impl IntoIterator<Item = E>,
    ) -> Self {
        self.meanwhile = Some(self.batch(stream, messages));
        self
    }

    /// This message comes to the handler, after those that were said before it.
    ///
    /// # Panics
    ///
    /// As [`given`](Self::given), and when the stream is of another category than the handler's set.
    #[track_caller]
    pub fn when(
        mut self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        message: impl Into<H::Set>,
    ) -> Self {
        let (stream, messages) = self.batch(stream, [message.into()]);
        let category = H::Set::CATEGORY;
        assert!(
            stream.category_str() == category,
            "`{stream}` is not of the category `{category}`, whose messages `{}` handles",
            H::NAME
        );
        let answer = Answer::Handled;
        self.whens.extend(messages.into_iter().map(|message| When {
            stream: stream.clone(),
            message,
            answer: answer.clone(),
        }));
        self
    }

    /// The message said last has this metadata: a correlation, a stream to reply to.
    ///
    /// # Panics
    ///
    /// When none was said.
    #[track_caller]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        *self.last_when().message.metadata_mut() = metadata;
        self
    }

    /// These messages are written to the stream, after those that were said before.
    ///
    /// # Panics
    ///
    /// As [`given`](Self::given).
    #[track_caller]
    pub fn then<E: Encode>(
        mut self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        messages: impl IntoIterator<Item = E>,
    ) -> Self {
        let (stream, messages) = self.batch(stream, messages);
        match self.then.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, before)) => before.extend(messages),
            None => self.then.push((stream, messages)),
        }
        self.says_then = true;
        self
    }

    /// Nothing is written.
    pub fn then_nothing(mut self) -> Self {
        self.says_then = true;
        self
    }

    /// The message said last is answered with a rejection of this text, and nothing is written but
    /// what [`then`](Self::then) says.
    ///
    /// # Panics
    ///
    /// When no message was said.
    #[track_caller]
    pub fn then_rejected(self, reason: impl Into<String>) -> Self {
        self.answered(Answer::Rejected(reason.into()))
    }

    /// The handling of the message said last fails with an error in whose text, or in that of a
    /// cause, these words stand.
    ///
    /// # Panics
    ///
    /// When no message was said.
    #[track_caller]
    pub fn then_failed(self, words: impl Into<String>) -> Self {
        self.answered(Answer::Failed(words.into()))
    }

    /// These effects are noted in the [`NotedTransaction`](crate::NotedTransaction)s that the
    /// handler's context holds, and committed. A message that comes again may note the same again:
    /// such an effect is one that can be repeated, as `balance = 5` can and `balance + 5` cannot.
    pub fn then_noted(mut self, effects: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.noted.extend(effects.into_iter().map(Into::into));
        self.says_then = true;
        self
    }

    /// What is written need not follow the message; the reason is shown when the spec fails.
    pub fn without_following(mut self, reason: impl Into<String>) -> Self {
        self.need_not_follow = Some(reason.into());
        self
    }

    /// Leaves out one way in which a message may come; the reason is shown when the spec fails.
    pub fn without(mut self, delivery: Delivery, reason: impl Into<String>) -> Self {
        self.left_out.insert(delivery, reason.into());
        self
    }

    /// Brings each message once and in no other way, for a handler that cannot be made to do the
    /// same twice; the reason is shown when the spec fails.
    pub fn only_once(mut self, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        self.left_out.extend(Delivery::ALL.map(|delivery| (delivery, reason.clone())));
        self
    }

    #[track_caller]
    fn answered(mut self, answer: Answer) -> Self {
        self.last_when().answer = answer;
        self.says_then = true;
        self
    }

    #[track_caller]
    fn last_when(&mut self) -> &mut When {
        match self.whens.last_mut() {
            Some(when) => when,
            None => fail("no message comes yet: say `.when(…)` first"),
        }
    }

    #[track_caller]
    fn batch<E: Encode>(
        &mut self,
        stream: impl TryInto<StreamName, Error: Into<Error>>,
        messages: impl IntoIterator<Item = E>,
    ) -> (StreamName, Vec<NewMessage>) {
        let stream = said(stream.try_into().map_err(Into::into));
        let mut batch = Vec::new();
        for message in messages {
            self.ids += 1;
            batch.push(said(message.encode(numbered(2, self.ids))));
        }
        (stream, batch)
    }

    async fn check(self) {
        assert!(!self.whens.is_empty(), "the spec brings no message: say `.when(…)`");
        assert!(
            self.says_then,
            "the spec does not say what happens: say `.then(…)` or `.then_nothing()`"
        );
        if let Err(report) = self.run().await {
            fail(&report);
        }
    }
}

/// What the test said, if it can be.
#[track_caller]
fn said<T>(value: Result<T, Error>) -> T {
    match value {
        Ok(value) => value,
        Err(error) => fail(&format!("{error:#}")),
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "so a test fails")]
fn fail(text: &str) -> ! {
    panic!("{text}")
}

impl<'a, H: Handler> IntoFuture for Spec<'a, H> {
    type Output = ();
    type IntoFuture = BoxFuture<'a, ()>;

    fn into_future(self) -> Self::IntoFuture {
        self.check().boxed()
    }
}

impl<H: Handler> fmt::Debug for Spec<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("handler", &H::NAME)
            .field("given", &self.given)
            .field("when", &self.whens)
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}
