use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

enum AccountEvent {
    Deposited(Deposited),
}

fn category_of<S: Messages>() -> &'static str {
    S::CATEGORY
}

fn main() {
    category_of::<AccountEvent>();
}
