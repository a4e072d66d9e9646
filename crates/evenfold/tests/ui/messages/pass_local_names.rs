//! Names of ours and of the standard library that the user gave to something else.

use ::evenfold::prelude::{Message, Messages};

mod core {}
mod evenfold {}
mod std {}

#[derive(Message)]
struct Result;

#[derive(Message)]
struct Self_;

#[derive(Message)]
struct Names;

#[derive(Message)]
struct Uuid;

#[derive(Messages)]
#[messages(category = "account")]
enum Option {
    None(Names),
    Some(Result),
    Ok(Self_),
    NAMES(Uuid),
    r#Move(Noted<Names>),
}

#[derive(Message)]
struct Noted<T> {
    #[serde(skip)]
    text: ::std::marker::PhantomData<T>,
}

fn main() {}
