//! The model test itself: it asks enough, finds no difference where there is none, and finds one
//! where there is.

use std::sync::Arc;

use evenfold_core::Memory;
use evenfold_core::store::WriteStore;
use evenfold_testkit::model::compare;
use evenfold_testkit::{Recording, controls};

#[tokio::test]
async fn two_memory_stores_answer_the_same() {
    for seed in 0..20 {
        let compared = compare(&Memory::new(), &Memory::new(), seed, 300).await;
        assert!(compared.is_ok(), "{compared:?}");
    }
}

#[tokio::test]
async fn every_kind_of_answer_comes_up() -> Result<(), evenfold_testkit::model::Difference> {
    let tally = compare(&Memory::new(), &Memory::new(), 1, 3_000).await?;
    for (operation, answer) in [
        ("write", "written"),
        ("write", "repetition"),
        ("write", "conflict"),
        ("write", "duplicate id"),
        ("write", "invalid"),
        ("read stream", "page"),
        ("read stream", "empty page"),
        ("read stream", "invalid"),
        ("read category", "page"),
        ("read category", "empty page"),
        ("last message", "found"),
        ("last message", "none"),
        ("stream version", "found"),
        ("stream version", "none"),
        ("message", "found"),
        ("message", "none"),
        ("categories", "listing"),
        ("streams", "listing"),
        ("read progress", "found"),
        ("read progress", "unreadable progress"),
        ("record progress", "written"),
        ("record progress", "duplicate id"),
    ] {
        assert!(tally.count(operation, answer) > 4, "too little of {operation}: {answer}\n{tally}");
    }
    Ok(())
}

#[tokio::test]
async fn a_difference_names_the_seed_and_the_question() -> Result<(), evenfold_core::Error> {
    let (one, other) = (Memory::new(), Recording::of(Arc::new(Memory::new())));
    other.refuse_next(1);
    let difference = compare(&one, &other, 7, 100).await.err().map(|it| it.to_string());
    let text = difference.unwrap_or_default();
    assert!(text.contains("of seed 7, asked to Write"), "{text}");

    let other = Memory::new();
    other
        .write(
            &controls::stream::account(1)?,
            &[controls::message::deposited(9)?],
            evenfold_core::ExpectedVersion::Any,
        )
        .await?;
    assert!(compare(&Memory::new(), &other, 7, 200).await.is_err());
    Ok(())
}
