//! Snapshots that read as a state and are not of it: no state is made of one.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use std::marker::PhantomData;

use evenfold::prelude::*;
use evenfold::reducer::Reducer;
use evenfold::{Snapshots, Store};
use serde::{Deserialize, Serialize};
use story::{AccountEvent, Deposited, Withdrawn, deposit_at_once, recording};

/// What account 1 comes to, and that is kept.
async fn loaded<S: Reducer + Default + Snapshot + Clone>(store: &Store) -> S {
    let accounts = store.entities::<S>().snapshots(Snapshots::every(1));
    accounts.load("1").await.unwrap().state
}

/// A state whose shape is the same in every release, while the messages that go into it are not.
mod of_another_set {
    use super::*;

    #[derive(Message)]
    struct Refunded {
        amount: u64,
    }

    /// The same, of a release in which it has another name.
    #[derive(Message)]
    #[message(type = "PaidBack", alias = "Refunded")]
    struct PaidBack {
        amount: u64,
    }

    #[derive(Messages)]
    #[messages(category = "account")]
    enum Deposits {
        Deposited(Deposited),
    }

    #[derive(Messages)]
    #[messages(category = "account")]
    enum WithRefunds {
        Refunded(Refunded),
        Deposited(Deposited),
    }

    #[derive(Messages)]
    #[messages(category = "account")]
    enum WithBoth {
        Deposited(Deposited),
        PaidBack(PaidBack),
    }

    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Account<Release> {
        balance: u64,
        #[serde(skip)]
        of: PhantomData<Release>,
    }

    impl<Release> Shape for Account<Release> {
        const SHAPE: u64 = 1;
    }

    impl<Release: Send + 'static> Snapshot for Account<Release> {
        const NAME: &'static str = "account";
    }

    #[derive(Clone, Default)]
    struct Knows;
    #[derive(Clone, Default)]
    struct KnowsNot;
    #[derive(Clone, Default)]
    struct Skips;
    #[derive(Clone, Default)]
    struct KnowsBoth;

    #[reducer(Deposits)]
    impl Account<KnowsNot> {
        fn deposited(&mut self, event: &Deposited) {
            self.balance += event.amount;
        }
    }

    #[reducer(WithRefunds, skip(Refunded))]
    impl Account<Skips> {
        fn deposited(&mut self, event: &Deposited) {
            self.balance += event.amount;
        }
    }

    #[reducer(WithRefunds)]
    impl Account<Knows> {
        fn deposited(&mut self, event: &Deposited) {
            self.balance += event.amount;
        }
        fn refunded(&mut self, event: &Refunded) {
            self.balance -= event.amount;
        }
    }

    #[reducer(WithBoth)]
    impl Account<KnowsBoth> {
        fn deposited(&mut self, event: &Deposited) {
            self.balance += event.amount;
        }
        fn paid_back(&mut self, event: &PaidBack) {
            self.balance -= event.amount;
        }
    }

    async fn balance<Release: Clone + Default + Send + 'static>(store: &Store) -> u64
    where
        Account<Release>: Reducer,
    {
        loaded::<Account<Release>>(store).await.balance
    }

    async fn store_with_a_refund() -> Store {
        let (store, _) = recording();
        deposit_at_once(&store, [10]).await;
        store.write("account-1", Refunded { amount: 3 }).await.unwrap();
        store
    }

    /// While a release is rolled out the old one passes the new message over, and keeps what it has.
    #[tokio::test]
    async fn a_message_that_was_not_known_is_not_lost() {
        let store = store_with_a_refund().await;
        for _ in 0..2 {
            assert_eq!(balance::<KnowsNot>(&store).await, 10);
            assert_eq!(balance::<Knows>(&store).await, 7);
        }
    }

    #[tokio::test]
    async fn a_message_that_was_skipped_is_not_lost() {
        let store = store_with_a_refund().await;
        for _ in 0..2 {
            assert_eq!(balance::<Skips>(&store).await, 10);
            assert_eq!(balance::<Knows>(&store).await, 7);
        }
    }

    #[tokio::test]
    async fn a_message_by_a_name_that_was_not_known_is_not_lost() {
        let store = store_with_a_refund().await;
        store.write("account-1", PaidBack { amount: 2 }).await.unwrap();
        for _ in 0..2 {
            assert_eq!(balance::<Knows>(&store).await, 7);
            assert_eq!(balance::<KnowsBoth>(&store).await, 5);
        }
    }

    /// To skip a message is to pass it over: the states are the same, and so is the snapshot.
    #[tokio::test]
    async fn what_is_made_of_the_same_messages_is_used() {
        let (store, recording) = recording();
        deposit_at_once(&store, [10]).await;
        assert_eq!(balance::<KnowsNot>(&store).await, 10);
        assert_eq!(balance::<Skips>(&store).await, 10);
        let kept = StreamName::new("account:snapshot-1").unwrap();
        assert_eq!(recording.writes_to(&kept).len(), 1, "the second had nothing to add");
    }
}

/// Two states of one name and one form over one category.
mod of_another_state {
    use super::*;

    mod billing {
        use super::*;

        #[derive(Clone, Default, Serialize, Deserialize, Snapshot)]
        pub(super) struct Account {
            pub(super) total: u64,
        }

        #[reducer(AccountEvent, skip(Withdrawn))]
        impl Account {
            fn deposited(&mut self, event: &Deposited) {
                self.total += event.amount;
            }
        }
    }

    mod limits {
        use super::*;

        #[derive(Clone, Default, Serialize, Deserialize, Snapshot)]
        pub(super) struct Account {
            pub(super) total: u64,
        }

        #[reducer(AccountEvent, skip(Withdrawn))]
        impl Account {
            fn deposited(&mut self, _: &Deposited) {
                self.total += 1;
            }
        }
    }

    #[derive(Clone, Default, Serialize, Deserialize, Snapshot)]
    struct Totals<Kind> {
        total: u64,
        #[serde(skip)]
        of: PhantomData<Kind>,
    }

    #[derive(Clone, Default, Shape)]
    struct Gross;
    #[derive(Clone, Default, Shape)]
    struct Net;

    #[reducer(AccountEvent, skip(Withdrawn))]
    impl Totals<Gross> {
        fn deposited(&mut self, event: &Deposited) {
            self.total += event.amount;
        }
    }

    #[reducer(AccountEvent, skip(Withdrawn))]
    impl Totals<Net> {
        fn deposited(&mut self, event: &Deposited) {
            self.total += event.amount - 1;
        }
    }

    #[derive(Clone, Default, Serialize, Deserialize, Snapshot)]
    struct Window<const SIZE: usize> {
        last: Vec<u64>,
    }

    #[reducer(AccountEvent, skip(Withdrawn))]
    impl<const SIZE: usize> Window<SIZE> {
        fn deposited(&mut self, event: &Deposited) {
            self.last.push(event.amount);
            self.last.drain(..self.last.len().saturating_sub(SIZE));
        }
    }

    #[tokio::test]
    async fn one_of_another_module_is_not_taken() {
        let (store, _) = recording();
        deposit_at_once(&store, [10, 20]).await;
        for _ in 0..2 {
            assert_eq!(loaded::<billing::Account>(&store).await.total, 30);
            assert_eq!(loaded::<limits::Account>(&store).await.total, 2);
        }
    }

    #[tokio::test]
    async fn one_of_another_type_parameter_is_not_taken() {
        let (store, _) = recording();
        deposit_at_once(&store, [10, 20]).await;
        for _ in 0..2 {
            assert_eq!(loaded::<Totals<Gross>>(&store).await.total, 30);
            assert_eq!(loaded::<Totals<Net>>(&store).await.total, 28);
        }
    }

    #[tokio::test]
    async fn one_of_another_number_is_not_taken() {
        let (store, _) = recording();
        deposit_at_once(&store, [10, 20]).await;
        for _ in 0..2 {
            assert_eq!(loaded::<Window<1>>(&store).await.last, [20]);
            assert_eq!(loaded::<Window<2>>(&store).await.last, [10, 20]);
        }
    }
}
