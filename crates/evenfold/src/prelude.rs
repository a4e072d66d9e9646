//! What a file that declares messages, state and handlers needs.
pub use evenfold_core::error::{Error, HandlerError, Rejection, reject};
pub use evenfold_core::handler::{Context, Received};
pub use evenfold_core::message::{Message, Messages, Recorded};
pub use evenfold_core::snapshot::{Shape, Snapshot};
pub use evenfold_core::{Category, EntityId, StreamName};

pub use crate::macros::{Message, Messages, Shape, Snapshot, handler, reducer};
