use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages("account")]
enum AccountEvent {
    Deposited(Deposited),
}

fn main() {}
