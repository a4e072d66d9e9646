use evenfold::prelude::*;

#[derive(Message)]
#[message(type = 5, alias = "", verbatim)]
#[serde(untagged, rename_all = "camelCase")]
struct Deposited(u64);

fn main() {}
