//! Two banks serve one store and share the accounts between them. One is killed in the middle of its
//! work, the other takes over its part, and the balances are those of one bank by itself.
//!
//! No command of this story is refused, in whatever order the accounts get their turns, so that there
//! is one right end.

use std::time::Duration;

use crate::common::{Bank, Outcome};
use evenfold::message::NewMessage;
use evenfold::prelude::*;
use evenfold::stores::{CategoryQuery, LeaseGroup};
use evenfold::{GlobalPosition, Ids, Store, TimeOrderedIds};
use evenfold_postgres::testing::TestDatabase;
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::process::{Child, Command};

const ACCOUNTS: u32 = 16;
const ROUNDS: u32 = 4;

/// The accounts are opened, with money in them.
fn opening() -> String {
    let of = |n| {
        let open = line("Open", n, r#"{"owner":"Zoe"}"#);
        open + &line("Deposit", n, r#"{"amount":1000}"#)
    };
    (0..ACCOUNTS).map(of).collect()
}

/// Money comes, goes, and goes on to the next account.
fn business() -> String {
    let of = |(round, n)| {
        let (amount, to) = (10 * round + n + 1, (n + 1) % ACCOUNTS);
        let deposit = line("Deposit", n, &format!(r#"{{"amount":{amount}}}"#));
        let withdraw = line("Withdraw", n, &format!(r#"{{"amount":{round}}}"#));
        let transfer = line("Transfer", n, &format!(r#"{{"to":"a{to}","amount":{amount}}}"#));
        deposit + &withdraw + &transfer
    };
    (0..ROUNDS).flat_map(|round| (0..ACCOUNTS).map(move |n| (round, n))).map(of).collect()
}

fn line(kind: &str, account: u32, data: &str) -> String {
    format!(r#"{{"type":"{kind}","account":"a{account}","data":{data}}}"#) + "\n"
}

#[derive(Deserialize)]
struct Line {
    r#type: String,
    account: String,
    data: Box<RawValue>,
}

/// Writes commands as a service does that asks the bank for something.
async fn ask(store: &Store, commands: &str) -> Outcome {
    let category = Category::new("account:command")?;
    for line in commands.lines() {
        let line: Line = serde_json::from_str(line)?;
        let message = NewMessage::new(TimeOrderedIds.next(), line.r#type, &line.data)?;
        store.write(category.stream(&EntityId::new(line.account)?), message).await?;
    }
    Ok(())
}

fn serve(bank: &Bank, url: &str) -> Outcome<Child> {
    let mut command = Command::from(bank.command());
    command.args(["serve", "--store", url, "--lease", "1"]).kill_on_drop(true);
    Ok(command.spawn()?)
}

/// Waits until it is so; what it waits for is work of other processes.
async fn until(is_so: impl AsyncFn() -> Outcome<bool>) -> Outcome {
    let look = async {
        while !is_so().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Outcome::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(40), look).await?
}

async fn events(store: &Store) -> Outcome<usize> {
    let accounts = CategoryQuery::new(Category::new("account")?);
    Ok(store
        .read_category(&accounts, GlobalPosition::START)
        .try_fold(0, async |n, _| Ok(n + 1))
        .await?)
}

/// Whether this many banks have an equal part of the work each.
async fn share(store: &Store, banks: usize) -> Outcome<bool> {
    for name in ["account:command+position-teller", "account:position-courier"] {
        let group = LeaseGroup::new(name.parse()?, 8)?;
        let members = store.messages().group_members(&group).await?;
        if members.len() != banks || members.iter().any(|it| it.buckets.len() != 8 / banks) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn two_banks_end_as_one(url: &str) -> Outcome {
    let alone = Bank::new()?;
    let (opening, business) = (opening(), business());
    let whole = alone.run(&["-"], &format!("{opening}{business}"))?;
    let expected = alone.recorded().await?.len();
    assert!(whole.success && !whole.out.contains('×'), "something is refused: {whole:?}");

    let folder = Bank::new()?;
    let (mut killed, mut survivor) = (serve(&folder, url)?, serve(&folder, url)?);
    until(async || Ok(evenfold::connect(url).await.is_ok())).await?;
    let store = evenfold::connect(url).await?;
    until(async || share(&store, 2).await).await?;

    ask(&store, &opening).await?;
    let opened = opening.lines().count();
    until(async || Ok(events(&store).await? == opened)).await?;
    let lines: Vec<_> = business.lines().collect();
    let (begin, rest) = lines.split_at(lines.len() / 2);
    ask(&store, &begin.join("\n")).await?;
    until(async || Ok(events(&store).await? > opened)).await?;
    killed.kill().await?;

    // What falls to the one that is dead waits for its term, and then has another holder.
    ask(&store, &rest.join("\n")).await?;
    until(async || Ok(events(&store).await? == expected)).await?;
    until(async || share(&store, 1).await).await?;

    let id = survivor.id().ok_or("the survivor has ended")?.to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().await?.success());
    let status = survivor.wait().await?;
    assert!(status.success(), "{status}");
    let said = folder.run(&["-", "--store", url], "")?;
    assert!(said.success && said.out.ends_with("\n0 new effects\n"), "{said:?}");
    assert_eq!(said.summary()?, whole.summary()?);
    Ok(())
}

#[tokio::test]
async fn two_banks_share_a_message_db_and_one_is_killed() -> Outcome {
    let database = TestDatabase::from_template("message_db").await?;
    let url = database.url();
    let joint = if url.ends_with('?') { "" } else { "&" };
    two_banks_end_as_one(&format!("{url}{joint}install=leases")).await
}

#[tokio::test]
async fn two_banks_share_our_schema_and_one_is_killed() -> Outcome {
    two_banks_end_as_one(&TestDatabase::new().await?.url_as("message_store")).await
}
