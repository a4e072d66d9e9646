//! Names of ours and of the standard library that the user gave to something else.

use ::evenfold::prelude::Message;

mod core {}
mod evenfold {}
mod serde {}
mod std {}

#[derive(Message)]
struct Result {
    text: ::std::string::String,
}

#[derive(Message)]
struct Option<Ok> {
    some: Ok,
}

#[derive(Message)]
struct String;

#[derive(Message)]
struct Vec {
    serializer: u64,
    deserializer: u64,
    data: u64,
}

#[derive(Message)]
struct S<D> {
    __self: D,
}

fn main() {}
