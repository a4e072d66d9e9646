use evenfold::prelude::*;

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {}

fn main() {}
