//! The signal that one connection of a test waits for another.

use sqlx::PgConnection;

use super::Result;

/// The process of the server that waits for a lock in this database.
pub(crate) async fn waiting(connection: &mut PgConnection) -> Result<i32> {
    loop {
        let waiting: Option<i32> = sqlx::query_scalar(
            "SELECT pid FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(pid) = waiting {
            return Ok(pid);
        }
    }
}
