use evenfold::prelude::*;

#[derive(Message)]
#[message(typ = "Deposited")]
struct Deposited {
    amount: u64,
}

#[derive(Messages)]
#[messages(category = "account")]
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

fn main() {}
