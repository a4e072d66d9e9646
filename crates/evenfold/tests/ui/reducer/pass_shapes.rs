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

struct Overdrawn;

impl From<Overdrawn> for Box<dyn std::error::Error + Send + Sync> {
    fn from(_: Overdrawn) -> Self {
        "overdrawn".into()
    }
}

struct Account<T: Default> {
    balance: T,
}

#[reducer(AccountEvent)]
/// How an account comes about.
impl<T> Account<T>
where
    T: Default + From<u64> + Send + 'static,
{
    #[inline]
    pub fn deposited<'a>(&'a mut self, event: &'a Deposited) {
        self.balance = event.amount.into();
    }

    #[cfg(all())]
    fn withdrawn(&mut self, event: &Withdrawn, _: &Recorded) -> Result<(), Overdrawn> {
        self.balance = event.amount.checked_sub(1).ok_or(Overdrawn)?.into();
        Ok(())
    }

    #[cfg(any())]
    fn not_there(&mut self, _: &Nowhere) {}

    #[cfg(any())]
    fn closed_elsewhere(&mut self, _: &crate::Closed) {}

    #[cfg(not(any()))]
    fn closed(&mut self, _: &crate::Closed) {
        *self = Self { balance: T::default() };
    }
}

struct Nothing;

#[reducer(AccountEvent, skip(Deposited), skip(Withdrawn, Closed))]
impl Nothing {}

fn main() {}
