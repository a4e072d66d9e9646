//! The law that an unreadable record of progress is an error, never a start at zero.
//!
//! The records are written as another client, or a person, might have written them.

use evenfold_core::Error;
use evenfold_core::message::NewMessage;
use evenfold_core::store::{MessageStore, ProgressStream};

use super::progress::{of_category, of_stream};
use super::subject::{Subject, refused, write};
use crate::controls::message::{deposited, raw};
use crate::controls::{id, metadata};

/// Puts a record behind a good one, and demands that it is told, and told again.
async fn is_unreadable(
    store: &dyn MessageStore,
    of: &ProgressStream,
    record: NewMessage,
) -> Result<(), Error> {
    let what = record.data().to_owned();
    let good = id(1_000_000 + u64::try_from(record.id().as_u128() % 1_000_000).unwrap_or_default());
    store.record_progress(of, 7, good).await?;
    assert_eq!(store.read_progress(of).await?, Some(7));
    write(store, of.stream(), &[record]).await?;
    for _ in 0..2 {
        let error = refused(store.read_progress(of).await)?;
        assert!(error.is_unreadable_progress(), "{what}: {error:?}");
        assert!(error.to_string().contains(of.stream().as_str()), "it names no stream: {error}");
    }
    Ok(())
}

/// *Unreadable is an error.*
pub(super) async fn a_record_of_another_type_is_unreadable(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let of = of_category("teller")?;
    is_unreadable(&*store, &of, deposited(1)?).await?;
    // The record of the Go store that came before, and one of another spelling.
    for (number, message_type) in (2..).zip(["PositionCommitted", "recorded", "Recorded2"]) {
        is_unreadable(&*store, &of, raw(number, message_type, r#"{"position":5}"#)?).await?;
    }
    Ok(())
}

/// *Unreadable is an error.*
pub(super) async fn a_record_without_a_whole_number_is_unreadable(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let of = of_category("teller")?;
    for (number, data) in (1..).zip([
        "{}",
        r#"{"Position":5}"#,
        r#"{"position":null}"#,
        r#"{"position":"5"}"#,
        r#"{"position":1.5}"#,
        r#"{"position":[5]}"#,
        r#"{"position":9223372036854775808}"#,
        r#"{"data":{"position":5}}"#,
    ]) {
        is_unreadable(&*store, &of, raw(number, "Recorded", data)?).await?;
    }
    // A number beside the data is none.
    let mut beside = metadata::unknown_keys();
    beside.other.insert("position".into(), 5.into());
    is_unreadable(&*store, &of, raw(99, "Recorded", "{}")?.with_metadata(beside)).await
}

/// *Unreadable is an error.*
pub(super) async fn a_negative_record_is_unreadable(subject: &Subject<'_>) -> Result<(), Error> {
    let store = subject.open().await?;
    for (number, (of, key)) in
        (1..).zip([(of_category("teller")?, "position"), (of_stream("teller")?, "streamPosition")])
    {
        for (more, negative) in [(0, "-1"), (10, "-9223372036854775808")] {
            let data = format!(r#"{{"{key}":{negative}}}"#);
            is_unreadable(&*store, &of, raw(number + more, "Recorded", data)?).await?;
        }
    }
    Ok(())
}

/// *Unreadable is an error*: the number counts something else.
pub(super) async fn a_record_in_another_unit_is_unreadable(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let of_stream = of_stream("teller")?;
    is_unreadable(&*store, &of_category("teller")?, raw(1, "Recorded", r#"{"streamPosition":5}"#)?)
        .await?;
    is_unreadable(&*store, &of_stream, raw(2, "Recorded", r#"{"position":5}"#)?).await
}

/// *Progress is read back*: an operator mends it by recording anew.
pub(super) async fn a_record_after_an_unreadable_one_is_read(
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let store = subject.open().await?;
    let of = of_category("teller")?;
    is_unreadable(&*store, &of, raw(1, "Recorded", "{}")?).await?;
    store.record_progress(&of, 8, id(2)).await?;
    assert_eq!(store.read_progress(&of).await?, Some(8));
    Ok(())
}
