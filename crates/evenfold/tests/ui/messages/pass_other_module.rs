mod messages {
    pub(crate) mod events {
        #[derive(evenfold::Message)]
        pub(crate) struct Deposited {
            amount: u64,
        }

        #[derive(evenfold::Message)]
        pub(super) struct Closed;
    }

    #[derive(evenfold::Messages)]
    #[messages(category = "account")]
    pub(super) enum AccountEvent {
        Deposited(events::Deposited),
        Closed(events::Closed),
    }
}

fn main() {
    fn is_set<S: evenfold::Messages>() {}
    is_set::<messages::AccountEvent>();
}
