//! Names of ours and of the standard library that the user gave to something else.

use ::evenfold::prelude::{Message, Messages, Received, handler};

mod core {}
mod evenfold {}
mod std {}

#[derive(Message)]
struct Result;

#[derive(Message)]
struct Context;

#[derive(Messages)]
#[messages(category = "account")]
enum Handler {
    Result(Result),
    Context(Context),
}

struct Send;

#[handler(Handler)]
impl Send {
    async fn handle_message(&self, message: Received<Result>) {
        let _: Result = message.into_message();
    }

    async fn handle(&self, r#move: Received<Context>, _: &mut ::evenfold::handler::Context) {
        let _: Context = r#move.into_message();
    }
}

fn main() {}
