//! What the macros write out, run: the set, the reducers, the handlers. The wire form has a file of
//! its own.
//!
//! Owns behaviour alone. What they refuse, and how it is told, is in `ui.rs`.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod raw;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use evenfold::handler::Handler as _;
use evenfold::message::{Encode, Includes};
use evenfold::prelude::*;
use evenfold::reducer::{Reducer as _, reduce_recorded};
use raw::recorded;
use uuid::Uuid;

mod account {
    //! The messages that the tests below share.

    use super::*;

    #[derive(Message, Clone, Debug, PartialEq)]
    #[message(alias = "PaidIn")]
    pub(crate) struct Deposited {
        pub(crate) amount: u64,
    }

    #[derive(Message, Clone, Debug, PartialEq)]
    pub(crate) struct Withdrawn {
        pub(crate) amount: u64,
    }

    #[derive(Message, Clone, Debug, PartialEq)]
    pub(crate) struct Closed;

    #[derive(Messages, Clone, Debug, PartialEq)]
    #[messages(category = "account")]
    pub(crate) enum AccountEvent {
        Deposited(Deposited),
        Withdrawn(Withdrawn),
        r#Move(Closed),
    }
}

use account::{AccountEvent, Closed, Deposited, Withdrawn};

mod set {
    use super::*;

    #[test]
    fn a_set_knows_its_category_and_all_its_names() {
        assert_eq!(AccountEvent::CATEGORY, "account");
        assert_eq!(AccountEvent::TYPES, ["Deposited", "PaidIn", "Withdrawn", "Closed"]);
    }

    #[test]
    fn a_message_is_read_by_its_type_or_an_alias() {
        for name in ["Deposited", "PaidIn"] {
            let read = AccountEvent::decode(&recorded(name, r#"{"amount":5}"#)).unwrap();
            assert_eq!(read, Some(AccountEvent::Deposited(Deposited { amount: 5 })));
        }
    }

    #[test]
    fn a_type_outside_the_set_is_none_and_data_that_does_not_read_is_an_error() {
        assert_eq!(AccountEvent::decode(&recorded("Opened", "{")).unwrap(), None);
        let fault = AccountEvent::decode(&recorded("Withdrawn", r#"{"amount":-1}"#)).unwrap_err();
        assert!(fault.to_string().contains("amount"), "{fault}");
    }

    #[test]
    fn a_message_of_the_set_becomes_one_and_is_written_as_itself() {
        fn one_of<S: Includes<M>, M>(message: M) -> S {
            message.into()
        }
        let event: AccountEvent = one_of(Withdrawn { amount: 5 });
        let written = event.encode(Uuid::nil()).unwrap();
        assert_eq!((written.message_type(), written.data()), ("Withdrawn", r#"{"amount":5}"#));
        assert_eq!(written, Withdrawn { amount: 5 }.encode(Uuid::nil()).unwrap());
    }
}

mod reducers {
    use super::*;

    #[derive(Default, Debug, PartialEq)]
    struct Account {
        balance: u64,
        seen: Vec<String>,
    }

    #[reducer(AccountEvent, skip(Closed))]
    impl Account {
        fn deposited(&mut self, event: &Deposited) {
            self.balance += event.amount;
        }

        fn withdrawn(&mut self, event: &Withdrawn, recorded: &Recorded) -> Result<(), String> {
            self.seen.push(recorded.message_type.to_string());
            let left = self.balance.checked_sub(event.amount);
            self.balance = left.ok_or_else(|| "overdrawn".to_owned())?;
            Ok(())
        }
    }

    #[test]
    fn each_message_goes_into_its_reducer() {
        let mut account = Account::default();
        for (name, data) in
            [("Deposited", r#"{"amount":5}"#), ("Withdrawn", r#"{"amount":2}"#), ("Closed", "{}")]
        {
            assert!(reduce_recorded(&mut account, &recorded(name, data)).unwrap());
        }
        assert_eq!(account, Account { balance: 3, seen: vec!["Withdrawn".to_owned()] });
        assert!(!reduce_recorded(&mut account, &recorded("Opened", "{}")).unwrap());
    }

    #[test]
    fn what_a_reducer_fails_with_comes_out() {
        let event = AccountEvent::from(Withdrawn { amount: 1 });
        let fault = Account::default().reduce(&event, &recorded("Withdrawn", "{}")).unwrap_err();
        assert_eq!(fault.to_string(), "overdrawn");
    }

    #[derive(Default)]
    struct Counter<T> {
        counts: Vec<T>,
    }

    #[reducer(AccountEvent, skip(Withdrawn, Closed))]
    impl<T> Counter<T>
    where
        T: From<u64> + Send + 'static,
    {
        fn deposited(&mut self, event: &Deposited) {
            self.counts.push(event.amount.into());
        }
    }

    #[test]
    fn a_state_may_be_generic() {
        let mut counter = Counter::<u128>::default();
        counter.reduce(&Deposited { amount: 5 }.into(), &recorded("Deposited", "{}")).unwrap();
        assert_eq!(counter.counts, [5]);
    }
}

mod handlers {
    use super::*;

    #[derive(Default)]
    struct Ledger {
        balance: AtomicU64,
        types: Mutex<Vec<String>>,
    }

    #[handler(AccountEvent, skip(Closed))]
    impl Ledger {
        async fn deposited(&self, message: Received<Deposited>) {
            tokio::task::yield_now().await;
            self.balance.fetch_add(message.amount, Ordering::Relaxed);
        }

        async fn withdrawn(
            &self,
            message: Received<Withdrawn>,
            context: &mut Context,
        ) -> Result<u64, &'static str> {
            assert_eq!(format!("{context:?}"), "Context(empty)");
            self.types.lock().unwrap().push(message.recorded().message_type.to_string());
            if message.amount > self.balance.load(Ordering::Relaxed) {
                return Err("overdrawn");
            }
            Ok(self.balance.fetch_sub(message.amount, Ordering::Relaxed))
        }
    }

    #[handler(AccountEvent, skip(Deposited, Withdrawn, Closed), name = "Idle2")]
    impl<T: Send + Sync + 'static> Idle<T> {}

    struct Idle<T>(T);

    async fn handle(ledger: &Ledger, event: AccountEvent) -> Result<(), HandlerError> {
        let recorded = recorded("Withdrawn", "{}");
        let received = Received::new(event, recorded, Ledger::NAME).unwrap();
        ledger.handle(received, &mut Context::empty()).await
    }

    #[tokio::test]
    async fn each_message_goes_to_its_handler() {
        let ledger = Ledger::default();
        handle(&ledger, Deposited { amount: 5 }.into()).await.unwrap();
        handle(&ledger, Withdrawn { amount: 2 }.into()).await.unwrap();
        handle(&ledger, Closed.into()).await.unwrap();
        assert_eq!(ledger.balance.load(Ordering::Relaxed), 3);
        assert_eq!(*ledger.types.lock().unwrap(), ["Withdrawn"]);
    }

    #[tokio::test]
    async fn what_a_handler_fails_with_comes_out() {
        let fault = handle(&Ledger::default(), Withdrawn { amount: 2 }.into()).await.unwrap_err();
        assert_eq!(fault.to_string(), "overdrawn");
    }

    #[test]
    fn a_handler_is_named_by_its_type_or_as_it_says() {
        assert_eq!((Ledger::NAME, Idle::<u8>::NAME), ("Ledger", "Idle2"));
        let _: Idle<u8> = Idle(5);
    }
}

mod renamed {
    //! A dependency under another name.

    use ::evenfold as es;
    use es::handler::Handler as _;
    use es::message::Encode as _;
    use es::reducer::Reducer as _;

    #[derive(es::Message)]
    #[message(crate = es)]
    struct Opened {
        by: String,
    }

    #[derive(es::Messages)]
    #[messages(category = "account", crate = es)]
    enum Events {
        Opened(Opened),
    }

    struct Account;

    #[es::reducer(Events, crate = es)]
    impl Account {
        fn opened(&mut self, _: &Opened) {
            let Self = self;
        }
    }

    struct Clerk;

    #[es::handler(Events, crate = es)]
    impl Clerk {
        async fn opened(&self, _: es::handler::Received<Opened>) {
            let Self = self;
        }
    }

    #[tokio::test]
    async fn the_macros_find_it() {
        let event = Events::from(Opened { by: "me".to_owned() });
        let recorded = super::recorded("Opened", r#"{"by":"me"}"#);
        assert_eq!(event.encode(uuid::Uuid::nil()).unwrap().data(), recorded.data());
        Account.reduce(&event, &recorded).unwrap();
        let received = es::handler::Received::new(event, recorded, "clerk").unwrap();
        Clerk.handle(received, &mut es::handler::Context::empty()).await.unwrap();
    }
}
