use evenfold::prelude::*;

struct Deposited {
    amount: u64,
}

fn name_of<M: Message>(_: &M) -> &'static str {
    M::TYPE
}

fn main() {
    name_of(&Deposited { amount: 5 });
}
