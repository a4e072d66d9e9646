use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited, u64),
}

fn main() {}
