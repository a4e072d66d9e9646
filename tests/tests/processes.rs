//! Several processes share one file: they write with expected versions and read a category at the
//! same time, and nobody misses anything, sees anything twice, or finds a gap.
//!
//! The processes are `src/bin/member.rs`.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::time::Duration;

use evenfold::GlobalPosition;
use evenfold::prelude::*;
use evenfold::stores::CategoryQuery;
use evenfold_tests::{AccountEvent, Outcome};
use futures::TryStreamExt;
use futures::future::try_join_all;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

const WRITERS: u64 = 3;
const READERS: u64 = 2;
/// Half of them to the stream that all share.
const EACH: u64 = 400;

fn member(args: &[&str]) -> Outcome<Child> {
    Ok(Command::new(env!("CARGO_BIN_EXE_member"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?)
}

/// What a process said until it ended well.
async fn said(child: Child) -> Outcome<Vec<String>> {
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        return Err(format!("a process failed: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().map(ToOwned::to_owned).collect())
}

async fn in_the_store(url: &str) -> Outcome<Vec<Recorded>> {
    let query = CategoryQuery::new(AccountEvent::category());
    let store = evenfold::connect(url).await?;
    Ok(store.read_category(&query, GlobalPosition::START).try_collect().await?)
}

#[tokio::test]
async fn processes_that_share_a_file_miss_nothing_and_see_nothing_twice() -> Outcome {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("shared.db").display());
    let (each, total) = ((EACH / 2).to_string(), (WRITERS * EACH).to_string());

    // They open the same new file all at once, too.
    let readers = (0..READERS).map(|n| member(&["read", &url, &format!("reader{n}"), &total]));
    let readers: Vec<_> = readers.collect::<Outcome<_>>()?;
    let writers = (0..WRITERS).map(|n| member(&["write", &url, &format!("writer{n}"), &each]));
    let mut writers: Vec<_> = writers.collect::<Outcome<_>>()?;
    for writer in &mut writers {
        writer.stdin.as_mut().ok_or("no stdin")?.write_all(b"go\n").await?;
    }
    let everybody = async {
        let conflicts = try_join_all(writers.into_iter().map(said)).await?;
        Outcome::Ok((conflicts, try_join_all(readers.into_iter().map(said)).await?))
    };
    let limit = Duration::from_secs(18);
    let (conflicts, lists) = tokio::time::timeout(limit, everybody).await??;
    println!("{conflicts:?}");

    let recorded = in_the_store(&url).await?;
    assert_eq!(u64::try_from(recorded.len())?, WRITERS * EACH);
    let ids: HashSet<_> = recorded.iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), recorded.len());
    let mut next: HashMap<_, i64> = HashMap::new();
    for message in &recorded {
        let next = next.entry(message.stream_name.as_str()).or_default();
        assert_eq!(message.position.get(), *next, "{}", message.stream_name);
        *next += 1;
    }
    assert_eq!(next.get("account-shared").copied(), Some(i64::try_from(WRITERS * EACH / 2)?));
    let expected: Vec<_> = recorded
        .iter()
        .map(|message| {
            let Recorded { global_position, stream_name, position, id, .. } = message;
            format!("{global_position} {stream_name} {position} {id}")
        })
        .collect();
    for list in lists {
        assert_eq!(list, expected);
    }
    Ok(())
}
