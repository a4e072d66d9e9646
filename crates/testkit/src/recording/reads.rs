//! What is read of the store in a recording: counted, held back, failed.
//!
//! Reads are not remembered: what was read, the reader tells.

use evenfold_core::Error;
use evenfold_core::store::HeldUp;
use futures::future::BoxFuture;

use super::{PoisonError, Recording};
use crate::transaction::take_one;

impl Recording {
    /// Answers the next `times` reads that the store did not answer: of a stream, a category or
    /// several, a last message, a version, a head, a listing, a backlog, a progress.
    pub fn fail_reads(&self, times: u32) {
        self.fail_reads_after(0, times);
    }

    /// The same after so many `reads` that are answered, so that a test can be at each of the places
    /// where a read may fail.
    pub fn fail_reads_after(&self, reads: u32, times: u32) {
        let mut shared = self.shared();
        (shared.passing_reads, shared.failing_reads) = (reads, times);
    }

    /// Answers every read of several categories that this writer holds it up, as if its transaction
    /// were open, until nobody is said to.
    pub fn hold_up(&self, by: Option<HeldUp>) {
        self.shared().held_up = by;
    }

    /// Refuses every write from now on, and says so before it is asked for one, as a store that was
    /// opened to read alone.
    pub fn only_read(&self) {
        self.shared().only_reads = true;
    }

    /// How many reads there were, those that failed or were given up too.
    pub fn reads(&self) -> u64 {
        self.shared().reads
    }

    pub(super) fn read<'a, T>(
        &self,
        read: BoxFuture<'a, Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<'a, T> {
        let recording = self.shared.clone();
        async move {
            let (fails, gate) = {
                let mut shared = recording.lock().unwrap_or_else(PoisonError::into_inner);
                shared.reads += 1;
                let passes = take_one(&mut shared.passing_reads);
                let fails = !passes && take_one(&mut shared.failing_reads);
                (fails, shared.read_gates.pop_front())
            };
            if let Some(gate) = gate {
                gate.wait().await;
            }
            if fails {
                return Err(Error::unavailable("reading", "the test said so"));
            }
            read.await
        }
    }
}
