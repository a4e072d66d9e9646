//! What is asked of an account, and what happens to it: a table, one message a line.

use evenfold::prelude::*;

#[derive(Message)] pub(crate) struct Open { pub(crate) owner: String }
#[derive(Message)] pub(crate) struct Deposit { pub(crate) amount: u64 }
#[derive(Message)] pub(crate) struct Withdraw { pub(crate) amount: u64 }
#[derive(Message)] pub(crate) struct Transfer { pub(crate) to: String, pub(crate) amount: u64 }
#[derive(Message)] pub(crate) struct Close;

#[derive(Messages)] #[messages(category = "account:command")]
pub(crate) enum AccountCommand {
    Open(Open), Deposit(Deposit), Withdraw(Withdraw), Transfer(Transfer), Close(Close),
}

#[derive(Message)] pub(crate) struct Opened { pub(crate) owner: String }
#[derive(Message)] pub(crate) struct Deposited { pub(crate) amount: u64 }
#[derive(Message)] pub(crate) struct Withdrawn { pub(crate) amount: u64 }
#[derive(Message)] pub(crate) struct Closed;
/// The money has left this account and is on its way to another.
#[derive(Message)] pub(crate) struct TransferSent { pub(crate) to: String, pub(crate) amount: u64 }
#[derive(Message)] pub(crate) struct TransferReceived { pub(crate) from: String, pub(crate) amount: u64 }
/// This account did not take the money, so it goes back.
#[derive(Message)] pub(crate) struct TransferDeclined { pub(crate) from: String, pub(crate) amount: u64, pub(crate) reason: String }
#[derive(Message)] pub(crate) struct TransferReturned { pub(crate) amount: u64 }
/// A command was refused; nothing changed.
#[derive(Message)] pub(crate) struct Refused { pub(crate) command: String, pub(crate) reason: String }

#[derive(Messages)] #[messages(category = "account")]
pub(crate) enum AccountEvent {
    Opened(Opened), Deposited(Deposited), Withdrawn(Withdrawn), Closed(Closed),
    TransferSent(TransferSent), TransferReceived(TransferReceived),
    TransferDeclined(TransferDeclined), TransferReturned(TransferReturned),
    Refused(Refused),
}
