use evenfold::prelude::*;

#[derive(Message)]
struct Deposited(u64, Vec<String>);

fn main() {}
