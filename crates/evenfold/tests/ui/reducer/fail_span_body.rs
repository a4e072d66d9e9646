use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Message)]
struct Closed;

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
    Closed(Closed),
}

struct Account {
    balance: u64,
}

#[reducer(AccountEvent, skip(Closed))]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amuont;
    }
}

fn main() {}
