//! Names of streams: the plain one, and those that a backend might take for another.
//!
//! A name is any text, so quotes, wildcards of SQL and letters that differ in case alone are names.

use evenfold_core::error::Invalid;
use evenfold_core::{Category, StreamName};

/// The category `account`.
///
/// # Errors
///
/// None; the type has them.
pub fn category() -> Result<Category, Invalid> {
    Category::new("account")
}

/// The stream of an account, as in `account-123`.
///
/// # Errors
///
/// When the id is not one.
pub fn account(id: impl std::fmt::Display) -> Result<StreamName, Invalid> {
    StreamName::new(format!("account-{id}"))
}

/// The stream `account`, named by its category alone.
///
/// # Errors
///
/// None; the type has them.
pub fn category_alone() -> Result<StreamName, Invalid> {
    StreamName::new("account")
}

/// Streams with an id, each of which is another stream, however alike they look.
///
/// # Errors
///
/// None; the type has them.
pub fn awkward() -> Result<Vec<StreamName>, Invalid> {
    let long = format!("account-{}", "long".repeat(100));
    AWKWARD.iter().copied().chain([long.as_str()]).map(StreamName::new).collect()
}

const AWKWARD: [&str; 30] = [
    "account-1",
    "account-12",
    "account-1+2",
    "account-1+2+3",
    "account-1-2",
    "account--1",
    "account-+1",
    "account-1+",
    "account-a11e9022-e741-4450-bf9c-c4cc5ddb6ea3",
    "account:command-1",
    "account:command+position-1",
    "account:position-1",
    "accountX-1",
    "accoun-1",
    "Account-1",
    "ACCOUNT-1",
    "account_-1",
    "account%-1",
    "accoun_-1",
    "account*-[1]",
    "account-with space",
    "account- 1",
    "o'brien-\"1\"; --",
    "konto-ü",
    "konto-u\u{308}",
    "счёт-👩‍👩‍👧‍👦",
    "account/1\\2-3",
    "1-1",
    "account-$1?:a@b",
    "account-line\nbreak",
];
