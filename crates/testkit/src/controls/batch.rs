//! Batches: of any length, of mixed types, and those that no store may write.
//!
//! The ids count on from the number of the first message.

use evenfold_core::Error;
use evenfold_core::message::NewMessage;

use super::message::{awkward_data, closed, deposited, raw, withdrawn};

/// Deposits, so many, under ids that count on from `first`.
///
/// # Errors
///
/// None; the type has them.
pub fn deposits(first: u32, count: u32) -> Result<Vec<NewMessage>, Error> {
    (first..first + count).map(deposited).collect()
}

/// A deposit, a withdrawal and a closing: three types in one batch.
///
/// # Errors
///
/// None; the type has them.
pub fn mixed(first: u32) -> Result<Vec<NewMessage>, Error> {
    Ok(vec![deposited(first)?, withdrawn(first + 1)?, closed(first + 2)?])
}

/// A message for each awkward data there is.
///
/// # Errors
///
/// None; the type has them.
pub fn awkward(first: u32) -> Result<Vec<NewMessage>, Error> {
    (first..).zip(awkward_data()).map(|(number, (_, json))| raw(number, "Awkward", json)).collect()
}

/// Three messages, the first and the last of one id: invalid.
///
/// # Errors
///
/// None; the type has them.
pub fn with_an_id_twice(first: u32) -> Result<Vec<NewMessage>, Error> {
    Ok(vec![deposited(first)?, deposited(first + 1)?, deposited(first)?])
}
