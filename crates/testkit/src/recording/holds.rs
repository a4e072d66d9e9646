//! Calls that are held back until the test lets them go.
//!
//! Owns the gate between a call and the test. Where a write meets it is in `mod.rs`, where a read does
//! in `reads.rs`.

use evenfold_core::{Category, StreamName};
use futures::channel::oneshot::{Receiver, Sender, channel};

use super::Recording;

/// A write or a read that is held back before it reaches the store.
#[derive(Debug)]
#[must_use = "a call whose gate is dropped goes on"]
pub struct Held {
    reached: Receiver<()>,
    _gate: Sender<()>,
}

impl Held {
    /// Waits until it was asked for.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.ok();
    }

    /// Lets it go on to the store.
    pub fn let_go(self) {}
}

/// The other side of it.
#[derive(Debug)]
pub(super) struct Gate {
    /// The category of the write; a read is held whatever it reads.
    category: Option<Category>,
    reached: Sender<()>,
    open: Receiver<()>,
}

impl Recording {
    /// Holds the next write to a category until it is let go; other writes go on meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use evenfold_core::store::{ReadStore, WriteStore};
    /// use evenfold_core::{Error, ExpectedVersion, Position};
    /// use evenfold_testkit::{Recording, controls};
    /// use futures::join;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let recording = Recording::default();
    /// let account = controls::stream::account(123)?;
    /// let mut held = recording.hold_next(&account.category());
    /// let message = [controls::message::deposited(5)?];
    /// let write = recording.write(&account, &message, ExpectedVersion::Any);
    /// let look = async {
    ///     held.reached().await;
    ///     assert_eq!(recording.stream_version(&account).await?, None);
    ///     held.let_go();
    ///     Ok::<_, Error>(())
    /// };
    /// let (written, looked) = join!(write, look);
    /// looked?;
    /// assert_eq!(written?.last(), Position::START);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold_next(&self, category: &Category) -> Held {
        let (gate, held) = Gate::new(Some(category.clone()));
        self.shared().gates.push(gate);
        held
    }

    /// Holds the next read until it is let go, whatever it reads; those after it go on meanwhile.
    pub fn hold_next_read(&self) -> Held {
        let (gate, held) = Gate::new(None);
        self.shared().read_gates.push_back(gate);
        held
    }

    /// Waits as long as a write to this stream is held.
    pub(super) async fn wait_at_gate(&self, stream: &StreamName) {
        let gate = {
            let gates = &mut self.shared().gates;
            let is_of = |gate: &Gate| {
                gate.category.as_ref().is_some_and(|it| it.as_str() == stream.category_str())
            };
            gates.iter().position(is_of).map(|at| gates.remove(at))
        };
        if let Some(gate) = gate {
            gate.wait().await;
        }
    }
}

impl Gate {
    fn new(category: Option<Category>) -> (Self, Held) {
        let ((told, reached), (gate, open)) = (channel(), channel());
        (Self { category, reached: told, open }, Held { reached, _gate: gate })
    }

    pub(super) async fn wait(self) {
        self.reached.send(()).ok();
        // It is open once the other end is dropped.
        self.open.await.ok();
    }
}
