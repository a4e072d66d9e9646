//! Data written by plain SQL, for peers whose own way would take minutes.

use anyhow::Result;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::account::{Seed, seeds};

/// Rows of one statement.
pub const CHUNK: usize = 5_000;

/// A pool as an application makes it for a peer, without the round trip that each use would cost.
pub async fn pool(url: &str) -> Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(5).test_before_acquire(false).connect(url).await?)
}

/// Hands over all seeds, some at a time.
pub fn chunks(replay: usize) -> impl Iterator<Item = Vec<Seed>> {
    let mut seeds = seeds(replay);
    std::iter::from_fn(move || {
        let chunk: Vec<_> = seeds.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Gives the planner what it would have by itself a minute later.
pub async fn settle(pool: &PgPool) -> Result<()> {
    sqlx::raw_sql("VACUUM ANALYZE").execute(pool).await?;
    Ok(())
}
