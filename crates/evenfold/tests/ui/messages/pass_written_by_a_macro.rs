use evenfold::prelude::*;

mod events {
    use evenfold::prelude::*;

    #[derive(Message)]
    pub struct Deposited {
        amount: u64,
    }
}

macro_rules! set {
    ($name:ident, $category:literal, $($variant:ident: $message:ty),*) => {
        #[derive(Messages)]
        #[messages(category = $category)]
        enum $name {
            PaidIn($crate::events::Deposited),
            $($variant($message)),*
        }

        struct State;

        #[reducer($name)]
        impl State {
            fn paid_in(&mut self, _: &$crate::events::Deposited) {}
            $(fn other(&mut self, _: &$message) {})*
        }

        struct Clerk;

        #[handler($name)]
        impl Clerk {
            async fn paid_in(&self, _: Received<$crate::events::Deposited>) {}
            $(async fn other(&self, _: Received<$message>) {})*
        }
    };
}

#[derive(Message)]
struct Closed;

set!(AccountEvent, "account", Closed: Closed);

fn main() {}
