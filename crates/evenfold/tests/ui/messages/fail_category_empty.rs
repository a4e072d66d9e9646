use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "")]
enum AccountEvent {
    Deposited(Deposited),
}

fn main() {}
