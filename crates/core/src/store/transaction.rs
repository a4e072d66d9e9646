//! The transaction that a store hands to handlers: what they do and what it writes, all or nothing.
//!
//! Owns the contract of such a transaction, and the [`Context`] in which handlers get it. Who begins
//! one, and ends it, is the subscriber of the `evenfold` crate.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, pending, ready};
use futures::{FutureExt, TryFutureExt};

use super::{Inside, WriteStore, Written};
use crate::error::Error;
use crate::message::NewMessage;
use crate::{Category, ExpectedVersion, StreamName};

/// A transaction that a store hands to handlers, and writes messages in.
///
/// Laws:
/// - *Together.* What is done in it, by handlers and by writing, is there when it has committed, all
///   of it; and nothing is, and nobody else sees any of it, before that, or when it is rolled back or
///   dropped.
/// - *Writes within.* All laws of [`WriteStore`] hold in it: a write sees those before it, and one
///   that is refused leaves it as it was, and usable.
/// - *One transaction wins.* Of those that expect the same version of a stream, one commits; another
///   hears of the conflict when it writes or when it commits.
/// - *Settled by repetition.* A commit that [is unavailable](Error::is_unavailable) may have happened.
///   The same write in another transaction tells: it is a repetition, or all can be done again.
/// - *Nothing stays open.* When it has ended, others can write; one that is dropped, at any point of
///   what was done in it, ends soon by itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transaction that a store can hand to handlers",
    note = "a store implements `HandlerTransaction` for its own transaction type"
)]
pub trait HandlerTransaction: WriteStore + Any {
    /// The mark by which the store knows what comes from inside of this transaction, so that it can
    /// refuse at once a call beside it that would wait for its end, which is to wait for itself; none
    /// where no call of the store does.
    fn inside(&self) -> Option<Inside> {
        None
    }

    /// Ends when the store knows that this transaction can commit no more, as one on a server that it
    /// has left, and says so; never where it does not know before. A statement that a handler makes
    /// itself may hang there for ever, so who calls handlers waits for this beside them.
    fn lost(&self) -> BoxFuture<'static, Error> {
        pending().boxed()
    }

    /// Makes everything done in it happen.
    ///
    /// # Errors
    ///
    /// When the store cannot, then nothing has happened; or it is unavailable, and then the outcome is
    /// unknown.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;

    /// Undoes everything done in it, and lets others write before this is done. Where the store does
    /// not answer, it undoes it by itself.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()>;

    /// What an application writes for this type, for the texts of errors; its full name, which says a
    /// path that may be private.
    fn name() -> &'static str
    where
        Self: Sized,
    {
        type_name::<Self>()
    }
}

/// What a store hands to the handlers of one message: nothing, or a transaction of its own.
///
/// The handlers of a message share it; it is committed when all of them are done, and rolled back when
/// one fails. A rejection is an answer, so it does not undo what was done before it: decide first.
///
/// A context writes messages too, in its transaction: they come to stand when it commits. One without
/// a transaction refuses that.
///
/// # Examples
///
/// ```
/// use evenfold_core::handler::Context;
/// use evenfold_core::store::{MessageStore, ReadStore, WriteStore};
/// use evenfold_core::{ExpectedVersion, Memory, StreamName};
/// # use evenfold_core::message::NewMessage;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evenfold_core::Error> {
/// # let data = serde_json::value::to_raw_value(&serde_json::json!({ "amount": 5 })).unwrap();
/// # let deposited = [NewMessage::new(uuid::Uuid::from_u128(1), "Deposited", &data)?];
/// let store = Memory::new();
/// let stream = StreamName::new("account-123")?;
///
/// let context = store.context().await?;
/// context.write(&stream, &deposited, ExpectedVersion::NoStream).await?;
/// assert_eq!(store.stream_version(&stream).await?, None); // nothing has happened yet
/// context.commit().await?;
/// assert!(store.stream_version(&stream).await?.is_some());
///
/// let refused = Context::empty().write(&stream, &deposited, ExpectedVersion::Any).await;
/// assert!(refused.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Context {
    held: Option<Held>,
    wrote: Mutex<Vec<Category>>,
}

struct Held {
    transaction: Box<dyn HandlerTransaction>,
    type_name: &'static str,
}

impl Context {
    /// A context of a store that has nothing to hand out.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A context with a transaction of the store's.
    pub fn with<T: HandlerTransaction>(transaction: T) -> Self {
        let transaction = Box::new(transaction);
        Self { held: Some(Held { transaction, type_name: T::name() }), wrote: Mutex::default() }
    }

    /// The transaction, if the store hands out one of this type.
    pub fn transaction<T: HandlerTransaction>(&mut self) -> Option<&mut T> {
        let transaction: &mut dyn Any = &mut *self.held.as_mut()?.transaction;
        transaction.downcast_mut()
    }

    /// The transaction, by a handler that cannot do without one of this type.
    ///
    /// # Errors
    ///
    /// When the store hands out none, or one of another type; the text says what to write.
    pub fn require<T: HandlerTransaction>(&mut self) -> Result<&mut T, Error> {
        let held = self.held.as_ref().map(|held| held.type_name);
        self.transaction().ok_or_else(|| {
            let missing = match held {
                None => without_transaction(),
                Some(held) => format!("the store of this subscriber hands out `{held}`"),
            };
            Error::failed(format!("a handler needs a `{}`", T::name()), missing)
        })
    }

    /// The categories that the context wrote messages to, each once: who calls handlers announces them
    /// when it has committed.
    pub fn wrote(&self) -> Vec<Category> {
        self.noted().clone()
    }

    fn note(&self, stream: &StreamName) {
        let mut noted = self.noted();
        if noted.iter().all(|category| category.as_str() != stream.category_str()) {
            noted.push(stream.category());
        }
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Category>> {
        self.wrote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mark of the transaction, if it has one: who calls handlers [runs](Inside::run) them by it.
    pub fn inside(&self) -> Option<Inside> {
        self.held.as_ref()?.transaction.inside()
    }

    /// Ends when the transaction, if there is one, [is lost](HandlerTransaction::lost).
    pub fn lost(&self) -> BoxFuture<'static, Error> {
        match &self.held {
            Some(held) => held.transaction.lost(),
            None => pending().boxed(),
        }
    }

    /// Commits the transaction, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`HandlerTransaction::commit`].
    pub async fn commit(self) -> Result<(), Error> {
        match self.held {
            Some(held) => held.transaction.commit().await,
            None => Ok(()),
        }
    }

    /// Rolls the transaction back, if there is one; when this is done, others can write.
    pub async fn rollback(self) {
        if let Some(held) = self.held {
            held.transaction.rollback().await;
        }
    }
}

fn without_transaction() -> String {
    "there is no transaction; say `.transactional()` on the subscriber, of a store that has them"
        .to_owned()
}

impl WriteStore for Context {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        if let Some(held) = &self.held {
            let writing = held.transaction.write(stream, messages, expected);
            return writing.inspect_ok(|_| self.note(stream)).boxed();
        }
        let doing = format!("writing to `{stream}` in the transaction of a handler");
        ready(Err(Error::failed(doing, without_transaction()))).boxed()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held.as_ref().map_or("empty", |held| held.type_name);
        write!(f, "Context({held})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Of<const KIND: u8>;

    impl<const KIND: u8> WriteStore for Of<KIND> {
        fn write<'a>(
            &'a self,
            _: &'a StreamName,
            _: &'a [NewMessage],
            _: ExpectedVersion,
        ) -> BoxFuture<'a, Result<Written, Error>> {
            ready(Err(Error::failed("writing", "it cannot"))).boxed()
        }
    }

    impl<const KIND: u8> HandlerTransaction for Of<KIND> {
        fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
            ready(Ok(())).boxed()
        }

        fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
            ready(()).boxed()
        }
    }

    #[test]
    fn a_handler_without_its_transaction_is_told_what_to_write() {
        let said = |mut context: Context| {
            context.require::<Of<1>>().map(drop).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(said(Context::with(Of::<1>)), Ok(()));
        let none = said(Context::empty()).unwrap_err();
        assert!(none.starts_with("a handler needs a `evenfold_core::store::"), "{none}");
        assert!(none.contains("::Of<1>`: ") && none.contains("say `.transactional()`"), "{none}");
        let other = said(Context::with(Of::<2>)).unwrap_err();
        assert!(other.contains("the store of this subscriber hands out `"), "{other}");
        assert!(other.ends_with("::Of<2>`"), "{other}");
    }
}
