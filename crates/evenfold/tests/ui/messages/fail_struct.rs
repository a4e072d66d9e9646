use evenfold::prelude::*;

#[derive(Messages)]
#[messages(category = "account")]
struct AccountEvent {
    deposited: u64,
}

fn main() {}
