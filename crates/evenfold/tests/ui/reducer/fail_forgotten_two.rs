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

#[derive(Message)]
struct Opened;

#[derive(Messages)]
#[messages(category = "account")]
enum More {
    Deposited(Deposited),
    Closed(Closed),
    Opened(Opened),
}

#[reducer(More)]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

fn main() {}
