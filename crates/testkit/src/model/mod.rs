//! A random model test: two stores are asked the same, step by step, and must answer the same.
//!
//! One of them is the memory store, as a rule, which is short enough to be believed. What is asked
//! is in `operation.rs`, what counts as the same answer in `answer.rs`.

mod answer;
mod operation;

use std::collections::BTreeMap;
use std::fmt;

use evenfold_core::store::MessageStore;

use answer::{Answer, Side};
use operation::{Generator, Operation};

/// Asks two fresh stores the same, so many times, and compares every answer.
///
/// The seed decides everything that is asked. Global positions are compared by their order, for a
/// store may leave numbers out; times are not compared. At the end all that was written is read
/// from both.
///
/// # Errors
///
/// The first difference, with the seed and the step, so that it can be had again.
///
/// # Examples
///
/// ```
/// use evenfold_core::Memory;
/// use evenfold_testkit::model;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), model::Difference> {
/// let tally = model::compare(&Memory::new(), &Memory::new(), 42, 200).await?;
/// assert!(tally.count("write", "conflict") > 0, "{tally}");
/// # Ok(())
/// # }
/// ```
pub async fn compare(
    one: &dyn MessageStore,
    other: &dyn MessageStore,
    seed: u64,
    steps: u32,
) -> Result<Tally, Difference> {
    let mut generator = Generator::new(seed);
    let mut sides = (Side::new(one), Side::new(other));
    let mut tally = Tally::default();
    for step in 0..steps {
        let operation = generator.next();
        let answer = ask_both(&mut sides, &operation, (seed, step)).await?;
        generator.learn(&operation, &answer);
        tally.add(&operation, &answer);
    }
    for operation in generator.everything() {
        ask_both(&mut sides, &operation, (seed, steps)).await?;
    }
    Ok(tally)
}

async fn ask_both(
    (one, other): &mut (Side<'_>, Side<'_>),
    operation: &Operation,
    (seed, step): (u64, u32),
) -> Result<Answer, Difference> {
    let answers = (one.ask(operation).await, other.ask(operation).await);
    if answers.0 == answers.1 {
        return Ok(answers.0);
    }
    Err(Difference(format!(
        "two stores differ at step {step} of seed {seed}, asked to {operation:?}\n  {}: {:?}\n  {}: {:?}",
        one.name(),
        answers.0,
        other.name(),
        answers.1,
    )))
}

/// How often each operation had each kind of answer: a test asks it whether it has tested anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<(&'static str, &'static str), u64>);

impl Tally {
    fn add(&mut self, operation: &Operation, answer: &Answer) {
        *self.0.entry((operation.kind(), answer.kind())).or_default() += 1;
    }

    /// How often an operation, as in `write`, had an answer of a kind, as in `conflict`.
    pub fn count(&self, operation: &str, answer: &str) -> u64 {
        self.0.get(&(operation, answer)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((operation, answer), count) in &self.0 {
            writeln!(f, "{count:>6} {operation}: {answer}")?;
        }
        Ok(())
    }
}

/// Two stores answered one question differently; the text tells seed, step, question and answers.
#[derive(Clone, PartialEq, Eq)]
pub struct Difference(String);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As it is shown, so that a test which returns it can be read.
impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Difference {}
