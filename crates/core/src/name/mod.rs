//! The names of the log: category, entity id, stream name.
//!
//! Owns the grammar `category[:type[+type…]][-id[+id…]]` of Message DB and the one place where a
//! name is checked. A name is parsed once, at the edge; whoever holds one of these types may trust
//! it. What a refused name says is in [`crate::error::Invalid`].

mod category;
mod entity_id;
mod stream_name;

pub use category::Category;
pub use entity_id::EntityId;
pub use stream_name::StreamName;

use crate::error::Invalid;

/// Postgres text cannot hold a NUL, so no store may: a name must mean the same everywhere.
pub(crate) fn refuse_nul(what: &'static str, text: &str) -> Result<(), Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new(what, text.escape_debug(), "a name cannot hold a NUL character"));
    }
    Ok(())
}
