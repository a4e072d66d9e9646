//! A command that cannot be handled, as its operators live through it: it is parked with its reason,
//! its account waits, the others go on, and a replay after the fix clears it.
//!
//! The bank meets an audit, which newer services know and it does not. In strict mode it passes
//! nothing over, for what comes after an audit might depend on it.

use crate::common::{Bank, Outcome, Said};
use evenfold_postgres::testing::TestDatabase;

const COMMANDS: &str = r#"
{"type":"Open","account":"ann","data":{"owner":"Ann Archer"}}
{"type":"Open","account":"ben","data":{"owner":"Ben Baker"}}
{"type":"Deposit","account":"ann","data":{"amount":50}}
{"type":"Audit","account":"ann","data":{"by":"the auditor"}}
{"type":"Withdraw","account":"ann","data":{"amount":20}}
{"type":"Deposit","account":"ben","data":{"amount":70}}
{"type":"Transfer","account":"ben","data":{"to":"ann","amount":30}}
"#;

const PARKED: &str = "\
Audit at position 2 of account:command-ann: subscriber `teller` is strict and meets `Audit` at position 2 of \
`account:command-ann`";

fn a_poisoned_command_waits_for_its_fix(url: &str) -> Outcome {
    let bank = Bank::new()?;
    let run = |args: &[&str], input: &str| bank.run(&[&["--store", url], args].concat(), input);
    let strict = ["-", "--strict"];

    // The account of the audit waits, with its withdrawal; money from elsewhere comes to it.
    let first = run(&strict, COMMANDS)?;
    assert!(first.success, "{first:?}");
    assert!(first.out.contains("      2 parked; `bank parked` says why\n"), "{first:?}");
    assert_eq!(balances(&first)?, ["ann 80", "ben 40"]);

    let parked = run(&["parked"], "")?;
    let (audit, behind) = parked.out.split_once('\n').ok_or("one line")?;
    assert!(audit.starts_with(PARKED), "{parked:?}");
    assert!(audit.ends_with("its type is in no handler's set"), "{parked:?}");
    let waits = "Withdraw at position 3 of account:command-ann: it waits behind the one before\n";
    assert_eq!(behind, waits);

    // Nothing is tried again unasked, and in vain while the cause is there.
    let unasked = run(&strict, "")?;
    assert!(unasked.success && unasked.out.ends_with("\n0 new effects\n"), "{unasked:?}");
    let asked = "1 to be handled again, and what waits behind\n";
    assert_eq!(run(&["replay"], "")?.out, asked);
    let in_vain = run(&strict, "")?;
    assert!(in_vain.out.contains("      2 parked;"), "{in_vain:?}");

    // The fix: audits are none of the bank's business, so it is strict no more.
    assert_eq!(run(&["replay"], "")?.out, asked);
    let mended = run(&["-"], "")?;
    assert!(mended.success && mended.out.ends_with("\n1 new effects\n"), "{mended:?}");
    assert_eq!(balances(&mended)?, ["ann 60", "ben 40"]);
    assert_eq!(run(&["parked"], "")?.out, "");

    // And from then on the account goes on by itself.
    let deposit = r#"{"type":"Deposit","account":"ann","data":{"amount":5}}"#;
    assert_eq!(balances(&run(&strict, deposit)?)?, ["ann 65", "ben 40"]);
    Ok(())
}

/// Each account and its balance.
fn balances(said: &Said) -> Outcome<Vec<String>> {
    let lines = said.summary()?.lines().skip(3).take_while(|line| !line.contains("all money"));
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next_back()?))
    };
    Ok(lines.filter_map(of).collect())
}

#[test]
fn a_command_that_is_parked_in_a_file_waits_for_its_fix() -> Outcome {
    a_poisoned_command_waits_for_its_fix(&Bank::new()?.url())
}

#[tokio::test]
async fn a_command_that_is_parked_in_a_message_db_waits_for_its_fix() -> Outcome {
    let database = TestDatabase::from_template("message_db").await?;
    a_poisoned_command_waits_for_its_fix(&database.url_as("message_store"))
}
