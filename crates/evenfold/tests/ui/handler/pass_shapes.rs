use evenfold::handler::Received as In;
use evenfold::prelude::*;

#[derive(Message)]
struct Deposited {
    amount: u64,
}

#[derive(Message)]
struct Withdrawn {
    amount: u64,
}

#[derive(Message)]
struct Closed;

#[derive(Messages)]
#[messages(category = "account")]
enum AccountEvent {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
    Closed(Closed),
}

struct Teller<T> {
    ledger: T,
}

/// It asks for nothing but what it uses; that it is shared is asked where it runs.
#[handler(AccountEvent, name = "teller")]
impl<T: AsRef<str>> Teller<T> {
    pub async fn deposited(&self, message: Received<Deposited>) -> Result<usize, String> {
        std::future::ready(()).await;
        self.ledger.as_ref().len().checked_sub(message.amount as usize).ok_or("few".to_owned())
    }

    #[cfg(all())]
    async fn withdrawn<'a>(&'a self, message: Received<Withdrawn>, _: &'a mut Context) {
        assert!(message.into_message().amount > 0);
    }

    #[cfg(any())]
    async fn not_there(&self, _: Received<Nowhere>) {}

    async fn closed(
        &self,
        _: evenfold::handler::Received<Closed>,
        context: &mut Context,
    ) -> Result<(), HandlerError> {
        std::future::ready(context).await;
        Ok(())
    }
}

struct Nothing;

#[handler(AccountEvent, skip(Deposited, Withdrawn, Closed))]
impl Nothing {}

fn is_handler<H: evenfold::handler::Handler>() -> &'static str {
    H::NAME
}

fn main() {
    let _: Option<In<Closed>> = None;
    assert_eq!((is_handler::<Teller<String>>(), is_handler::<Nothing>()), ("teller", "Nothing"));
}
