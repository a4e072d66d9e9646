//! Writes that are held back until the test lets them go.
//!
//! Owns the gate between a write and the test. Where a write meets it is in `mod.rs`.

use evenfold_core::{Category, StreamName};
use futures::channel::oneshot::{Receiver, Sender, channel};

use super::Recording;

/// A write that is held back before it reaches the store.
#[derive(Debug)]
#[must_use = "a write whose gate is dropped goes on"]
pub struct HeldWrite {
    reached: Receiver<()>,
    _gate: Sender<()>,
}

impl HeldWrite {
    /// Waits until the write was asked for.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.ok();
    }

    /// Lets the write go on to the store.
    pub fn let_go(self) {}
}

/// The other side of it.
#[derive(Debug)]
pub(super) struct Gate {
    category: Category,
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
    pub fn hold_next(&self, category: &Category) -> HeldWrite {
        let ((told, reached), (gate, open)) = (channel(), channel());
        self.shared().gates.push(Gate { category: category.clone(), reached: told, open });
        HeldWrite { reached, _gate: gate }
    }

    /// Waits as long as a write to this stream is held.
    pub(super) async fn wait_at_gate(&self, stream: &StreamName) {
        let gate = {
            let gates = &mut self.shared().gates;
            let is_of = |gate: &Gate| gate.category.as_str() == stream.category_str();
            gates.iter().position(is_of).map(|at| gates.remove(at))
        };
        if let Some(gate) = gate {
            gate.reached.send(()).ok();
            // It is open once the other end is dropped.
            gate.open.await.ok();
        }
    }
}
