//! The story of the bank, as a person runs it: files, standard input, a second run, and mistakes.
//!
//! What happens to a bank that is killed is in `killed.rs`.

use std::fs;

use crate::common::{Bank, Outcome, Said};
use evenfold::prelude::*;

#[test]
fn a_thousand_commands_end_in_known_figures() -> Outcome {
    let said = Bank::new()?.run(&[], "")?;
    assert!(said.success, "{said:?}");
    for (words, figure) in [
        ("new, ", 971),
        ("known already", 12),
        ("lines could not be read", 9),
        ("all money in the bank", 26_045),
        ("Transfer  the balance is too low", 41),
        ("Transfer  the other side: the account is not open", 20),
        ("Withdraw  the balance is too low", 56),
        ("went back to the senders", 1_450),
        ("Deposit   the balance would be too high", 1),
        ("Transfer  no account has such a name", 1),
        ("new effects", 2_137),
    ] {
        assert_eq!(number(&said, words)?, figure, "{words}: {}", said.out);
    }
    assert!(said.out.contains("tara         Tara Tanner                   0  closed"));
    Ok(())
}

#[test]
fn a_second_run_adds_nothing_and_tells_the_same() -> Outcome {
    let bank = Bank::new()?;
    let (first, second) = (bank.run(&[], "")?, bank.run(&[], "")?);
    assert!(second.success, "{second:?}");
    assert_eq!(second.out.lines().last(), Some("0 new effects"));
    assert_eq!(number(&second, "new, ")?, 0);
    assert_eq!(second.summary()?, first.summary()?);
    Ok(())
}

#[test]
fn commands_come_from_standard_input_and_from_a_file() -> Outcome {
    let open = r#"{"type":"Open","account":"zoe","data":{"owner":"Zoe Zander"}}"#;
    let deposit = r#"{"type":"Deposit","account":"zoe","data":{"amount":70}}"#;
    let bank = Bank::new()?;
    let said = bank.run(&["-"], &format!("{open}\n{deposit}\n"))?;
    assert!(said.success && said.out.ends_with("\n4 new effects\n"), "{said:?}");
    assert_eq!(number(&said, "all money in the bank")?, 70);

    // The last line has no end, and both lines again are the same two commands.
    fs::write(bank.folder().join("more.jsonl"), format!("{open}\n{deposit}\n{deposit}"))?;
    let said = bank.run(&["more.jsonl"], "")?;
    assert_eq!(
        (number(&said, "known already")?, number(&said, "all money in the bank")?),
        (2, 140)
    );
    Ok(())
}

#[test]
fn a_line_that_cannot_be_read_is_named_by_its_number_and_the_rest_goes_on() -> Outcome {
    let lines = [
        r#"{"type":"Open","account":"zoe","data":{"owner":"Zoe"}}"#,
        "",
        "what?",
        r#"{"type":"Deposit","account":"zoe","data":{"amount":"all"}}"#,
        "\u{0}\u{1}\u{7f}",
        r#"{"type":"","account":"zoe"}"#,
        r#"{"type":"Deposit","account":"zoe","data":{"amount":7}}"#,
    ];
    let said = Bank::new()?.run(&["-"], &lines.join("\r\n"))?;
    assert!(said.success, "{said:?}");
    for reason in [
        "\n        line 3: expected value",
        "\n        line 4: `data.amount`: invalid type: string \"all\", expected u64",
        "\n        line 5: expected value",
        "\n        line 6: message type ``: a message type is not empty",
    ] {
        assert!(said.out.contains(reason), "{reason} is not in {}", said.out);
    }
    assert_eq!(number(&said, "lines could not be read")?, 4);
    assert_eq!(number(&said, "all money in the bank")?, 7);
    Ok(())
}

#[test]
fn a_line_that_is_not_utf_8_is_named_by_its_number_too() -> Outcome {
    let bank = Bank::new()?;
    let mut bytes = br#"{"type":"Open","account":"zoe","data":{"owner":"Zo"#.to_vec();
    bytes.extend_from_slice(
        b"\xff\"}}\n{\"type\":\"Open\",\"account\":\"amy\",\"data\":{\"owner\":\"Amy\"}}",
    );
    fs::write(bank.folder().join("latin.jsonl"), bytes)?;
    let said = bank.run(&["latin.jsonl"], "")?;
    assert!(said.success && said.out.contains("\n        line 1: "), "{said:?}");
    assert!(said.out.ends_with("\n2 new effects\n"), "{said:?}");
    Ok(())
}

#[test]
fn what_is_wrong_with_the_arguments_is_said_before_anything_is_written() -> Outcome {
    for (args, text) in [
        (&["--sore", "x"][..], "unknown option `--sore`; there is `--store URL`"),
        (&["--store"], "--store needs a URL behind it"),
        (&["--lease", "soon"], "`soon`: invalid digit found in string"),
        (&["nowhere.jsonl"], "cannot open `nowhere.jsonl`: No such file"),
        (&["--store", "mysql://localhost/bank"], "store URL scheme `mysql`: write `memory:` or"),
        (&["--store", "bank.db"], "store URL `bank.db`: there is no scheme; write `memory:` or"),
        (&["--store", "sqlite://missing/bank.db"], "its folder `missing` is missing; make it"),
    ] {
        let bank = Bank::new()?;
        let said = bank.run(args, "")?;
        assert!(!said.success && said.out.is_empty(), "{args:?}: {said:?}");
        assert!(said.err.contains(text), "{args:?}: {}", said.err);
        assert!(!bank.folder().join("bank.db").exists(), "{args:?}");
    }
    Ok(())
}

#[test]
fn help_is_no_error() -> Outcome {
    let said = Bank::new()?.run(&["--help"], "")?;
    let usage = "usage: bank [FILE | - | serve | parked | replay] [--store URL] [--strict] ";
    assert!(said.success && said.out == format!("{usage}[--lease SECONDS]\n"), "{said:?}");
    Ok(())
}

#[test]
fn a_bank_in_memory_tells_the_same_story() -> Outcome {
    let bank = Bank::new()?;
    let file = bank.run(&[], "")?;
    let memory = bank.run(&["--store", "memory:"], "")?;
    assert!(memory.success && memory.out.starts_with("The bank, kept in memory\n"), "{memory:?}");
    assert_eq!(memory.summary()?, file.summary()?);
    Ok(())
}

/// The first number in the line that has these words.
fn number(said: &Said, words: &str) -> Outcome<i64> {
    let line = said.out.lines().find(|line| line.contains(words));
    let line = line.ok_or_else(|| format!("no `{words}` in {said:?}"))?;
    let number = line.split_whitespace().find_map(|word| word.parse().ok());
    number.ok_or_else(|| format!("no number in `{line}`").into())
}

#[derive(Message)]
struct Deposited {
    amount: i64,
}
#[derive(Message)]
struct Withdrawn {
    amount: i64,
}
#[derive(Message)]
struct TransferSent {
    amount: i64,
}
#[derive(Message)]
struct TransferReceived {
    amount: i64,
}
#[derive(Message)]
struct TransferReturned {
    amount: i64,
}

/// The events that move money.
#[derive(Messages)]
#[messages(category = "account")]
enum Movement {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
    TransferSent(TransferSent),
    TransferReceived(TransferReceived),
    TransferReturned(TransferReturned),
}

#[derive(Default)]
struct Flows {
    came_in: i64,
    went_out: i64,
    sent: i64,
    arrived: i64,
}

#[reducer(Movement)]
impl Flows {
    fn deposited(&mut self, event: &Deposited) {
        self.came_in += event.amount;
    }
    fn withdrawn(&mut self, event: &Withdrawn) {
        self.went_out += event.amount;
    }
    fn transfer_sent(&mut self, event: &TransferSent) {
        self.sent += event.amount;
    }
    fn transfer_received(&mut self, event: &TransferReceived) {
        self.arrived += event.amount;
    }
    fn transfer_returned(&mut self, event: &TransferReturned) {
        self.arrived += event.amount;
    }
}

#[tokio::test]
async fn no_money_is_made_and_none_is_lost() -> Outcome {
    let bank = Bank::new()?;
    let said = bank.run(&[], "")?;
    let projector = evenfold::projector::Projector::<Flows>::of_reducer();
    let mut flows = projector.start();
    for recorded in bank.recorded().await? {
        projector.step(&mut flows, &recorded)?;
    }
    assert!(flows.came_in > 0 && flows.sent > 0);
    assert_eq!(flows.sent, flows.arrived, "every transfer has arrived somewhere");
    let balances = said.summary()?.lines().skip(3).take_while(|line| !line.contains("all money"));
    let balances = balances.filter_map(|line| line.trim_end_matches("  closed").rsplit(' ').next());
    let sum = balances.map(str::parse::<i64>).sum::<Result<i64, _>>()?;
    assert_eq!(sum, flows.came_in - flows.went_out);
    assert_eq!(sum, number(&said, "all money in the bank")?);
    Ok(())
}
