//! The state that messages come to, and what is proven with it.

use std::sync::Mutex;

use evenfold::prelude::*;
use evenfold_testkit::state_of;

use crate::story::{Account, AccountEvent, Deposited, Withdrawn};

#[test]
fn the_state_of_an_entity_is_what_its_messages_come_to() -> Result<(), Error> {
    let account: Account = state_of(
        "account-123",
        [AccountEvent::from(Deposited { amount: 7 }), Withdrawn { amount: 2 }.into()],
    )?;
    assert_eq!(account, Account { balance: 5 });

    let overdrawn = state_of::<Account>("account-123", [Withdrawn { amount: 1 }]).unwrap_err();
    assert_eq!(
        format!("{overdrawn:#}"),
        "reducing `Withdrawn` at position 0 of `account-123` (global position 1): \
         more than there is"
    );
    Ok(())
}

static READ: Mutex<u64> = Mutex::new(0);

#[derive(Default, Debug, PartialEq)]
struct Impure(u64);

#[reducer(AccountEvent, skip(Withdrawn))]
impl Impure {
    fn deposited(&mut self, event: &Deposited) {
        let mut read = READ.lock().unwrap();
        *read += event.amount;
        self.0 = *read;
    }
}

#[test]
fn a_reducer_that_reads_what_is_not_in_the_state_is_found_out() {
    let fault = state_of::<Impure>("account-123", [Deposited { amount: 5 }]).unwrap_err();
    assert_eq!(
        format!("{fault:#}"),
        "reducing `account-123` twice: the same messages in the same order make the same state, \
         but made first\nImpure(\n    5,\n)\nand then\nImpure(\n    10,\n)"
    );
}

/// Writes cents and reads whole amounts.
mod cents {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(amount: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(amount * 100)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(of: D) -> Result<u64, D::Error> {
        u64::deserialize(of)
    }
}

#[derive(Message)]
struct Charged {
    #[serde(with = "cents")]
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum Charges {
    Charged(Charged),
}

#[derive(Default, Debug, PartialEq)]
struct Bill(u64);

#[reducer(Charges)]
impl Bill {
    fn charged(&mut self, event: &Charged) {
        self.0 += event.amount;
    }
}

#[test]
fn a_message_that_is_read_otherwise_than_it_was_written_is_found_out() {
    let fault = state_of::<Bill>("account-123", [Charged { amount: 5 }]).unwrap_err();
    assert_eq!(
        format!("{fault:#}"),
        "reading back `Charged` at position 0 of `account-123` (global position 1): \
         it was `{\"amount\":500}` and is `{\"amount\":50000}`"
    );
}
