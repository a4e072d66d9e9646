//! States of streams that became shorter or were rewritten, over a store that is not in memory.
//!
//! Each law has a test in `crates/evenfold/tests/rewritten.rs`.

use evenfold::prelude::*;
use evenfold::{EntityCache, Snapshots, Store, Transacted};
use evenfold_tests::{AccountEvent, Deposited, Outcome, Withdrawn};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};

#[derive(Clone, Debug, Default, Serialize, Deserialize, Snapshot)]
struct Account {
    balance: u64,
}

#[reducer(AccountEvent, skip(Withdrawn))]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

async fn deposit(store: &Store, amounts: &[u64]) -> Outcome {
    let deposited = amounts.iter().map(|amount| Deposited::of(*amount));
    store.write_all("account-1", deposited).await?;
    Ok(())
}

#[tokio::test]
async fn a_state_on_sqlite_is_that_of_what_stands_in_its_stream() -> Outcome {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}/bank.db", folder.path().display());
    let store = evenfold::connect(&url).await?;
    let mut file = SqliteConnection::connect(&url).await?;
    let cached = store.entities::<Account>().cached(EntityCache::of(9));
    let kept = store.entities::<Account>().snapshots(Snapshots::every(1));
    deposit(&store, &[1, 2, 3, 10, 20]).await?;
    for (written, expected) in [(vec![], 6), (vec![100, 200], 306), (vec![100, 300, 500], 906)] {
        // Both hold a state at version 4 or beyond, of messages that are gone then.
        cached.load("1").await?;
        kept.load("1").await?;
        let lose = "DELETE FROM messages WHERE stream_name = 'account-1' AND position > 2";
        sqlx::query(lose).execute(&mut file).await?;
        if !written.is_empty() {
            deposit(&store, &written).await?;
        }
        let states = [cached.load("1").await?.state, kept.load("1").await?.state];
        assert_eq!(states.map(|state| state.balance), [expected; 2]);
        for accounts in [&cached, &kept] {
            let one = |_: &Account| Ok(vec![Deposited::of(1).into()]);
            let outcome = accounts.transact("1", one).attempts(1).await?;
            assert!(matches!(outcome, Transacted::Written(_)), "{outcome:?}");
        }
    }
    Ok(())
}
