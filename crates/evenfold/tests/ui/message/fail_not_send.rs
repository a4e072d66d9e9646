use std::rc::Rc;

use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    #[serde(skip)]
    amount: Rc<u64>,
}

fn main() {}
