use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    #[messages(category = "account")]
    Deposited(Deposited),
}

fn main() {}
