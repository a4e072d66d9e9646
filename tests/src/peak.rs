//! How much memory a projection takes at its peak, for a program whose allocator is [`PeakAlloc`].
//!
//! Memory that SQLite itself takes is not counted: it is a fixed cache of pages.

use evenfold::prelude::*;
use evenfold::projector::Projector;
use evenfold::{ExpectedVersion, Store};
use peak_alloc::PeakAlloc;

use crate::{Account, Deposited, Outcome};

/// Makes a stream of so many messages, a thousand at a time.
///
/// # Errors
///
/// Those of the store.
pub async fn fill(store: &Store, stream: &StreamName, messages: u64) -> Outcome {
    let mut written = 0;
    while written < messages {
        let batch = (messages - written).min(1000);
        let events = (0..batch).map(|_| Deposited::of(1));
        store.write_all(stream.clone(), events).expecting(ExpectedVersion::Any).await?;
        written += batch;
    }
    Ok(())
}

/// Projects a stream and tells how many bytes were in use at the peak, beyond those before it.
///
/// # Errors
///
/// Those of the store; or the stream has not this many messages.
pub async fn projecting(store: &Store, stream: &StreamName, messages: u64) -> Outcome<usize> {
    let projector = Projector::<Account>::of_reducer();
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let projection = projector.run_on_stream(store.messages(), stream).await?;
    let peak = PeakAlloc.peak_usage() - before;
    if projection.state.events != messages {
        return Err(format!("{} of {messages} messages", projection.state.events).into());
    }
    Ok(peak)
}
