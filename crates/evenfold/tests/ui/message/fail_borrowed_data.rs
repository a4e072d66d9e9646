use evenfold::prelude::*;

#[derive(Message)]
struct Noted<'a> {
    text: &'a str,
}

fn main() {}
