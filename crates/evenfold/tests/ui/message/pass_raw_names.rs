use evenfold::prelude::*;

#[derive(Message)]
struct r#type {
    r#move: u64,
    r#async: String,
}

#[derive(Message)]
#[message(type = "Move")]
struct r#Move {}

fn main() {
    assert_eq!((r#type::TYPE, Move::TYPE), ("type", "Move"));
}
