//! `peers NAME`: other event sourcing libraries for Rust, asked for the same work line by line.
//!
//! The lines and what each peer does for them are in README.md. What is asked is in `peer.rs`, the data
//! in `account.rs`, and each peer is in a file of its name.

mod account;
mod disintegrate;
mod es_entity;
mod eventcore;
mod evento;
mod message_db;
mod peer;
mod postgres_es;
mod seed;

use std::env;
use std::io::{self, BufRead, Write};

use anyhow::{Context, Result, anyhow, bail};
use tokio::runtime::{Builder, Runtime};

use crate::account::{LONG, SHORT};
use crate::peer::{NotOffered, Peer};

const NAMES: [&str; 6] =
    ["message_db", "disintegrate", "postgres-es", "es-entity", "evento", "eventcore"];

fn main() -> Result<()> {
    let name = env::args().nth(1).unwrap_or_default();
    if !NAMES.contains(&name.as_str()) {
        bail!("write `peers NAME`, where NAME is one of {}", NAMES.join(", "));
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut session = Session { name, runtime, peer: None, refused: None };
    for line in io::stdin().lock().lines() {
        let answer = session.answer(line?.trim());
        println!("{}", answer.replace('\n', " "));
        io::stdout().flush()?;
    }
    // Tasks and connections of a peer may want the runtime when they are dropped.
    let _inside = session.runtime.enter();
    drop(session.peer);
    Ok(())
}

struct Session {
    name: String,
    runtime: Runtime,
    peer: Option<Box<dyn Peer>>,
    /// Why nothing could be prepared.
    refused: Option<&'static str>,
}

impl Session {
    fn answer(&mut self, line: &str) -> String {
        match self.run(line) {
            Ok(answer) => answer,
            Err(error) => match error.downcast_ref::<NotOffered>() {
                Some(reason) => format!("not offered: {reason}"),
                None => format!("error: {error:#}"),
            },
        }
    }

    fn run(&mut self, line: &str) -> Result<String> {
        let (word, number) = line.split_once(' ').unwrap_or((line, ""));
        if word == "version" {
            return version(&self.name);
        }
        let count: usize = number.parse().with_context(|| format!("`{line}` needs a number"))?;
        if word == "prepare" {
            return self.prepare(count);
        }
        if let Some(reason) = self.refused {
            bail!(NotOffered(reason));
        }
        let peer =
            self.peer.as_mut().context("nothing is prepared; write `prepare REPLAY` first")?;
        let took = self.runtime.block_on(async {
            match word {
                "append" => peer.append(count).await,
                "batch" => peer.batch(count).await,
                "load100" => peer.load(SHORT, count).await,
                "load10000" => peer.load(LONG, count).await,
                "replay" => peer.replay(count).await,
                "end" => peer.end(count).await,
                _ => Err(anyhow!("`{word}` is no work")),
            }
        })?;
        Ok(took.as_nanos().to_string())
    }

    fn prepare(&mut self, replay: usize) -> Result<String> {
        let url = env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
        let prepared = self.runtime.block_on(async {
            match self.name.as_str() {
                "message_db" => message_db::prepare(&url, replay).await,
                "disintegrate" => disintegrate::prepare(&url, replay).await,
                "postgres-es" => postgres_es::prepare(&url, replay).await,
                "es-entity" => es_entity::prepare(&url, replay).await,
                "evento" => evento::prepare(&url, replay).await,
                _ => eventcore::prepare(&url, replay).await,
            }
        });
        let peer = prepared.inspect_err(|error| {
            self.refused = error.downcast_ref().map(|NotOffered(reason)| *reason);
        })?;
        self.peer = Some(peer);
        Ok("ready".to_owned())
    }
}

/// The crate that stores, as the lock file has it.
fn version(name: &str) -> Result<String> {
    let package = match name {
        "disintegrate" | "eventcore" => format!("{name}-postgres"),
        "evento" => "evento-sql".to_owned(),
        _ => name.to_owned(),
    };
    let lock = include_str!("../Cargo.lock");
    let heading = format!("name = \"{package}\"\nversion = \"");
    let after = lock.split_once(&heading).with_context(|| format!("{package} is not locked"))?.1;
    let version = after.split('"').next().unwrap_or_default();
    Ok(format!("{package} {version}"))
}
