use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent<T> {
    Deposited(Deposited),
    Other(T),
}

fn main() {}
