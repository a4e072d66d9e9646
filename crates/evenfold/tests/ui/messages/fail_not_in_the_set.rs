use evenfold::message::Includes;
use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Message)]
struct Closed;

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
}

fn one_of<S: Includes<M>, M>(message: M) -> S {
    message.into()
}

fn main() {
    one_of::<AccountEvent, Closed>(Closed);
}
