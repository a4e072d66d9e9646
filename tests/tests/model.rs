//! Random operations on the memory store and a file side by side: every answer is the same.
//!
//! What is asked, and what counts as the same, is in `evenfold_testkit::model`.

use evenfold::{Ids, Memory, TimeOrderedIds};
use evenfold_sqlite::Sqlite;
use evenfold_testkit::model::{self, Tally};
use evenfold_tests::Outcome;

const STEPS: u32 = 300;

async fn memory_and_file(seed: u64) -> Outcome<Tally> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("model.db").display());
    let file = Sqlite::connect(&url).await?;
    let tally = model::compare(&Memory::new(), &file, seed, STEPS).await;
    file.close().await;
    Ok(tally?)
}

#[tokio::test]
async fn memory_and_a_file_answer_the_same_whatever_they_are_asked() -> Outcome {
    for seed in [1, 2, 3, 5, 8, 13, 21, 34] {
        let tally = memory_and_file(seed).await?;
        for answer in ["written", "conflict"] {
            assert!(tally.count("write", answer) > 0, "seed {seed} has no {answer}: {tally}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn memory_and_a_file_answer_the_same_to_what_nobody_has_asked_before() -> Outcome {
    let (_, seed) = TimeOrderedIds.next().as_u64_pair();
    println!("seed {seed}");
    println!("{}", memory_and_file(seed).await?);
    Ok(())
}
