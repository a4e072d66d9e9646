//! Names of ours and of the standard library that the user gave to something else.

use ::evenfold::prelude::{Message, Messages, reducer};

mod core {}
mod evenfold {}
mod std {}

#[derive(Message)]
struct Result;

#[derive(Message)]
struct Recorded;

#[derive(Messages)]
#[messages(category = "account")]
enum Reducer {
    Result(Result),
    Recorded(Recorded),
}

struct Reduce;

#[reducer(Reducer)]
impl Reduce {
    fn reduce_message(&mut self, message: &Result) {
        let _: &Result = message;
    }

    fn reduce(&mut self, r#move: &Recorded, _: &::evenfold::message::Recorded) {
        let _: &Recorded = r#move;
    }
}

fn main() {}
