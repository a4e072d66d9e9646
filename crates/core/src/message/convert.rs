//! Foreign messages into our own, before they are read.

use std::fmt;
use std::sync::Arc;

use super::Recorded;
use crate::error::{Error, HandlerError};

type Convert = Arc<dyn Fn(&Recorded) -> Result<Option<Recorded>, HandlerError> + Send + Sync>;

/// Ways to read foreign messages, asked in the order they were added until one answers.
///
/// Law: a message stays the one it is. Of what a converter makes, the type, the data and the
/// metadata are taken; the id and the place are those of the message that was recorded.
#[derive(Clone, Default)]
pub struct Converters(Vec<Convert>);

impl Converters {
    /// Adds one behind the others.
    pub fn push<F>(&mut self, convert: F)
    where
        F: Fn(&Recorded) -> Result<Option<Recorded>, HandlerError> + Send + Sync + 'static,
    {
        self.0.push(Arc::new(convert));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the first converter that answers makes of a message; none when none does.
    ///
    /// # Errors
    ///
    /// When a converter fails; the error names message and place.
    pub fn convert(&self, recorded: &Recorded) -> Result<Option<Recorded>, Error> {
        for convert in &self.0 {
            let made = convert(recorded).map_err(|fault| {
                Error::failed(format!("converting {}", recorded.place()), fault.into_inner())
            })?;
            if let Some(Recorded { message_type, data_json, metadata_json, .. }) = made {
                let own = recorded.clone();
                return Ok(Some(Recorded { message_type, data_json, metadata_json, ..own }));
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Converters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Converters({})", self.0.len())
    }
}
