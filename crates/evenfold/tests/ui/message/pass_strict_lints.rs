//! A crate that asks much of its code.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    single_use_lifetimes,
    trivial_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_code,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    elided_lifetimes_in_paths,
    let_underscore_drop
)]

use evenfold::prelude::*;

/// Money came in.
#[derive(Message, Debug)]
#[message(alias = "PaidIn")]
pub struct Deposited {
    amount: u64,
    #[serde(default)]
    note: Option<String>,
}

/// The account is no more.
#[derive(Message, Debug)]
pub struct Closed;

/// A note.
#[derive(Message, Debug)]
pub struct Noted<T> {
    /// What it says.
    pub text: T,
}

/// What happens to an account.
#[derive(Messages, Debug)]
#[messages(category = "account")]
pub enum AccountEvent {
    /// Money came in.
    Deposited(Deposited),
    /// The account is no more.
    Closed(Closed),
    /// A note.
    Noted(Noted<String>),
}

/// An account.
#[derive(Debug, Default)]
pub struct Account {
    balance: u64,
}

#[reducer(AccountEvent, skip(Noted<String>))]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }

    fn closed(&mut self, _: &Closed, recorded: &Recorded) -> Result<(), HandlerError> {
        self.balance = recorded.message_type.parse()?;
        Ok(())
    }
}

/// Who handles it.
#[derive(Debug)]
pub struct Teller<T>(T);

#[handler(AccountEvent, skip(Noted<String>))]
impl<T: std::fmt::Debug> Teller<T> {
    async fn deposited(&self, message: Received<Deposited>) {
        let text = format!("{:?} {:?}", self.0, message.note);
        drop(text);
    }

    async fn closed(&self, _: Received<Closed>, _: &mut Context) -> Result<(), Rejection> {
        reject("not now")
    }
}

fn main() {}
