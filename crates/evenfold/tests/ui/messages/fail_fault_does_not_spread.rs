use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "bank-account")]
enum AccountEvent {
    Deposited(Deposited),
}

struct Account(u64);

#[reducer(AccountEvent)]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.0 += event.amount;
    }
}

struct Clerk;

#[handler(AccountEvent)]
impl Clerk {
    async fn deposited(&self, _: Received<Deposited>) {}
}

fn main() {}
