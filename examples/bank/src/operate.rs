//! What its operators do with the bank: list what is parked, have it handled again, serve.
//!
//! Owns the subscribers and their options. What they handle is in `teller.rs`.

use std::io::Write;

use evenfold::error::BoxError;
use evenfold::prelude::*;
use evenfold::{ErrorPolicy, GlobalPosition, Host, Parking, Store, Subscriber};

use crate::args::Args;
use crate::messages::{AccountCommand, AccountEvent};
use crate::teller::{Courier, Teller};

/// In how many parts the work can be shared, whoever serves.
const BUCKETS: u16 = 8;

/// Who handles the commands, and who carries transfers. What fails is parked: its account waits, the
/// others go on.
///
/// Who works alone and who shares keep progress apart, so where the other begins is said: at the start.
/// What was handled before has its effects, and following it again changes nothing.
pub(crate) fn subscribers(store: &Store, args: &Args) -> [Subscriber; 2] {
    let teller = store.subscriber("teller", Teller(store.entities()));
    let courier = store.subscriber("courier", Courier(store.entities()));
    let teller = if args.strict { teller.strict() } else { teller };
    [teller, courier]
        .map(|subscriber| subscriber.errors(ErrorPolicy::park()).start_at(GlobalPosition::START))
}

/// Handles commands until a signal. Several banks on one store share the accounts among them.
pub(crate) async fn serve(store: &Store, args: &Args) -> Result<(), BoxError> {
    let shared = subscribers(store, args).map(|it| it.leased(BUCKETS).lease_term(args.lease));
    shared.into_iter().fold(Host::new(), Host::subscriber).run().await?.into_result()?;
    Ok(())
}

fn parkings(store: &Store) -> Result<[Parking; 2], Error> {
    Ok([
        store.parking("teller", AccountCommand::category())?,
        store.parking("courier", AccountEvent::category())?,
    ])
}

/// How many messages are parked.
pub(crate) async fn count_parked(store: &Store) -> Result<usize, Error> {
    let mut count = 0;
    for parking in parkings(store)? {
        count += parking.list().await?.len();
    }
    Ok(count)
}

/// Lists what is parked and why.
pub(crate) async fn list_parked(store: &Store) -> Result<(), BoxError> {
    let mut out = std::io::stdout();
    for parking in parkings(store)? {
        for parked in parking.list().await? {
            let message = parked.message;
            let reason = message.reason.unwrap_or_else(|| "it waits behind the one before".into());
            let (kind, position) = (message.message_type, message.position);
            writeln!(out, "{kind} at position {position} of {}: {reason}", parked.stream)?;
        }
    }
    Ok(())
}

/// Asks that all that is parked be handled again, by the next run or by the banks that serve.
pub(crate) async fn ask_for_replay(store: &Store) -> Result<(), BoxError> {
    let mut asked = 0;
    for parking in parkings(store)? {
        asked += parking.replay_all().await?;
    }
    writeln!(std::io::stdout(), "{asked} to be handled again, and what waits behind")?;
    Ok(())
}
