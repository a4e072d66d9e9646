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

struct Teller {
    balance: std::cell::Cell<u64>,
}

#[handler(AccountEvent, skip(Closed))]
impl Teller {
    async fn deposited(&self, message: Received<Deposited>) {
        self.balance.set(message.amount);
    }
}

fn main() {}
