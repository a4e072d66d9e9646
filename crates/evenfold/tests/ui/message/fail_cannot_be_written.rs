use evenfold::message::Encode;

struct Deposited {
    amount: u64,
}

fn write(_: &impl Encode) {}

fn main() {
    write(&Deposited { amount: 5 });
}
