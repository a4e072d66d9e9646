//! Snapshots that read as a state and are not of it: no state is made of one.
#![expect(clippy::unwrap_used, reason = "a test stops there")]

mod story;

use std::marker::PhantomData;

use evenfold::prelude::*;
use evenfold::reducer::Reducer;
use evenfold::{Snapshots, Store};
use serde::{Deserialize, Serialize};
use story::{Deposited, deposit_at_once, recording};

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
