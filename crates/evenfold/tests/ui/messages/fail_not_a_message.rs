use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

struct Closed;

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
    Closed(Closed),
}

fn main() {}
