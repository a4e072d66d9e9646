//! The same story in Postgres: in a Message DB as its own scripts make it, and in our schema.
//!
//! It is told of files in `story.rs`. The server is that of `cargo xtask test`.

use crate::common::{Bank, Outcome};
use evenfold_postgres::testing::TestDatabase;

fn tells_the_same(database: &TestDatabase) -> Outcome {
    let bank = Bank::new()?;
    let file = bank.run(&[], "")?;
    let url = database.url_as("message_store");
    for effects in ["2137 new effects", "0 new effects"] {
        let said = bank.run(&["--store", &url], "")?;
        assert!(said.success, "{said:?}");
        assert_eq!(said.out.lines().last(), Some(effects), "{said:?}");
        if effects.starts_with('2') {
            assert_eq!(said.summary()?, file.summary()?);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bank_in_a_message_db_tells_the_same_story() -> Outcome {
    tells_the_same(&TestDatabase::from_template("message_db").await?)
}

#[tokio::test]
async fn a_bank_in_our_schema_tells_the_same_story() -> Outcome {
    tells_the_same(&TestDatabase::new().await?)
}
